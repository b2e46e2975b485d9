"""A mistake in the reference: closing a guest_memfd does not unmap it from the guest.

Its pages are freed while the guest maps them.
"""

SUMMARY = "closing a guest_memfd does not unmap it from the guest"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_gmem_release",
        """\
    yield from kvm.kvm_gmem_invalidate_start(inode, 0, inode.npages)
    yield from kvm.kvm_gmem_invalidate_end(inode, 0, inode.npages)
""",
        "",
    ),
)

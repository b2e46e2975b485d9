"""A mistake in the reference: a failed page is not taken from the guest.

error_folio does nothing about the leaves.
"""

SUMMARY = "a failed page is not taken from the guest"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_gmem_error_folio",
        """\
    yield from kvm.kvm_gmem_invalidate_start(inode, index, index + 1)
    yield from kvm.kvm_gmem_invalidate_end(inode, index, index + 1)
""",
        "",
    ),
)

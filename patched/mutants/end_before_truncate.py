"""A mistake in the reference: a hole punch ends its invalidation before it truncates.

A fault in between brings the page back to the guest.
"""

SUMMARY = "a hole punch ends its invalidation before it truncates"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_gmem_punch_hole",
        """\
    yield from kvm.truncate_inode_pages_range(inode, start, end)
    yield from kvm.kvm_gmem_invalidate_end(inode, start, end)
""",
        """\
    yield from kvm.kvm_gmem_invalidate_end(inode, start, end)
    yield from kvm.truncate_inode_pages_range(inode, start, end)
""",
    ),
)

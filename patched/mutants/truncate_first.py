"""A mistake in the reference: a hole is punched before the guest is unmapped.

The page leaves the file, and perhaps is freed, while the guest maps it.
"""

SUMMARY = "a hole is punched before the guest is unmapped"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_gmem_punch_hole",
        """\
    yield from kvm.kvm_gmem_invalidate_start(inode, start, end)
    yield "kvm_gmem_punch_hole.truncate"
    yield from kvm.truncate_inode_pages_range(inode, start, end)
""",
        """\
    yield from kvm.truncate_inode_pages_range(inode, start, end)
    yield from kvm.kvm_gmem_invalidate_start(inode, start, end)
    yield "kvm_gmem_punch_hole.truncate"
""",
    ),
)

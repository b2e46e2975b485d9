"""A mistake in the reference: unbinding one slot unbinds all of the file.

A hole punch no longer reaches the other slots.
"""

SUMMARY = "unbinding one slot unbinds all of the file"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_gmem_unbind",
        """\
    start, end = slot.gmem_pgoff, slot.gmem_pgoff + slot.npages
""",
        """\
    start, end = 0, file.inode.npages
""",
    ),
)

"""A mistake in the reference: a hole punch takes no invalidate_lock.

Bindings change between its start and end.
"""

SUMMARY = "a hole punch takes no invalidate_lock"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_gmem_punch_hole",
        """\
    yield WantLock(inode.invalidate_lock, "kvm_gmem_punch_hole.invalidate_lock")
    inode.invalidate_lock.write_lock()
""",
        """\
    yield "kvm_gmem_punch_hole.invalidate_lock"
""",
    ),
    (
        "kvm_gmem_punch_hole",
        """\
    inode.invalidate_lock.write_unlock()
""",
        "",
    ),
)

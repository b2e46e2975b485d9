"""A mistake in the reference: arm64 reads the sequence when it has mmu_lock, and no earlier.

An invalidation that has ended by then is forgotten.
"""

SUMMARY = "arm64 reads the sequence when it has mmu_lock, and no earlier"
GROUP = "reference"
PROFILE = "v7.2 arm64"
EDITS = (
    (
        "user_mem_abort",
        """\
    yield USER_LOCK
""",
        """\
    yield USER_LOCK
    fault.mmu_seq = kvm.mmu_invalidate_seq
""",
    ),
)

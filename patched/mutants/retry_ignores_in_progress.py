"""A mistake in the reference: the stale check compares the sequence only.

A fault in the middle of an invalidation sees no new sequence yet.
"""

SUMMARY = "the stale check compares the sequence only"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "mmu_invalidate_retry_gfn",
        """\
    if kvm.mmu_invalidate_in_progress:
""",
        """\
    if False:
""",
    ),
    (
        "mmu_invalidate_retry",
        "kvm.mmu_invalidate_in_progress > 0 or ",
        "",
    ),
)

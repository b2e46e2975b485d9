"""A mistake in the reference: the end of one invalidation ends all that are in progress.

The others have not changed their PTEs yet.
"""

SUMMARY = "the end of one invalidation ends all that are in progress"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_invalidate_end",
        """\
    kvm.mmu_invalidate_in_progress -= 1
""",
        """\
    kvm.mmu_invalidate_in_progress = 0
""",
    ),
)

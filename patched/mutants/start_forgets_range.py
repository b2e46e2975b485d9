"""A mistake in the reference: each start begins a new range, whoever else is in progress.

The range of an earlier invalidation is no longer protected.
"""

SUMMARY = "each start begins a new range, whoever else is in progress"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_invalidate_start",
        """\
    if kvm.mmu_invalidate_in_progress == 1:
""",
        """\
    if True:
""",
    ),
)

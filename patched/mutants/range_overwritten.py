"""A mistake in the reference: a second range replaces the first instead of growing the hull.

Faults of the first range go on as if nothing were in progress.
"""

SUMMARY = "a second range replaces the first instead of growing the hull"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_invalidate_range_add",
        "min(kvm.mmu_invalidate_range_start, start)",
        "start",
    ),
    (
        "kvm_mmu_invalidate_range_add",
        "max(kvm.mmu_invalidate_range_end, end)",
        "end",
    ),
)

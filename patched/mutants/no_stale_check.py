"""A mistake in the reference: the fault does not look for invalidations under mmu_lock.

Whatever happened since the pfn was read is forgotten.
"""

SUMMARY = "the fault does not look for invalidations under mmu_lock"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "is_page_fault_stale",
        "kvm.mmu_invalidate_retry_gfn(fault.mmu_seq, fault.gfn)",
        "False",
    ),
)

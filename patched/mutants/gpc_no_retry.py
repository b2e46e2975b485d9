"""A mistake in the reference: a refresh does not look for invalidations.

A cache becomes valid on a page that went away during the lookup.
"""

SUMMARY = "a refresh does not look for invalidations"
GROUP = "gpc"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "mmu_notifier_retry_cache",
        "return kvm.mn_active_invalidate_count != 0 or kvm.gpc_seq() != seq",
        "return False",
    ),
)

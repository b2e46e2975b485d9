"""A mistake in the reference: a refresh compares the sequence only.

It looks a page up after start and before the PTE goes, and no sequence has moved yet.
"""

SUMMARY = "a refresh compares the sequence only"
GROUP = "gpc"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "mmu_notifier_retry_cache",
        "kvm.mn_active_invalidate_count != 0 or kvm.gpc_seq() != seq",
        "kvm.gpc_seq() != seq",
    ),
)

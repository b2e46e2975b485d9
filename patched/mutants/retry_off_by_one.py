"""A mistake in the reference: the retry check leaves out the first gfn of the range.

A fault on that page goes on in the middle of its invalidation.
"""

SUMMARY = "the retry check leaves out the first gfn of the range"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "mmu_invalidate_retry_gfn",
        "kvm.mmu_invalidate_range_start <= gfn <",
        "kvm.mmu_invalidate_range_start < gfn <",
    ),
)

"""A mistake in the reference: prefetch does not look at the count in progress.

A neighbour is mapped in the middle of an invalidation.
"""

SUMMARY = "prefetch does not look at the count in progress"
GROUP = "prefetch"
PROFILE = "v7.2 x86-direct"
EDITS = (
    (
        "direct_pte_prefetch",
        """\
    if kvm.mmu_invalidate_in_progress:
        return
""",
        "",
    ),
    (
        "FNAME_pte_prefetch",
        """\
    if kvm.mmu_invalidate_in_progress:
        return
""",
        "",
    ),
)

"""A mistake in the reference: range_start forgets the pfn caches.

A cache stays valid while its page is taken away.
"""

SUMMARY = "range_start forgets the pfn caches"
GROUP = "gpc"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_notifier_invalidate_range_start",
        """\
    yield from kvm.gfn_to_pfn_cache_invalidate_start(start, end)
""",
        "",
    ),
)

"""A mistake in the reference: pfn caches are invalidated after the memslot side.

Their users may hold them for long, and a refresh has looked at the count already.
"""

SUMMARY = "pfn caches are invalidated after the memslot side"
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
    (
        "kvm_mmu_notifier_invalidate_range_start",
        """\
    kvm.current.notifier_depth -= 1
""",
        """\
    yield from kvm.gfn_to_pfn_cache_invalidate_start(start, end)
    kvm.current.notifier_depth -= 1
""",
    ),
)

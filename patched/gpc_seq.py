"""A repair of the kernel alone: every kernel has 7.3's sequence of its own for pfn caches.

Until 7.3 a refresh watches the sequence that range_end bumps only when it found a memslot to
handle (hva_to_pfn_retry(), virt/kvm/pfncache.c); from 7.3 on it watches one that every range_end
bumps, whichever slots the walk passes over.
"""

SUMMARY = "a pfn cache watches a sequence that every range_end bumps, as from 7.3 on"
EDITS = (
    (
        "kvm_mmu_notifier_invalidate_range_end",
        """\
    if kvm.features["gpc_invalidate_seq"]:
        kvm.gpc_invalidate_seq += 1
""",
        """\
    kvm.gpc_invalidate_seq += 1
""",
    ),
    (
        "gpc_seq",
        'return kvm.gpc_invalidate_seq if kvm.features["gpc_invalidate_seq"]'
        " else kvm.mmu_invalidate_seq",
        "return kvm.gpc_invalidate_seq",
    ),
)

"""A mistake in the reference: range_end leaves the sequence of pfn caches alone.

A refresh that slept through start and end takes its old page.
"""

SUMMARY = "range_end leaves the sequence of pfn caches alone"
GROUP = "gpc"
PROFILE = "v7.3 x86-tdp"
EDITS = (
    (
        "kvm_mmu_notifier_invalidate_range_end",
        """\
    if kvm.features["gpc_invalidate_seq"]:
""",
        """\
    if False:
""",
    ),
)

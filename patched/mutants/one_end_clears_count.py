"""A mistake in the reference: range_end clears the count of active invalidations.

A memslot update goes on while others are still active.
"""

SUMMARY = "range_end clears the count of active invalidations"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_notifier_invalidate_range_end",
        """\
    if kvm.mn_active_invalidate_count == 0:
        kvm.WARN_ON("kvm_mmu_notifier_invalidate_range_end: no start")
    kvm.mn_active_invalidate_count -= 1
""",
        """\
    kvm.mn_active_invalidate_count = 0
""",
    ),
)

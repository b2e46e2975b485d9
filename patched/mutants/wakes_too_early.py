"""A mistake in the reference: range_end wakes the memslot update before the count drops.

The update looks, finds the count as it was, and sleeps for good.
"""

SUMMARY = "range_end wakes the memslot update before the count drops"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_notifier_invalidate_range_end",
        """\
    yield END_COUNT
""",
        """\
    if kvm.mn_active_invalidate_count == 1:
        kvm.mn_memslots_update_rcuwait.wake_up()
    yield END_COUNT
""",
    ),
    (
        "kvm_mmu_notifier_invalidate_range_end",
        """\
    wake = kvm.mn_active_invalidate_count == 0
    kvm.mn_invalidate_lock.unlock()
    if wake:
        kvm.mn_memslots_update_rcuwait.wake_up()
""",
        """\
    kvm.mn_invalidate_lock.unlock()
""",
    ),
)

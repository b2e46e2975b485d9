"""A mistake in the reference: range_start takes slots_lock to keep slots stable.

Reclaim from under a memslot update deadlocks.
"""

SUMMARY = "range_start takes slots_lock to keep slots stable"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_notifier_invalidate_range_start",
        """\
    yield START_COUNT
""",
        """\
    yield WantMutex("slots_lock", "kvm_mmu_notifier_invalidate_range_start.slots_lock")
    kvm.slots_lock.lock()
    kvm.watch.lock_slots("slots_lock")
    kvm.slots_lock.unlock()
    yield START_COUNT
""",
    ),
)

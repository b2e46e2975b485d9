"""A mistake in the reference: range_start takes slots_lock to keep slots stable.

Reclaim from under a memslot update deadlocks.
"""

SUMMARY = "range_start takes slots_lock to keep slots stable"
EDITS = (
    (
        "kvm_mmu_notifier_invalidate_range_start",
        "    yield START_COUNT\n",
        '    yield WantMutex("slots_lock", "kvm_mmu_notifier_invalidate_range_start.slots_lock")\n    kvm.slots_lock.lock()\n    kvm.watch.lock_slots("slots_lock")\n    kvm.slots_lock.unlock()\n    yield START_COUNT\n',
    ),
)

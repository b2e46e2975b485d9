"""A mistake in the reference: the count of active invalidations is raised after the walk.

Memslots may be swapped between the two.
"""

SUMMARY = "the count of active invalidations is raised after the walk"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_notifier_invalidate_range_start",
        """\
    yield START_COUNT
    kvm.mn_invalidate_lock.lock()
    kvm.mn_active_invalidate_count += 1
    kvm.mn_invalidate_lock.unlock()
""",
        "",
    ),
    (
        "kvm_mmu_notifier_invalidate_range_start",
        """\
    kvm.current.notifier_depth -= 1
""",
        """\
    yield START_COUNT
    kvm.mn_invalidate_lock.lock()
    kvm.mn_active_invalidate_count += 1
    kvm.mn_invalidate_lock.unlock()
    kvm.current.notifier_depth -= 1
""",
    ),
)

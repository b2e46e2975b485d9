"""A mistake in the reference: the count of active invalidations drops before the walk of
range_end.

Memslots may be swapped between the two: the walk then ends what was never started.
"""

SUMMARY = "the count of active invalidations drops before the walk of range_end"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_notifier_invalidate_range_end",
        """\
    yield from kvm.kvm_handle_hva_range(
        HvaRange("end", start, end, handler=None, on_lock=kvm.kvm_mmu_invalidate_end)
    )
""",
        "",
    ),
    (
        "kvm_mmu_notifier_invalidate_range_end",
        """\
        kvm.mn_memslots_update_rcuwait.wake_up()
""",
        """\
        kvm.mn_memslots_update_rcuwait.wake_up()
    yield from kvm.kvm_handle_hva_range(
        HvaRange("end", start, end, handler=None, on_lock=kvm.kvm_mmu_invalidate_end)
    )
""",
    ),
)

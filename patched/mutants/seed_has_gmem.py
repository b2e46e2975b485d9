"""The seed patch with a mistake: any slot with a guest_memfd is skipped.

The predicate asks for a guest_memfd, not for guest_memfd only: shared pages of a slot that
has both stay mapped.
"""

from __future__ import annotations

from collections.abc import Iterable

from reference import mmu_notifier
from reference.kvm import Kvm
from reference.state import (
    HvaRange,
    MemorySlot,
    Memslots,
    kvm_slot_has_gmem,
)

SUMMARY = "any slot with a guest_memfd is skipped"
PROMISES = ("gmem-survival",)


def kvm_for_each_memslot_in_hva_range(
    kvm: Kvm, slots: Memslots, hva_range: HvaRange
) -> Iterable[MemorySlot]:
    """Mirror of the patched loop in kvm_handle_hva_range(), virt/kvm/kvm_main.c, with a mistake."""
    for slot in mmu_notifier.kvm_for_each_memslot_in_hva_range(kvm, slots, hva_range):
        if kvm_slot_has_gmem(slot):
            continue
        yield slot

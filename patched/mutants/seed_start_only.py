"""The seed patch with a mistake: the skip is on the start side only.

end still counts down what start never counted up.
"""

from __future__ import annotations

from collections.abc import Iterable

from reference import mmu_notifier
from reference.kvm import Kvm
from reference.state import (
    HvaRange,
    MemorySlot,
    Memslots,
    kvm_memslot_is_gmem_only,
    kvm_slot_has_gmem,
)

SUMMARY = "the skip is on the start side only"
PROMISES = ("gmem-survival",)


def kvm_for_each_memslot_in_hva_range(
    kvm: Kvm, slots: Memslots, hva_range: HvaRange
) -> Iterable[MemorySlot]:
    """Mirror of the patched loop in kvm_handle_hva_range(), virt/kvm/kvm_main.c, with a mistake."""
    for slot in mmu_notifier.kvm_for_each_memslot_in_hva_range(kvm, slots, hva_range):
        if kvm_slot_has_gmem(slot) and kvm_memslot_is_gmem_only(slot) and hva_range.name == "start":
            continue
        yield slot

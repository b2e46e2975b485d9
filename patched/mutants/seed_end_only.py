"""The seed patch with a mistake: the skip is on the end side only.

start counts up, end never counts down: faults in the range wait for ever.
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

SUMMARY = "the skip is on the end side only"


def kvm_for_each_memslot_in_hva_range(
    kvm: Kvm, slots: Memslots, hva_range: HvaRange
) -> Iterable[MemorySlot]:
    """Mirror of the patched loop in kvm_handle_hva_range(), virt/kvm/kvm_main.c, with a mistake."""
    for slot in mmu_notifier.kvm_for_each_memslot_in_hva_range(kvm, slots, hva_range):
        if kvm_slot_has_gmem(slot) and kvm_memslot_is_gmem_only(slot) and hva_range.name == "end":
            continue
        yield slot

"""The seed patch with a mistake: one gmem-only slot in the range skips the whole set.

The check asks whether the set holds a gmem-only slot anywhere in the range.
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

SUMMARY = "one gmem-only slot in the range skips the whole set"
PROMISES = ("gmem-survival",)


def kvm_for_each_memslot_in_hva_range(
    kvm: Kvm, slots: Memslots, hva_range: HvaRange
) -> Iterable[MemorySlot]:
    """Mirror of the patched loop in kvm_handle_hva_range(), virt/kvm/kvm_main.c, with a mistake."""
    for slot in mmu_notifier.kvm_for_each_memslot_in_hva_range(kvm, slots, hva_range):
        if any(kvm_slot_has_gmem(s) and kvm_memslot_is_gmem_only(s) for s in slots.slots.values()):
            continue
        yield slot

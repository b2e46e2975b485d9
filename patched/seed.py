"""The patch under test: HVA notifiers pass over memslots backed by guest_memfd only.

In the kernel it is four lines at the top of the loop in kvm_handle_hva_range().  Here the loop's
iterator leaves those slots out, which is the same ``continue``.
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

SUMMARY = "MMU notifiers ignore guest_memfd-only memslots"
PROMISES = ("gmem-survival",)
PURE = True


def kvm_for_each_memslot_in_hva_range(
    kvm: Kvm, slots: Memslots, hva_range: HvaRange
) -> Iterable[MemorySlot]:
    """Mirror of the patched loop in kvm_handle_hva_range(), virt/kvm/kvm_main.c."""
    for slot in mmu_notifier.kvm_for_each_memslot_in_hva_range(kvm, slots, hva_range):
        if kvm_slot_has_gmem(slot) and kvm_memslot_is_gmem_only(slot):
            continue
        yield slot

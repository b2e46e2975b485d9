"""Dirty logging: which pages of a slot the guest wrote since last asked.  virt/kvm/kvm_main.c.

Bits are taken and pages write-protected under mmu_lock; the flush comes after, before the
ioctl returns, so that no write after its return goes unlogged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.primitives import Steps, WantMutex, WantWrite
from reference.state import MemorySlot
from reference.uapi import EFAULT, EINVAL, ENOENT

if TYPE_CHECKING:
    from reference.kvm import Kvm

SLOTS_LOCK = WantMutex("slots_lock", "kvm_vm_ioctl_get_dirty_log.slots_lock")
PROTECT = WantWrite("mmu_lock", "kvm_get_dirty_log_protect.mmu_lock")
CLEAR = WantWrite("mmu_lock", "kvm_clear_dirty_log_protect.mmu_lock")


def mark_page_dirty_in_slot(kvm: Kvm, slot: MemorySlot, gfn: int) -> None:
    """Mirror of mark_page_dirty_in_slot(), virt/kvm/kvm_main.c (bitmap mode)."""
    kvm.check_slot_alive(slot, "mark_page_dirty_in_slot")
    if slot.dirty_bitmap is not None:
        slot.dirty_bitmap.add(gfn - slot.base_gfn)


def find_logged_slot(kvm: Kvm, slot_id: int, as_id: int) -> MemorySlot | int:
    """The checks at the start of both ioctls (kvm_main.c): EINVAL, then ENOENT."""
    if as_id >= kvm.nr_as or slot_id >= kvm.user_mem_slots():
        return -EINVAL
    slot = kvm.memslots[as_id].slots.get(slot_id)
    if slot is None or slot.dirty_bitmap is None:
        return -ENOENT
    return slot


def kvm_vm_ioctl_get_dirty_log(kvm: Kvm, slot_id: int, as_id: int) -> Steps[int | str]:
    """Mirror of kvm_get_dirty_log_protect(), virt/kvm/kvm_main.c; "bits:0x.." or an errno.

    With manual protection the bits are only copied; CLEAR takes them.
    """
    yield SLOTS_LOCK
    kvm.slots_lock.lock()
    kvm.watch.lock_slots("slots_lock")
    slot = kvm.find_logged_slot(slot_id, as_id)
    if isinstance(slot, int):
        kvm.slots_lock.unlock()
        return slot
    bitmap = slot.dirty_bitmap
    assert bitmap is not None
    taken = sorted(bitmap)
    if not kvm.manual_dirty_log:
        yield PROTECT
        kvm.mmu_lock.write_lock()
        taken = sorted(bitmap)
        bitmap.clear()
        kvm.protect_dirty(slot, taken)
        kvm.mmu_lock.write_unlock()
        if taken:
            yield "kvm_get_dirty_log_protect.flush"
            kvm.kvm_flush_remote_tlbs()
    kvm.slots_lock.unlock()
    if kvm.take_failure("user_copy"):
        return -EFAULT
    return f"bits:{sum(1 << bit for bit in taken):#x}"


def kvm_vm_ioctl_clear_dirty_log(
    kvm: Kvm, slot_id: int, first: int, num: int, bits: int, as_id: int
) -> Steps[int | str]:
    """Mirror of kvm_clear_dirty_log_protect(), virt/kvm/kvm_main.c."""
    yield SLOTS_LOCK
    kvm.slots_lock.lock()
    kvm.watch.lock_slots("slots_lock")
    result = yield from kvm.kvm_clear_dirty_log_protect(slot_id, first, num, bits, as_id)
    kvm.slots_lock.unlock()
    return result


def kvm_clear_dirty_log_protect(
    kvm: Kvm, slot_id: int, first: int, num: int, bits: int, as_id: int
) -> Steps[int]:
    """The locked part of KVM_CLEAR_DIRTY_LOG, virt/kvm/kvm_main.c."""
    if as_id >= kvm.nr_as or slot_id >= kvm.user_mem_slots() or first & 63:
        return -EINVAL
    slot = kvm.find_logged_slot(slot_id, as_id)
    if isinstance(slot, int):
        return slot
    # A count that is no multiple of 64 is allowed only at the end of the slot.
    if first > slot.npages or num > slot.npages - first:
        return -EINVAL
    if num < slot.npages - first and num & 63:
        return -EINVAL
    if kvm.take_failure("user_copy"):
        return -EFAULT
    yield CLEAR
    kvm.mmu_lock.write_lock()
    bitmap = slot.dirty_bitmap
    assert bitmap is not None
    asked = [first + bit for bit in range(min(num, bits.bit_length())) if bits >> bit & 1]
    taken = [bit for bit in asked if bit in bitmap]
    bitmap.difference_update(taken)
    kvm.protect_dirty(slot, taken)
    kvm.mmu_lock.write_unlock()
    if taken:
        yield "kvm_clear_dirty_log_protect.flush"
        kvm.kvm_flush_remote_tlbs()
    return 0


def protect_dirty(kvm: Kvm, slot: MemorySlot, bits: list[int]) -> None:
    """Mirror of kvm_arch_mmu_enable_log_dirty_pt_masked(), arch/x86/kvm/mmu/mmu.c."""
    gfns = {slot.base_gfn + bit for bit in bits}
    kvm.write_protect_gfns(slot, gfns, ("tdp", "shadow", "s2"))


def enable_manual_dirty_log(kvm: Kvm, initially_set: bool) -> int:
    """KVM_ENABLE_CAP of KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, virt/kvm/kvm_main.c."""
    kvm.manual_dirty_log = True
    kvm.dirty_log_initially_set = initially_set
    return 0

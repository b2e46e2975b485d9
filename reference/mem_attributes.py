"""KVM_SET_MEMORY_ATTRIBUTES: which gfns are private.  virt/kvm/kvm_main.c.

Walks by gfn, over every slot, gmem-only ones too; the HVA notifiers have no part in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.primitives import Steps, WantMutex, WantWrite
from reference.state import GfnRange
from reference.uapi import (
    EINVAL,
    ENOMEM,
    KVM_MEMORY_ATTRIBUTE_PRIVATE,
    PAGE_MASK,
    PAGE_SHIFT,
    U64,
)

if TYPE_CHECKING:
    from reference.kvm import Kvm

SLOTS_LOCK = WantMutex("slots_lock", "kvm_vm_set_mem_attributes.slots_lock")
PRE_LOCK = WantWrite("mmu_lock", "kvm_handle_gfn_range.pre_mmu_lock")
POST_LOCK = WantWrite("mmu_lock", "kvm_handle_gfn_range.post_mmu_lock")

ATTRIBUTE_PAGES_MAX = 1 << 16  # Assumption: entries for more pages cannot be reserved.


def kvm_vm_ioctl_set_mem_attributes(
    kvm: Kvm, gpa: int, size: int, attributes: int, flags: int
) -> Steps[int]:
    """Mirror of kvm_vm_ioctl_set_mem_attributes(), virt/kvm/kvm_main.c; gpa and size in bytes.

    arm64 has no such ioctl, and answers EINVAL to one that it does not know
    (kvm_arch_vm_ioctl(), arch/arm64/kvm/arm.c).
    """
    if not kvm.features["memory_attributes"]:
        return -EINVAL
    supported = KVM_MEMORY_ATTRIBUTE_PRIVATE if kvm.has_private_mem else 0
    if flags or attributes & ~supported:
        return -EINVAL
    if size == 0 or gpa + size > U64 or gpa & PAGE_MASK or size & PAGE_MASK:
        return -EINVAL
    start, end = gpa >> PAGE_SHIFT, (gpa + size) >> PAGE_SHIFT
    yield SLOTS_LOCK
    kvm.slots_lock.lock()
    kvm.watch.lock_slots("slots_lock")
    result = yield from kvm.kvm_vm_set_mem_attributes(start, end, attributes)
    kvm.slots_lock.unlock()
    return result


def kvm_vm_set_mem_attributes(kvm: Kvm, start: int, end: int, attributes: int) -> Steps[int]:
    """Mirror of kvm_vm_set_mem_attributes(), virt/kvm/kvm_main.c: gfns [start, end).

    Start and zap under mmu_lock, store without it, end under it again: a fault between them
    sees the range in progress and tries again.
    """
    if kvm.kvm_range_has_memory_attributes(start, end, attributes):
        return 0
    reserves = attributes or not kvm.features["attributes_cleared_without_reserve"]
    if reserves and (end - start > ATTRIBUTE_PAGES_MAX or kvm.take_failure("xarray")):
        return -ENOMEM
    found = yield from kvm.kvm_handle_gfn_range_pre(start, end)
    yield "kvm_vm_set_mem_attributes.store"
    if attributes:
        kvm.mem_attr_array.update(dict.fromkeys(range(start, end), attributes))
    else:
        for gfn in [g for g in kvm.mem_attr_array if start <= g < end]:
            del kvm.mem_attr_array[gfn]
    if found:
        yield POST_LOCK
        kvm.mmu_lock.write_lock()
        kvm.kvm_mmu_invalidate_end()
        kvm.mmu_lock.write_unlock()
    return 0


def kvm_range_has_memory_attributes(kvm: Kvm, start: int, end: int, attributes: int) -> bool:
    """Mirror of kvm_range_has_memory_attributes(), virt/kvm/kvm_main.c: gfns [start, end)."""
    if not attributes:
        return not any(start <= gfn < end for gfn in kvm.mem_attr_array)
    if end - start > len(kvm.mem_attr_array):
        return False
    return all(kvm.mem_attr_array.get(gfn) == attributes for gfn in range(start, end))


def kvm_handle_gfn_range_pre(kvm: Kvm, start: int, end: int) -> Steps[bool]:
    """Mirror of kvm_handle_gfn_range() with kvm_pre_set_memory_attributes(), kvm_main.c."""
    found = flush = False
    for as_id in range(kvm.nr_as):
        for slot in sorted(kvm.memslots[as_id].slots.values(), key=lambda s: s.base_gfn):
            first = max(start, slot.base_gfn)
            last = min(end, slot.base_gfn + slot.npages)
            if first >= last:
                continue
            if not found:
                found = True
                yield PRE_LOCK
                kvm.mmu_lock.write_lock()
                kvm.kvm_mmu_invalidate_start()
            gfn_range = GfnRange(slot, first, last, may_block=True, from_hva=False)
            flush |= yield from kvm.kvm_mmu_unmap_gfn_range(gfn_range)
    if flush:
        yield "kvm_handle_gfn_range.flush"
        kvm.kvm_flush_remote_tlbs()
    if found:
        kvm.mmu_lock.write_unlock()
    return found

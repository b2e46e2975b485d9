"""KVM's own reads and writes of guest memory, through the slot's HVA.  virt/kvm/kvm_main.c.

They use the VMM's mapping also for a gmem-only slot, whatever that mapping is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.primitives import Steps
from reference.state import MemorySlot, Vcpu
from reference.uapi import EFAULT, KVM_MEM_READONLY

if TYPE_CHECKING:
    from reference.kvm import Kvm


def gfn_to_memslot(kvm: Kvm, as_id: int, gfn: int) -> MemorySlot | None:
    """Mirror of gfn_to_memslot(), virt/kvm/kvm_main.c; an INVALID slot is returned as such."""
    for slot in kvm.memslots[as_id].slots.values():
        if slot.base_gfn <= gfn < slot.base_gfn + slot.npages:
            return slot
    return None


def kvm_read_guest(kvm: Kvm, vcpu: Vcpu | None, gfn: int) -> Steps[int | str]:
    """Mirror of kvm_read_guest_page(), virt/kvm/kvm_main.c."""
    if vcpu is not None:
        kvm.vcpu_exit(vcpu)
    else:
        kvm.srcu.read_lock()
    yield "kvm_read_guest_page.slot"
    slot = kvm.gfn_to_memslot(0, gfn)
    result: int | str = -EFAULT
    if slot is not None and not slot.invalid:
        result = yield from kvm.user_access(slot.userspace_addr + gfn - slot.base_gfn, False, 0)
    kvm.srcu.read_unlock()
    return -EFAULT if isinstance(result, str) else result


def kvm_write_guest(kvm: Kvm, vcpu: Vcpu, gfn: int, value: int) -> Steps[int]:
    """Mirror of kvm_write_guest_page(), virt/kvm/kvm_main.c: marks the page dirty."""
    kvm.vcpu_exit(vcpu)
    yield "kvm_write_guest_page.slot"
    slot = kvm.gfn_to_memslot(0, gfn)
    result: int | str = -EFAULT
    if slot is not None and not slot.invalid and not slot.flags & KVM_MEM_READONLY:
        result = yield from kvm.user_access(slot.userspace_addr + gfn - slot.base_gfn, True, value)
        if result == 0:
            kvm.mark_page_dirty_in_slot(slot, gfn)
    kvm.srcu.read_unlock()
    return -EFAULT if isinstance(result, str) else result

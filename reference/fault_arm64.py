"""The arm64 stage-2 abort.  arch/arm64/kvm/mmu.c.

An INVALID slot reads as a bad HVA, and therefore as MMIO, not as a retry; the retry check is
not ranged: any invalidation in progress makes the guest execute its instruction again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.fault_x86 import RET_PF_EMULATE, RET_PF_FIXED, RET_PF_RETRY
from reference.primitives import Steps, WantRead
from reference.state import Fault, Root, Vcpu, kvm_slot_has_gmem
from reference.uapi import EHWPOISON, KVM_MEM_READONLY

if TYPE_CHECKING:
    from reference.kvm import Kvm

ACCESS_LOCK = WantRead("mmu_lock", "handle_access_fault.mmu_lock")
GMEM_LOCK = WantRead("mmu_lock", "gmem_abort.mmu_lock")
USER_LOCK = WantRead("mmu_lock", "user_mem_abort.mmu_lock")


def kvm_handle_guest_abort(
    kvm: Kvm, vcpu: Vcpu, gfn: int, write: bool, l2: bool
) -> Steps[str | int]:
    """Mirror of kvm_handle_guest_abort(), arch/arm64/kvm/mmu.c; SRCU is held for reading."""
    root = kvm.kvm_mmu_load(vcpu, 0, l2)
    spte = root.sptes.get(gfn)
    if spte is not None and not spte.accessed:
        return (yield from kvm.handle_access_fault(root, gfn))
    yield "kvm_handle_guest_abort.slot"
    fault = Fault(vcpu, gfn, write, 0, l2)
    fault.slot = slot = kvm.gfn_to_memslot(0, gfn)
    if slot is None or slot.invalid or (write and slot.flags & KVM_MEM_READONLY):
        return RET_PF_EMULATE
    if kvm_slot_has_gmem(slot):
        return (yield from kvm.gmem_abort(fault, root))
    return (yield from kvm.user_mem_abort(fault, root))


def handle_access_fault(kvm: Kvm, root: Root, gfn: int) -> Steps[str | int]:
    """Mirror of handle_access_fault(), arch/arm64/kvm/mmu.c: make the leaf young."""
    yield ACCESS_LOCK
    kvm.mmu_lock.read_lock()
    spte = root.sptes.get(gfn)
    if spte is not None:
        spte.accessed = True
    kvm.mmu_lock.read_unlock()
    return RET_PF_FIXED


def gmem_abort(kvm: Kvm, fault: Fault, root: Root) -> Steps[str | int]:
    """Mirror of gmem_abort(), arch/arm64/kvm/mmu.c."""
    slot = fault.slot
    assert slot is not None
    yield "gmem_abort.mmu_seq"
    fault.mmu_seq = kvm.mmu_invalidate_seq
    frame = yield from kvm.kvm_gmem_get_pfn(slot, fault.gfn)
    if isinstance(frame, int):
        return frame
    kvm.note_pfn(fault, frame)
    fault.map_writable = not slot.flags & KVM_MEM_READONLY
    yield GMEM_LOCK
    return kvm.stage2_map(fault, root)


def user_mem_abort(kvm: Kvm, fault: Fault, root: Root) -> Steps[str | int]:
    """Mirror of user_mem_abort(), arch/arm64/kvm/mmu.c.

    With logging on, only a write fault maps writable.
    """
    slot = fault.slot
    assert slot is not None
    yield "user_mem_abort.mmu_seq"
    fault.mmu_seq = kvm.mmu_invalidate_seq
    hva = slot.userspace_addr + fault.gfn - slot.base_gfn
    frame, writable = yield from kvm.hva_to_pfn(
        hva, fault.write, try_write=not slot.flags & KVM_MEM_READONLY
    )
    if isinstance(frame, int):
        return "SIGBUS" if frame == -EHWPOISON else frame
    kvm.note_pfn(fault, frame)
    fault.map_writable = writable and not slot.flags & KVM_MEM_READONLY
    if slot.dirty_bitmap is not None and not fault.write:
        fault.map_writable = False
    yield USER_LOCK
    return kvm.stage2_map(fault, root)


def stage2_map(kvm: Kvm, fault: Fault, root: Root) -> str:
    """The end of both aborts (arch/arm64/kvm/mmu.c): retry check, map or relax, drop the page."""
    kvm.mmu_lock.read_lock()
    outcome = RET_PF_RETRY
    if not kvm.mmu_invalidate_retry(fault.mmu_seq):
        frame = fault.frame
        assert frame is not None
        old = root.sptes.get(fault.gfn)
        if old is not None and old.frame is not frame:
            # Break before make: the old leaf and its TLB entries go first.
            kvm.zap_leaf(root, fault.gfn)
            kvm.kvm_tlb_flush_vmid_range(fault.gfn, fault.gfn + 1)
        if old is None or old.frame is not frame or fault.write > old.writable:
            kvm.make_spte(
                root, fault.slot, fault.gfn, frame, fault.generation, fault.map_writable, fault
            )
        kvm.pf_fixed += 1
        outcome = RET_PF_FIXED
    kvm.kvm_mmu_finish_page_fault(fault)
    kvm.mmu_lock.read_unlock()
    return outcome

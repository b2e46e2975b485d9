"""The x86 page fault: from a guest access to an installed leaf.

The pfn is looked up without mmu_lock; the sequence snapshot before, and the stale check under
mmu_lock after, make sure that no invalidation came between.  arch/x86/kvm/mmu/mmu.c, tdp_mmu.c
and paging_tmpl.h.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reference.frames import Frame, put_page
from reference.primitives import Steps, WantRead, WantWrite
from reference.state import (
    Fault,
    MemorySlot,
    Root,
    Spte,
    Vcpu,
    kvm_memslot_is_gmem_only,
    kvm_slot_has_gmem,
)
from reference.uapi import (
    EAGAIN,
    EFAULT,
    EHWPOISON,
    KVM_MEM_READONLY,
    KVM_MEMORY_ATTRIBUTE_PRIVATE,
    PTE_PREFETCH_NUM,
)

if TYPE_CHECKING:
    from reference.kvm import Kvm

# enum of RET_PF_*: what a fault comes to.  An int is a negative errno for userspace.
RET_PF_CONTINUE: Final = "CONTINUE"
RET_PF_RETRY: Final = "RETRY"
RET_PF_FIXED: Final = "FIXED"
RET_PF_SPURIOUS: Final = "SPURIOUS"
RET_PF_EMULATE: Final = "MMIO"

TDP_MAP_LOCK = WantRead("mmu_lock", "kvm_tdp_mmu_page_fault.mmu_lock")
DIRECT_MAP_LOCK = WantWrite("mmu_lock", "direct_page_fault.mmu_lock")
SHADOW_MAP_LOCK = WantWrite("mmu_lock", "FNAME_page_fault.mmu_lock")


def kvm_mmu_do_page_fault(
    kvm: Kvm, vcpu: Vcpu, gfn: int, write: bool, as_id: int, l2: bool, prefetch: bool
) -> Steps[str | int]:
    """Mirror of kvm_mmu_do_page_fault(), arch/x86/kvm/mmu/mmu_internal.h.

    prefetch is true for KVM_PRE_FAULT_MEMORY.  Must be called with SRCU held for reading.
    """
    fault = Fault(vcpu, gfn, write, as_id, l2)
    fault.prefetch = prefetch
    fault.is_private = bool(kvm.mem_attr_array.get(gfn, 0) & KVM_MEMORY_ATTRIBUTE_PRIVATE)
    yield "kvm_mmu_do_page_fault.slot"
    fault.slot = kvm.gfn_to_memslot(as_id, gfn)
    if kvm.features["tdp_mmu"] and not l2:
        return (yield from kvm.kvm_tdp_mmu_page_fault(fault))
    if kvm.features["shadow"] or l2:
        return (yield from kvm.FNAME_page_fault(fault))
    return (yield from kvm.direct_page_fault(fault))


def fast_page_fault(kvm: Kvm, fault: Fault) -> str:
    """Mirror of fast_page_fault(), arch/x86/kvm/mmu/mmu.c; "" when it is not for the fast path.

    Restores write permission on a present leaf, without any lock; never brings a new pfn.
    """
    root = fault.vcpu.roots.get((fault.as_id, fault.l2))
    spte = root.sptes.get(fault.gfn) if root is not None else None
    if spte is None or not fault.write or root is None or root.invalid:
        return ""
    if spte.writable:
        return RET_PF_SPURIOUS
    if not spte.host_writable:
        return ""
    spte.writable = True
    if fault.slot is not None:
        kvm.mark_page_dirty_in_slot(fault.slot, fault.gfn)
    return RET_PF_FIXED


def kvm_mmu_faultin_pfn(kvm: Kvm, fault: Fault) -> Steps[str | int]:
    """Mirror of kvm_mmu_faultin_pfn(), arch/x86/kvm/mmu/mmu.c."""
    yield "kvm_mmu_faultin_pfn.mmu_seq"
    fault.mmu_seq = kvm.mmu_invalidate_seq
    attributes = kvm.mem_attr_array.get(fault.gfn, 0)
    if fault.is_private != bool(attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE):
        return -EFAULT
    slot = fault.slot
    if slot is None:
        root = fault.vcpu.roots.get((fault.as_id, fault.l2))
        if root is not None:
            root.tables = True  # of the leaf that says MMIO: kvm_handle_noslot_fault()
        return -EFAULT if fault.is_private else RET_PF_EMULATE
    if slot.invalid:
        return -EAGAIN if fault.prefetch else RET_PF_RETRY
    if kvm.mmu_invalidate_retry_gfn_unsafe(fault):
        return RET_PF_RETRY
    result = yield from kvm._kvm_mmu_faultin_pfn(fault)
    if result != RET_PF_CONTINUE:
        return result
    yield "kvm_mmu_faultin_pfn.recheck"
    if kvm.mmu_invalidate_retry_gfn_unsafe(fault):
        kvm.kvm_mmu_finish_page_fault(fault)
        return RET_PF_RETRY
    return RET_PF_CONTINUE


def mmu_invalidate_retry_gfn_unsafe(kvm: Kvm, fault: Fault) -> bool:
    """Mirror of mmu_invalidate_retry_gfn_unsafe(), include/linux/kvm_host.h.

    Without mmu_lock it may only save work: the real check comes under the lock.
    """
    if (
        kvm.mmu_invalidate_in_progress
        and kvm.mmu_invalidate_range_start <= fault.gfn < kvm.mmu_invalidate_range_end
    ):
        return True
    return kvm.mmu_invalidate_seq != fault.mmu_seq


def _kvm_mmu_faultin_pfn(kvm: Kvm, fault: Fault) -> Steps[str | int]:
    """Mirror of __kvm_mmu_faultin_pfn(), arch/x86/kvm/mmu/mmu.c: guest_memfd or user page."""
    slot = fault.slot
    assert slot is not None
    if fault.is_private or kvm_memslot_is_gmem_only(slot):
        return (yield from kvm.kvm_mmu_faultin_pfn_gmem(fault))
    return (yield from kvm.kvm_faultin_pfn_hva(fault))


def kvm_mmu_faultin_pfn_gmem(kvm: Kvm, fault: Fault) -> Steps[str | int]:
    """Mirror of kvm_mmu_faultin_pfn_gmem(), arch/x86/kvm/mmu/mmu.c."""
    slot = fault.slot
    assert slot is not None
    if not kvm_slot_has_gmem(slot):
        return -EFAULT
    frame = yield from kvm.kvm_gmem_get_pfn(slot, fault.gfn)
    if isinstance(frame, int):
        return frame
    kvm.note_pfn(fault, frame)
    fault.map_writable = not slot.flags & KVM_MEM_READONLY
    return RET_PF_CONTINUE


def kvm_faultin_pfn_hva(kvm: Kvm, fault: Fault) -> Steps[str | int]:
    """Mirror of the ordinary half of __kvm_mmu_faultin_pfn(), arch/x86/kvm/mmu/mmu.c, over
    __kvm_faultin_pfn(), virt/kvm/kvm_main.c.  A write to a read-only slot is emulated."""
    slot = fault.slot
    assert slot is not None
    if fault.write and slot.flags & KVM_MEM_READONLY:
        return RET_PF_EMULATE
    frame, writable = yield from kvm.hva_to_pfn(
        slot.userspace_addr + fault.gfn - slot.base_gfn,
        fault.write,
        try_write=not slot.flags & KVM_MEM_READONLY,
    )
    if isinstance(frame, int):
        return "SIGBUS" if frame == -EHWPOISON else frame
    kvm.note_pfn(fault, frame)
    fault.map_writable = writable and not slot.flags & KVM_MEM_READONLY
    return RET_PF_CONTINUE


def note_pfn(kvm: Kvm, fault: Fault, frame: Frame) -> None:
    """Keep the pfn a fault found, and for the observer, when; mirrors no kernel function."""
    fault.frame = frame
    fault.generation = frame.generation
    kvm.watch.pfn_read(fault)


def kvm_mmu_finish_page_fault(kvm: Kvm, fault: Fault) -> None:
    """Mirror of kvm_mmu_finish_page_fault(), arch/x86/kvm/mmu/mmu.c: drop the page reference."""
    if fault.frame is not None:
        put_page(kvm, fault.frame)
        fault.frame = None


def is_page_fault_stale(kvm: Kvm, fault: Fault) -> bool:
    """Mirror of is_page_fault_stale(), arch/x86/kvm/mmu/mmu.c; mmu_lock is held."""
    root = fault.vcpu.roots.get((fault.as_id, fault.l2))
    if root is None or root.invalid:
        return True
    return fault.slot is not None and kvm.mmu_invalidate_retry_gfn(fault.mmu_seq, fault.gfn)


def kvm_tdp_mmu_page_fault(kvm: Kvm, fault: Fault) -> Steps[str | int]:
    """Mirror of kvm_tdp_mmu_page_fault(), arch/x86/kvm/mmu/mmu.c: maps under the read side."""
    yield "fast_page_fault.walk"
    result: str | int = kvm.fast_page_fault(fault)
    if result:
        return result
    result = yield from kvm.kvm_mmu_faultin_pfn(fault)
    if result != RET_PF_CONTINUE:
        return result
    yield TDP_MAP_LOCK
    kvm.mmu_lock.read_lock()
    if kvm.is_page_fault_stale(fault):
        outcome = RET_PF_RETRY
    else:
        yield "kvm_tdp_mmu_map.install"
        outcome = kvm.kvm_tdp_mmu_map(fault)
    kvm.kvm_mmu_finish_page_fault(fault)
    kvm.mmu_lock.read_unlock()
    return outcome


def kvm_tdp_mmu_map(kvm: Kvm, fault: Fault) -> str:
    """Mirror of kvm_tdp_mmu_map(), arch/x86/kvm/mmu/tdp_mmu.c; the leaf is one atomic exchange."""
    root = fault.vcpu.roots.get((fault.as_id, fault.l2))
    frame = fault.frame
    assert frame is not None
    if root is None:
        return RET_PF_RETRY
    old = root.sptes.get(fault.gfn)
    if old is not None:
        if old.frame is not frame:
            kvm.BUG("kvm_tdp_mmu_map: a present leaf changes its pfn")
        elif old.writable or not fault.write:
            return RET_PF_SPURIOUS
    kvm.make_spte(root, fault.slot, fault.gfn, frame, fault.generation, fault.map_writable, fault)
    return RET_PF_FIXED


def make_spte(
    kvm: Kvm,
    root: Root,
    slot: MemorySlot | None,
    gfn: int,
    frame: Frame,
    generation: int,
    writable: bool,
    fault: Fault | None,
) -> None:
    """Mirror of make_spte(), arch/x86/kvm/mmu/spte.c, and of writing the leaf.

    A writable leaf in a logged slot marks its page dirty at once.  fault is None for a
    prefetched leaf, which starts with its accessed bit clear.
    """
    assert slot is not None
    if gfn not in root.sptes:
        kvm.pages_4k += 1
    spte = Spte(frame, writable, prefetched=fault is None)
    spte.generation = generation
    root.sptes[gfn] = spte
    root.tables = True
    if writable:
        kvm.mark_page_dirty_in_slot(slot, gfn)
    kvm.watch.spte_installed(root, gfn, spte, fault)


def direct_page_fault(kvm: Kvm, fault: Fault) -> Steps[str | int]:
    """Mirror of direct_page_fault(), arch/x86/kvm/mmu/mmu.c: the legacy direct MMU (tdp_mmu=0)."""
    yield "fast_page_fault.walk"
    result: str | int = kvm.fast_page_fault(fault)
    if result:
        return result
    result = yield from kvm.kvm_mmu_faultin_pfn(fault)
    if result != RET_PF_CONTINUE:
        return result
    yield DIRECT_MAP_LOCK
    kvm.mmu_lock.write_lock()
    if kvm.is_page_fault_stale(fault):
        outcome = RET_PF_RETRY
    else:
        outcome = yield from kvm.direct_map(fault)
    kvm.kvm_mmu_finish_page_fault(fault)
    kvm.mmu_lock.write_unlock()
    return outcome


def direct_map(kvm: Kvm, fault: Fault) -> Steps[str]:
    """Mirror of direct_map(), arch/x86/kvm/mmu/mmu.c: the leaf, then its neighbours."""
    outcome = kvm.mmu_set_spte(fault)
    if outcome != RET_PF_SPURIOUS:
        yield "direct_pte_prefetch.walk"
        kvm.direct_pte_prefetch(fault)
    return outcome


def mmu_set_spte(kvm: Kvm, fault: Fault) -> str:
    """Mirror of mmu_set_spte(), arch/x86/kvm/mmu/mmu.c; mmu_lock is held for writing."""
    root = fault.vcpu.roots[fault.as_id, fault.l2]
    frame = fault.frame
    assert frame is not None
    old = root.sptes.get(fault.gfn)
    if old is not None and old.frame is not frame:
        if root.kind == "shadow" and not (kvm.features["shadow"] or root.l2):
            kvm.WARN_ON("mmu_set_spte: a direct leaf changes its pfn")
        kvm.zap_leaf(root, fault.gfn)
        kvm.kvm_flush_remote_tlbs()
    elif old is not None and (old.writable or not fault.write):
        return RET_PF_SPURIOUS
    kvm.make_spte(root, fault.slot, fault.gfn, frame, fault.generation, fault.map_writable, fault)
    return RET_PF_FIXED


def prefetch_candidates(gfn: int) -> range:
    """The aligned block of leaves that prefetch looks at (PTE_PREFETCH_NUM, mmu.c of x86)."""
    first = gfn & ~(PTE_PREFETCH_NUM - 1)
    return range(first, first + PTE_PREFETCH_NUM)


def direct_pte_prefetch(kvm: Kvm, fault: Fault) -> None:
    """Mirror of direct_pte_prefetch(), arch/x86/kvm/mmu/mmu.c.

    Runs of non-present neighbours are filled from user page tables, whatever the slot's
    provider is.  Not while any invalidation is in progress.
    """
    if kvm.mmu_invalidate_in_progress:
        return
    root = fault.vcpu.roots[fault.as_id, fault.l2]
    run: list[int] = []
    for gfn in prefetch_candidates(fault.gfn):
        if gfn in root.sptes or gfn == fault.gfn:
            if run and not kvm.kvm_mmu_prefetch_sptes(fault, root, run[0], len(run)):
                return
            run = []
        else:
            run.append(gfn)
    if run:
        kvm.kvm_mmu_prefetch_sptes(fault, root, run[0], len(run))


def kvm_mmu_prefetch_sptes(kvm: Kvm, fault: Fault, root: Root, gfn: int, count: int) -> bool:
    """Mirror of kvm_mmu_prefetch_sptes(), arch/x86/kvm/mmu/mmu.c.

    Takes what a lockless, write-intent look at the user page tables yields, from the start of
    the run up to the first page that is not there.
    """
    slot = kvm.gfn_to_memslot(fault.as_id, gfn)
    if slot is None or slot.invalid or slot.dirty_bitmap is not None:
        return False
    if slot.flags & KVM_MEM_READONLY or gfn + count > slot.base_gfn + slot.npages:
        return False
    done = False
    for one in range(gfn, gfn + count):
        frame = kvm.get_user_page_fast_only(slot.userspace_addr + one - slot.base_gfn, write=True)
        if frame is None:
            break
        kvm.make_spte(root, slot, one, frame, frame.generation, True, None)
        put_page(kvm, frame)
        done = True
    return done


def FNAME_page_fault(kvm: Kvm, fault: Fault) -> Steps[str | int]:
    """Mirror of FNAME(page_fault)(), arch/x86/kvm/mmu/paging_tmpl.h.

    Assumption: guest page tables map every page to itself, writable, and live outside the
    modelled slots; walking them sets their accessed bit and never fails.
    """
    yield "FNAME_walk_addr.gpte"
    kvm.gpte_accessed.add(fault.gfn)
    result = yield from kvm.kvm_mmu_faultin_pfn(fault)
    if result != RET_PF_CONTINUE:
        return result
    yield SHADOW_MAP_LOCK
    kvm.mmu_lock.write_lock()
    if kvm.is_page_fault_stale(fault):
        outcome = RET_PF_RETRY
    else:
        outcome = kvm.mmu_set_spte(fault)
        if outcome != RET_PF_SPURIOUS:
            yield "FNAME_pte_prefetch.walk"
            kvm.FNAME_pte_prefetch(fault)
    kvm.kvm_mmu_finish_page_fault(fault)
    kvm.mmu_lock.write_unlock()
    return outcome


def FNAME_pte_prefetch(kvm: Kvm, fault: Fault) -> None:
    """Mirror of FNAME(pte_prefetch)(), arch/x86/kvm/mmu/paging_tmpl.h: one by one, up
    to the first that the guest's own PTE does not call accessed."""
    if kvm.mmu_invalidate_in_progress:
        return
    root = fault.vcpu.roots[fault.as_id, fault.l2]
    for gfn in prefetch_candidates(fault.gfn):
        if gfn in root.sptes:
            continue
        if gfn not in kvm.gpte_accessed or not kvm.kvm_mmu_prefetch_sptes(fault, root, gfn, 1):
            return

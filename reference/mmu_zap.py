"""Removing leaves: range walks, whole memslots, everything; and the roots they hang from.

x86: arch/x86/kvm/mmu/mmu.c and tdp_mmu.c.  arm64: arch/arm64/kvm/mmu.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.primitives import Retry, Steps, WantMutex, WantRead, WantWrite
from reference.state import (
    KVM_REQ_MMU_FREE_OBSOLETE_ROOTS,
    GfnRange,
    MemorySlot,
    Root,
    Vcpu,
)

if TYPE_CHECKING:
    from reference.kvm import Kvm

ZAP_RESCHED = Retry("kvm_tdp_mmu_zap_leafs.resched")
ZAP_RELOCK = WantWrite("mmu_lock", "kvm_tdp_mmu_zap_leafs.relock")
ZAP_ALL_FAST = WantWrite("mmu_lock", "kvm_mmu_zap_all_fast.mmu_lock")
ZAP_INVALIDATED = WantRead("mmu_lock", "kvm_tdp_mmu_zap_invalidated_roots.mmu_lock")
ZAP_MEMSLOT = WantWrite("mmu_lock", "kvm_mmu_zap_memslot.mmu_lock")
FLUSH_MEMSLOT = WantWrite("mmu_lock", "kvm_arch_flush_shadow_memslot.mmu_lock")
FLUSH_ALL = WantWrite("mmu_lock", "kvm_flush_shadow_all.mmu_lock")


def rwlock_needbreak(kvm: Kvm) -> bool:
    """Mirror of rwlock_needbreak() on mmu_lock, include/linux/spinlock.h: somebody waits."""
    return any(
        isinstance(want, WantMutex) and want.attribute == "mmu_lock"
        for want in kvm.waiting.values()
    )


def zap_leaf(kvm: Kvm, root: Root, gfn: int) -> None:
    """Clear one present leaf; counts as handle_changed_spte() does, arch/x86/kvm/mmu/tdp_mmu.c."""
    del root.sptes[gfn]
    kvm.pages_4k -= 1


def kvm_unmap_gfn_range(kvm: Kvm, gfn_range: GfnRange) -> Steps[bool]:
    """Mirror of kvm_unmap_gfn_range(), arch/x86/kvm/mmu/mmu.c and arch/arm64/kvm/mmu.c.

    Returns whether the caller must flush.  arm64 does its own TLBI and says no.
    """
    kvm.check_slot_alive(gfn_range.slot, "kvm_unmap_gfn_range")
    if not kvm.x86:
        kvm.stage2_unmap_gfns(gfn_range.slot, gfn_range.start, gfn_range.end, gfn_range.from_hva)
        return False
    return (yield from kvm.kvm_tdp_mmu_zap_leafs(gfn_range))


def kvm_tdp_mmu_zap_leafs(kvm: Kvm, gfn_range: GfnRange) -> Steps[bool]:
    """Mirror of kvm_tdp_mmu_zap_leafs(), arch/x86/kvm/mmu/tdp_mmu.c, and of the rmap walk
    __kvm_rmap_zap_gfn_range(), arch/x86/kvm/mmu/mmu.c.

    Walks invalid roots too; only leaves of valid ones need a flush.  May give mmu_lock away
    when somebody wants it, flushing first.
    """
    slot = gfn_range.slot
    flush = False
    zapped = 0
    for root in kvm.roots[:]:
        if root.as_id != slot.as_id or not root.sptes:
            continue
        for gfn in sorted(g for g in root.sptes if gfn_range.start <= g < gfn_range.end):
            if zapped and gfn_range.may_block:
                yield "kvm_tdp_mmu_zap_leafs.cond_resched"
                if kvm.rwlock_needbreak():
                    if flush:
                        kvm.kvm_flush_remote_tlbs()
                        flush = False
                    kvm.mmu_lock.write_unlock()
                    yield ZAP_RESCHED
                    yield ZAP_RELOCK
                    kvm.mmu_lock.write_lock()
                if gfn not in root.sptes:
                    continue
            kvm.zap_leaf(root, gfn)
            zapped += 1
            flush |= not root.invalid
    if zapped:
        kvm.watch.sptes_unmapped(slot, zapped, gfn_range.from_hva)
        if gfn_range.from_hva:
            kvm.notifier_zaps += zapped
    return flush


def stage2_unmap_gfns(kvm: Kvm, slot: MemorySlot, start: int, end: int, from_hva: bool) -> None:
    """Mirror of __unmap_stage2_range() and kvm_nested_s2_unmap(), arch/arm64/kvm/mmu.c and
    nested.c: the range from the VM's stage 2, and everything from nested ones."""
    zapped = 0
    for root in kvm.roots:
        gfns = list(root.sptes) if root.l2 else [g for g in root.sptes if start <= g < end]
        for gfn in gfns:
            kvm.zap_leaf(root, gfn)
            zapped += 0 if root.l2 else 1
        if gfns and root.l2:
            kvm.kvm_flush_remote_tlbs()
    kvm.kvm_tlb_flush_vmid_range(start, end)
    if zapped:
        kvm.watch.sptes_unmapped(slot, zapped, from_hva)
        if from_hva:
            kvm.notifier_zaps += zapped


def kvm_arch_flush_shadow_memslot(kvm: Kvm, slot: MemorySlot) -> Steps[None]:
    """Mirror of kvm_arch_flush_shadow_memslot(), arch/x86/kvm/mmu/mmu.c and arch/arm64/kvm/mmu.c.

    No invalidation is counted here: the slot is INVALID and SRCU has been waited for.
    """
    if not kvm.x86:
        yield FLUSH_MEMSLOT
        kvm.mmu_lock.write_lock()
        kvm.stage2_unmap_gfns(slot, slot.base_gfn, slot.base_gfn + slot.npages, from_hva=False)
        kvm.mmu_lock.write_unlock()
    elif kvm.has_private_mem:
        yield from kvm.kvm_mmu_zap_memslot(slot)
    else:  # VM type DEFAULT with KVM_X86_QUIRK_SLOT_ZAP_ALL, which is on unless turned off
        yield from kvm.kvm_mmu_zap_all_fast()


def kvm_mmu_zap_memslot(kvm: Kvm, slot: MemorySlot) -> Steps[None]:
    """Mirror of kvm_mmu_zap_memslot(), arch/x86/kvm/mmu/mmu.c."""
    yield ZAP_MEMSLOT
    kvm.mmu_lock.write_lock()
    gfn_range = GfnRange(slot, slot.base_gfn, slot.base_gfn + slot.npages, True, from_hva=False)
    if (yield from kvm.kvm_unmap_gfn_range(gfn_range)):
        kvm.kvm_flush_remote_tlbs()
    kvm.mmu_lock.write_unlock()


def kvm_mmu_zap_all_fast(kvm: Kvm) -> Steps[None]:
    """Mirror of kvm_mmu_zap_all_fast(), arch/x86/kvm/mmu/mmu.c.

    Every root goes obsolete at once and every vCPU is told to load a new one, which flushes;
    then the leaves are freed, those of the TDP MMU under mmu_lock held for reading.
    """
    yield ZAP_ALL_FAST
    kvm.mmu_lock.write_lock()
    kvm.kvm_tdp_mmu_invalidate_roots()
    kvm.kvm_make_all_cpus_request(KVM_REQ_MMU_FREE_OBSOLETE_ROOTS)
    yield "kvm_zap_obsolete_pages.zap"
    kvm.kvm_zap_obsolete_pages()
    kvm.mmu_lock.write_unlock()
    if kvm.features["tdp_mmu"]:
        yield ZAP_INVALIDATED
        kvm.mmu_lock.read_lock()
        kvm.kvm_tdp_mmu_zap_invalidated_roots()
        kvm.mmu_lock.read_unlock()


def kvm_tdp_mmu_invalidate_roots(kvm: Kvm) -> None:
    """Mirror of kvm_tdp_mmu_invalidate_roots(), arch/x86/kvm/mmu/tdp_mmu.c, and of the flip of
    mmu_valid_gen in kvm_mmu_zap_all_fast()."""
    for root in kvm.roots:
        root.invalid = True


def kvm_zap_obsolete_pages(kvm: Kvm) -> None:
    """Mirror of kvm_zap_obsolete_pages(), arch/x86/kvm/mmu/mmu.c: shadow pages only.

    Their tables are freed, and a flush of all vCPUs comes first, for the kick: nobody may still
    walk them.  A vCPU that ran made tables, at least those of the guest's code.
    """
    if kvm.drop_invalid_roots("shadow"):
        kvm.kvm_flush_remote_tlbs()


def kvm_tdp_mmu_zap_invalidated_roots(kvm: Kvm) -> None:
    """Mirror of kvm_tdp_mmu_zap_invalidated_roots(), arch/x86/kvm/mmu/tdp_mmu.c."""
    kvm.drop_invalid_roots("tdp")


def drop_invalid_roots(kvm: Kvm, kind: str) -> bool:
    """Zap the leaves of invalid roots of one kind, and forget the roots (tdp_mmu.c, mmu.c).

    Returns whether there were tables below one.
    """
    invalid = [r for r in kvm.roots if r.invalid and r.kind == kind]
    for root in invalid:
        kvm.pages_4k -= len(root.sptes)
        root.sptes.clear()
        kvm.roots.remove(root)
    return any(root.tables for root in invalid)


def kvm_flush_shadow_all(kvm: Kvm) -> Steps[None]:
    """Mirror of kvm_flush_shadow_all(), virt/kvm/kvm_main.c, that is kvm_mmu_zap_all() on x86
    and kvm_uninit_stage2_mmu() on arm64: the mm is going away."""
    yield FLUSH_ALL
    kvm.mmu_lock.write_lock()
    for root in kvm.roots:
        kvm.pages_4k -= len(root.sptes)
        root.sptes.clear()
    kvm.kvm_flush_remote_tlbs()
    kvm.mmu_lock.write_unlock()


def kvm_mmu_free_obsolete_roots(kvm: Kvm, vcpu: Vcpu) -> None:
    """Mirror of kvm_mmu_free_obsolete_roots(), arch/x86/kvm/mmu/mmu.c.

    The last user of a shadow root frees it, which flushes all vCPUs for the kick; the roots of
    the guest and those of its guest are freed one after the other.
    """
    for l2 in (False, True):
        freed = False
        for key in [k for k, root in vcpu.roots.items() if root.invalid and root.l2 == l2]:
            root = vcpu.roots.pop(key)
            held = any(root in other.roots.values() for other in kvm.vcpus)
            freed |= root.kind == "shadow" and not held
        if freed:
            kvm.kvm_flush_remote_tlbs()
    vcpu.tlb.clear()  # nothing runs before the next root is loaded, and that flushes


def kvm_mmu_reload(kvm: Kvm, vcpu: Vcpu, as_id: int, l2: bool) -> None:
    """Mirror of kvm_mmu_reload(), arch/x86/kvm/mmu.h: make sure that there is a valid root."""
    if vcpu.requests & KVM_REQ_MMU_FREE_OBSOLETE_ROOTS:
        vcpu.requests &= ~KVM_REQ_MMU_FREE_OBSOLETE_ROOTS
        kvm.kvm_mmu_free_obsolete_roots(vcpu)
    if (as_id, l2) not in vcpu.roots:
        kvm.kvm_mmu_load(vcpu, as_id, l2)


def root_kind(kvm: Kvm, l2: bool) -> str:
    """Which MMU serves an access: see mmu_is_direct and the role of roots, mmu.c of x86."""
    if not kvm.x86:
        return "s2"
    return "tdp" if kvm.features["tdp_mmu"] and not l2 else "shadow"


def kvm_mmu_load(kvm: Kvm, vcpu: Vcpu, as_id: int, l2: bool) -> Root:
    """Mirror of kvm_mmu_load(), arch/x86/kvm/mmu/mmu.c: find or make a valid root, and flush.

    The allocation takes mmu_lock for an instant; nothing here depends on who has it, so the
    step is not split.  arm64 has one stage 2 per VM and one per nested context.
    """
    for root in kvm.roots:
        if root.as_id == as_id and root.l2 == l2 and not root.invalid:
            break
    else:
        root = Root(kvm.root_kind(l2), as_id, l2)
        kvm.roots.append(root)
    vcpu.roots[as_id, l2] = root
    if kvm.x86:
        vcpu.tlb.clear()
    return root

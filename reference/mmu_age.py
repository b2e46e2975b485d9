"""Accessed state of leaves (aging), and write protection for dirty logging."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.primitives import Steps, WantRead, WantWrite
from reference.state import GfnRange, MemorySlot
from reference.uapi import KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY

if TYPE_CHECKING:
    from collections.abc import Container

    from reference.kvm import Kvm

WRPROT_WRITE = WantWrite("mmu_lock", "kvm_mmu_slot_remove_write_access.mmu_lock")
WRPROT_READ = WantRead("mmu_lock", "kvm_mmu_slot_remove_write_access.tdp_mmu_lock")


def kvm_age_gfn(kvm: Kvm, gfn_range: GfnRange) -> Steps[bool]:
    """Mirror of kvm_age_gfn(), arch/x86/kvm/mmu/mmu.c and arch/arm64/kvm/mmu.c.

    Clears accessed state and tells whether any was set.  TDP: valid roots only.  arm64 ages the
    VM's own stage 2, never nested ones.
    """
    young = kvm.young_leaves(gfn_range, clear=True)
    kvm.watch.young_tested(gfn_range, young, True)
    return young
    yield ""  # a handler is a generator


def kvm_test_age_gfn(kvm: Kvm, gfn_range: GfnRange) -> Steps[bool]:
    """Mirror of kvm_test_age_gfn(), arch/x86/kvm/mmu/mmu.c and arch/arm64/kvm/mmu.c."""
    young = kvm.young_leaves(gfn_range, clear=False)
    kvm.watch.young_tested(gfn_range, young, False)
    return young
    yield ""  # a handler is a generator


def young_leaves(kvm: Kvm, gfn_range: GfnRange, clear: bool) -> bool:
    """Look at, and perhaps clear, accessed state of a slot's leaves (the walk inside
    kvm_tdp_mmu_age_gfn_range() and kvm_rmap_age_gfn_range(), arch/x86/kvm/mmu)."""
    young = False
    for root in kvm.roots:
        if root.as_id != gfn_range.slot.as_id or root.invalid:
            continue
        if root.l2 and not kvm.x86:
            continue
        for gfn, spte in root.sptes.items():
            if gfn_range.start <= gfn < gfn_range.end and spte.accessed:
                young = True
                if clear:
                    spte.accessed = False
    return young


def write_protect_gfns(
    kvm: Kvm, slot: MemorySlot, gfns: Container[int], kinds: tuple[str, ...]
) -> bool:
    """Take write permission from leaves of a slot in roots of some kinds; was there any?

    The common core of wrprot_gfn_range() (arch/x86/kvm/mmu/tdp_mmu.c), rmap_write_protect()
    (mmu.c) and kvm_stage2_wp_range() (arch/arm64/kvm/mmu.c).
    """
    changed = False
    for root in kvm.roots:
        if root.as_id != slot.as_id or root.kind not in kinds:
            continue
        if root.invalid and root.kind == "tdp":
            continue
        for gfn, spte in root.sptes.items():
            if gfn in gfns and spte.writable:
                spte.writable = False
                changed = True
    return changed


def kvm_mmu_slot_apply_flags(kvm: Kvm, old: MemorySlot, new: MemorySlot) -> Steps[None]:
    """Mirror of kvm_mmu_slot_apply_flags(), arch/x86/kvm/x86.c, and of
    kvm_arch_commit_memory_region(), arch/arm64/kvm/mmu.c.

    Turning logging on write-protects the slot and then flushes, after mmu_lock is dropped and
    always: somebody else may have write-protected without having flushed yet.  With only 4K
    pages there is nothing to recover when logging is turned off.  x86 leaves read-only slots alone.
    """
    if kvm.x86 and new.flags & KVM_MEM_READONLY:
        return
    log_dirty = new.flags & KVM_MEM_LOG_DIRTY_PAGES
    if log_dirty == old.flags & KVM_MEM_LOG_DIRTY_PAGES or not log_dirty:
        return
    if kvm.dirty_log_initially_set:
        return
    gfns = range(new.base_gfn, new.base_gfn + new.npages)
    if not kvm.features["tdp_mmu"] or any(root.kind == "shadow" for root in kvm.roots):
        yield WRPROT_WRITE
        kvm.mmu_lock.write_lock()
        kvm.write_protect_gfns(new, gfns, ("shadow", "s2"))
        kvm.mmu_lock.write_unlock()
    if kvm.features["tdp_mmu"]:
        yield WRPROT_READ
        kvm.mmu_lock.read_lock()
        kvm.write_protect_gfns(new, gfns, ("tdp",))
        kvm.mmu_lock.read_unlock()
    yield "kvm_mmu_slot_apply_flags.flush"
    kvm.kvm_flush_remote_tlbs()

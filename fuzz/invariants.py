"""The oracles: one function per rule, each checked where its inputs change.

Each function is called by the event that could break its rule, reads the model, and reports
(rule, site).  A site says which kind of slot and leaf is concerned or which kernel function let
it happen; it is part of the fingerprint, so it holds no numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.mappings import how_made, kind_of_slot, report_mappings_in, report_mappings_of
from reference.observer import Observer
from reference.state import (
    MemorySlot,
    Root,
    Spte,
    TlbEntry,
    Vcpu,
    kvm_memslot_is_gmem_only,
)
from reference.uapi import KVM_MEM_READONLY, KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS

if TYPE_CHECKING:
    from reference.frames import Frame
    from reference.gmem_types import GmemFile, GmemInode
    from reference.kvm import Kvm
    from reference.primitives import Task
    from reference.state import Fault, GfnRange, GfnToPfnCache


class Oracles(Observer):
    """Listens to one run of one model.

    survival_promised: whether the model's patch promises that leaves of gmem-only slots stay.
    """

    __slots__ = (
        "bound_at_start",
        "clock",
        "ended",
        "generations",
        "kvm",
        "pending",
        "poisoned",
        "seq_at_start",
        "survival_promised",
        "touched",
    )

    def __init__(self, survival_promised: bool) -> None:
        self.survival_promised = survival_promised
        self.kvm: Kvm
        self.clock = 0  # invalidations that have ended
        self.ended: list[tuple[int, int, int]] = []  # gfns [start, end), clock
        self.pending: dict[Task, list[tuple[int, int]]] = {}
        self.seq_at_start: dict[Task, int] = {}
        self.bound_at_start: dict[Task, list[MemorySlot]] = {}
        self.generations: dict[int, int] = {}
        self.touched: dict[Spte, bool] = {}
        self.poisoned = False

    def attach(self, kvm: Kvm) -> None:
        self.kvm = kvm

    def detach(self) -> None:
        del self.kvm

    # J1
    def finished(self) -> None:
        """invalidate-balance: called when every op has ended."""
        kvm = self.kvm
        if kvm.mn_active_invalidate_count or kvm.mmu_invalidate_in_progress:
            kvm.report(
                "invalidate-balance",
                "kvm_mmu_notifier_invalidate_range_end",
                f"active count {kvm.mn_active_invalidate_count}, in progress "
                f"{kvm.mmu_invalidate_in_progress} after everything has ended",
            )

    # J2, J15
    def slots_published(self, as_id: int, old_generation: int, generation: int) -> None:
        """swap-under-invalidation and generation."""
        kvm = self.kvm
        if kvm.mn_active_invalidate_count:
            kvm.report(
                "swap-under-invalidation",
                "kvm_swap_active_memslots",
                f"memslots of address space {as_id} are swapped while "
                f"{kvm.mn_active_invalidate_count} invalidations are active",
            )
        number = old_generation & ~KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS
        last = self.generations.get(as_id, -1)
        if number <= last or number % kvm.nr_as != as_id:
            kvm.report(
                "generation",
                "kvm_swap_active_memslots",
                f"generation {number} of address space {as_id} follows {last}",
            )
        self.generations[as_id] = number

    # J5, J6
    def invalidation_counted(self) -> None:
        self.seq_at_start[self.kvm.current] = self.kvm.mmu_invalidate_seq

    def range_added(self, start: int, end: int) -> None:
        self.pending.setdefault(self.kvm.current, []).append((start, end))

    def invalidation_ended(self) -> None:
        """seq-before-count; and remembers what ended for stale-install."""
        kvm, task = self.kvm, self.kvm.current
        if self.seq_at_start.pop(task, -1) == kvm.mmu_invalidate_seq:
            kvm.report(
                "seq-before-count",
                "kvm_mmu_invalidate_end",
                f"{task} lowers the count with the sequence still at {kvm.mmu_invalidate_seq}",
            )
        self.clock += 1
        for start, end in self.pending.pop(task, ()):
            self.ended.append((start, end, self.clock))

    def pfn_read(self, fault: Fault) -> None:
        fault.pfn_clock = self.clock

    def spte_installed(self, root: Root, gfn: int, spte: Spte, fault: Fault | None) -> None:
        """stale-install, and the gmem-only rules for leaves, and poisoned-mapped."""
        slot = fault.slot if fault is not None else self.kvm.gfn_to_memslot(root.as_id, gfn)
        self.stale_install(gfn, fault)
        if slot is not None and slot.freed:
            self.kvm.report(
                "deleted-slot-spte",
                "later install",
                f"gfn {gfn:#x} is mapped for {slot}, whose deletion is committed",
            )
        if slot is not None and kvm_memslot_is_gmem_only(slot):
            self.gmem_backing(slot, gfn, spte.frame, "leaf", how_made(spte))
            self.gmem_permission(slot, gfn, spte.writable)
        if self.poisoned and spte.frame.poisoned:
            self.poisoned_mapped(spte.frame)

    def stale_install(self, gfn: int, fault: Fault | None) -> None:
        """J5: no invalidation of the gfn ended, or is in progress, since the pfn was read.

        A prefetched leaf (no fault) has its pfn read in the same step.
        """
        kvm = self.kvm
        for start, end, clock in reversed(self.ended):
            if fault is None or clock <= fault.pfn_clock:
                break
            if start <= gfn < end:
                kvm.report(
                    "stale-install",
                    "is_page_fault_stale",
                    f"gfn {gfn:#x}: an invalidation of [{start:#x}, {end:#x}) ended after "
                    f"{kvm.current} had read {fault.frame}, and the leaf is installed",
                )
                return
        for task, ranges in self.pending.items():
            for start, end in ranges:
                if start <= gfn < end:
                    kvm.report(
                        "stale-install",
                        "mmu_invalidate_in_progress",
                        f"gfn {gfn:#x}: {kvm.current} installs while {task} is between start "
                        f"and end of [{start:#x}, {end:#x})",
                    )
                    return

    # J4
    def range_start_returned(self, start: int, end: int) -> None:
        """unflushed-range: ordinary slots have nothing left in the range."""
        kvm = self.kvm
        for as_id in range(kvm.nr_as):
            for slot in kvm.memslots[as_id].slots.values():
                if slot.userspace_addr >= end or start >= slot.userspace_addr + slot.npages:
                    continue
                if kvm_memslot_is_gmem_only(slot):
                    continue
                offset = slot.base_gfn - slot.userspace_addr
                first = max(start, slot.userspace_addr) + offset
                last = min(end, slot.userspace_addr + slot.npages) + offset
                report_mappings_in(
                    self.kvm, slot, first, last, "unflushed-range", "range_start has returned"
                )

    # J7, J12, J18
    def frame_freed(self, frame: Frame) -> None:
        """stale-spte: nobody maps a page that goes back to the allocator."""
        report_mappings_of(self.kvm, frame, "stale-spte", "is freed")

    def cache_removed(self, inode: GmemInode, index: int, frame: Frame) -> None:
        """truncate-before-zap: nobody maps a page that leaves the page cache."""
        report_mappings_of(
            self.kvm, frame, "truncate-before-zap", f"leaves {inode.name} page {index:#x}"
        )

    def page_poisoned(self, frame: Frame) -> None:
        """poisoned-mapped: nobody maps a page whose failure has been handled."""
        self.poisoned = True
        report_mappings_of(self.kvm, frame, "poisoned-mapped", "is poisoned")

    def poisoned_mapped(self, frame: Frame) -> None:
        """poisoned-mapped: nor does anybody map it later."""
        if frame.lock.owner is None:  # while it is locked, its failure is still being handled
            self.kvm.report(
                "poisoned-mapped", "later install", f"{self.kvm.current} maps poisoned {frame}"
            )

    # J9, J10
    def pte_changed(self, page: int) -> None:
        """stale-gpc: a PTE changed under a valid cache."""
        if self.kvm.gpc_list:
            for gpc in self.kvm.gpc_list:
                if gpc.valid and gpc.uhva == page:
                    self.stale_gpc(gpc, "user PTE change")

    def gpc_validated(self, gpc: GfnToPfnCache) -> None:
        """stale-gpc: a cache became valid on a page that is no longer there."""
        self.stale_gpc(gpc, "hva_to_pfn_retry")

    def stale_gpc(self, gpc: GfnToPfnCache, site: str) -> None:
        """J9: what a valid cache maps is what the user PTE maps."""
        pte = self.kvm.mm.ptes.get(gpc.uhva)
        if pte is None or pte.frame is not gpc.frame:
            now = pte.frame if pte is not None else "nothing"
            self.kvm.report(
                "stale-gpc",
                site,
                f"gpc{gpc.id} is valid with {gpc.frame}, but its user address maps {now}",
            )

    def gpc_side_done(self, start: int, end: int) -> None:
        """gpc-after-mmu: caches of the range are invalid by now."""
        for gpc in self.kvm.gpc_list:
            if gpc.valid and start <= gpc.uhva < end:
                self.kvm.report(
                    "gpc-after-mmu",
                    "kvm_mmu_notifier_invalidate_range_start",
                    f"gpc{gpc.id} is still valid when the memslot side starts",
                )

    # J11, J13
    def gmem_range_started(self, inode: GmemInode, start: int, end: int) -> None:
        """Remembers the slots for bindings-changed."""
        bound = [slot for file in inode.files for slot in file.bound_in(start, end)]
        self.bound_at_start[self.kvm.current] = bound

    def gmem_range_ended(self, inode: GmemInode, start: int, end: int) -> None:
        """bindings-changed: start and end of one invalidation see the same slots."""
        bound = [slot for file in inode.files for slot in file.bound_in(start, end)]
        if self.bound_at_start.pop(self.kvm.current, bound) != bound:
            self.kvm.report(
                "bindings-changed",
                "kvm_gmem_invalidate_end",
                f"slots bound to {inode.name} changed during an invalidation",
            )

    def gmem_pfn_returned(self, file: GmemFile, slot: MemorySlot, index: int) -> None:
        """unbound-pfn: the slot is bound to the page it gets."""
        if file.bound_at(index) is not slot:
            self.kvm.report(
                "unbound-pfn", "kvm_gmem_get_pfn", f"{slot} gets page {index:#x} of {file} unbound"
            )

    # J14
    def slot_deleted(self, slot: MemorySlot) -> None:
        """deleted-slot-spte; gfns that another slot took meanwhile (a move) do not count."""
        kvm = self.kvm
        others = kvm.memslots[slot.as_id].slots.values()
        first, last = slot.base_gfn, slot.base_gfn + slot.npages
        if any(s.base_gfn < last and first < s.base_gfn + s.npages for s in others):
            return
        report_mappings_in(self.kvm, slot, first, last, "deleted-slot-spte", "the slot is deleted")

    # J16
    def guest_wrote(self, vcpu: Vcpu, slot: MemorySlot | None, gfn: int) -> None:
        """lost-dirty: outside of ioctls on slots, a write to a logged slot has its bit set."""
        if slot is None or slot.dirty_bitmap is None or slot.invalid:
            return
        if gfn - slot.base_gfn not in slot.dirty_bitmap and self.kvm.slots_lock.owner is None:
            self.kvm.report(
                "lost-dirty",
                "guest write",
                f"vcpu{vcpu.id} writes gfn {gfn:#x} of {slot}, and its dirty bit is clear",
            )

    # J17 and plain use after free
    def frame_used(self, frame: Frame, generation: int, who: str) -> None:
        """use-after-free and unzeroed."""
        if frame.generation != generation or frame.free:
            self.kvm.report(
                "use-after-free",
                who.rstrip("0123456789"),
                f"{who} uses pfn{frame.pfn}.{generation}; that page was freed, and the frame is "
                f"now {frame}{' (free)' if frame.free else ''}",
            )
        elif not frame.uptodate:
            self.kvm.report(
                "unzeroed", who.rstrip("0123456789"), f"{who} uses {frame} before it is zeroed"
            )

    # J20
    def lock_slots(self, name: str) -> None:
        """notifier-takes-slots-lock."""
        if self.kvm.current.notifier_depth:
            self.kvm.report(
                "notifier-takes-slots-lock", name, f"{self.kvm.current} takes {name} in a notifier"
            )

    # J21
    def tlb_filled(self, vcpu: Vcpu, gfn: int, entry: TlbEntry, spte: Spte, as_id: int) -> None:
        """Remembers use for young-lost; and the gmem-only rules for TLB entries."""
        self.touched[spte] = True
        slot = self.kvm.gfn_to_memslot(as_id, gfn)
        if slot is not None and kvm_memslot_is_gmem_only(slot):
            self.gmem_backing(slot, gfn, entry.frame, "tlb", how_made(spte))
            self.gmem_permission(slot, gfn, entry.writable)

    def young_tested(self, gfns: GfnRange, young: bool, clear: bool) -> None:
        """young-lost: a leaf that was used since the last clear makes the answer yes."""
        kvm = self.kvm
        for root in kvm.roots:
            if root.as_id != gfns.slot.as_id or root.invalid or (root.l2 and not kvm.x86):
                continue
            for gfn, spte in root.sptes.items():
                if gfns.start <= gfn < gfns.end and spte in self.touched:
                    if not young:
                        kvm.report(
                            "young-lost",
                            f"{kind_of_slot(gfns.slot)} leaf",
                            f"gfn {gfn:#x} of {gfns.slot} was used, the hook says it was not",
                        )
                    if clear:
                        del self.touched[spte]

    # gmem-only slots
    def gmem_backing(self, slot: MemorySlot, gfn: int, frame: Frame, what: str, how: str) -> None:
        """gmem-backing: a leaf or TLB entry maps what the page cache holds at its offset."""
        file = slot.gmem_file
        if file is None:
            return
        index = gfn - slot.base_gfn + slot.gmem_pgoff
        if file.inode.pages.get(index) is not frame:
            self.kvm.report(
                "gmem-backing",
                f"{how} {what}",
                f"gfn {gfn:#x} of gmem-only {slot} maps {frame}, but {file} page {index:#x} is "
                f"{file.inode.pages.get(index)}",
            )

    def gmem_permission(self, slot: MemorySlot, gfn: int, writable: bool) -> None:
        """gmem-permission: writable if and only if the slot is."""
        if writable == bool(slot.flags & KVM_MEM_READONLY):
            self.kvm.report(
                "gmem-permission",
                "leaf",
                f"gfn {gfn:#x} of gmem-only {slot} is "
                f"{'writable' if writable else 'read-only'}, the slot is not",
            )

    def sptes_unmapped(self, slot: MemorySlot, count: int, from_hva: bool) -> None:
        """gmem-survival: HVA notifiers leave gmem-only slots alone, where that is promised."""
        if from_hva and self.survival_promised and kvm_memslot_is_gmem_only(slot):
            self.kvm.report(
                "gmem-survival",
                "kvm_unmap_gfn_range",
                f"an HVA notifier removed {count} leaves of gmem-only {slot}",
            )

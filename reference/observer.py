"""What the model tells the outside about itself, event by event.

The model calls these at the moments named; the base class does nothing.  fuzz/invariants.py
listens and checks rules.  An observer must not change the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reference.frames import Frame
    from reference.gmem_types import GmemFile, GmemInode
    from reference.kvm import Kvm
    from reference.state import (
        Fault,
        GfnRange,
        GfnToPfnCache,
        MemorySlot,
        Root,
        Spte,
        TlbEntry,
        Vcpu,
    )


class Observer:
    """Ignores everything."""

    __slots__ = ()

    def attach(self, kvm: Kvm) -> None:
        """The model that will be observed has been made."""

    def detach(self) -> None:
        """The run has ended: let go of the model, which knows its observer, too."""

    def finished(self) -> None:
        """Every operation of the program has ended."""

    def pfn_read(self, fault: Fault) -> None:
        """A fault looked its pfn up."""

    def spte_installed(self, root: Root, gfn: int, spte: Spte, fault: Fault | None) -> None:
        """A leaf was written; fault is None for a prefetched one."""

    def sptes_unmapped(self, slot: MemorySlot, count: int, from_hva: bool) -> None:
        """A range walk removed `count` leaves of a slot."""

    def tlb_filled(self, vcpu: Vcpu, gfn: int, entry: TlbEntry, spte: Spte, as_id: int) -> None:
        """A vCPU's hardware walk cached a translation."""

    def guest_wrote(self, vcpu: Vcpu, slot: MemorySlot | None, gfn: int) -> None:
        """Guest code stored to a page."""

    def frame_used(self, frame: Frame, generation: int, who: str) -> None:
        """A page was read or written through a translation made at `generation`."""

    def frame_freed(self, frame: Frame) -> None:
        """A page goes back to the allocator (its generation is still the old one)."""

    def range_added(self, start: int, end: int) -> None:
        """The current task added gfns [start, end) to the invalidation in progress."""

    def invalidation_counted(self) -> None:
        """mmu_invalidate_in_progress was raised by the current task."""

    def invalidation_ended(self) -> None:
        """mmu_invalidate_in_progress is about to be lowered by the current task."""

    def gpc_side_done(self, start: int, end: int) -> None:
        """range_start is about to walk memslots; pfn caches must be invalid by now."""

    def range_start_returned(self, start: int, end: int) -> None:
        """range_start of HVA pages [start, end) is done."""

    def gmem_range_started(self, inode: GmemInode, start: int, end: int) -> None:
        """guest_memfd began to invalidate file pages [start, end)."""

    def gmem_range_ended(self, inode: GmemInode, start: int, end: int) -> None:
        """guest_memfd is about to end that invalidation."""

    def cache_removed(self, inode: GmemInode, index: int, frame: Frame) -> None:
        """A page is about to leave a file's page cache."""

    def gmem_pfn_returned(self, file: GmemFile, slot: MemorySlot, index: int) -> None:
        """kvm_gmem_get_pfn is about to return a page."""

    def page_poisoned(self, frame: Frame) -> None:
        """error_folio (or the anonymous path) finished with a poisoned page."""

    def pte_changed(self, page: int) -> None:
        """The user PTE at this HVA page was just cleared or now maps another frame."""

    def gpc_validated(self, gpc: GfnToPfnCache) -> None:
        """A pfn cache became valid."""

    def slots_published(self, as_id: int, old_generation: int, generation: int) -> None:
        """A memslot set becomes the active one."""

    def slot_deleted(self, slot: MemorySlot) -> None:
        """A delete (or the old half of a move) is committed."""

    def lock_slots(self, name: str) -> None:
        """slots_lock or slots_arch_lock was taken."""

    def young_tested(self, gfns: GfnRange, young: bool, clear: bool) -> None:
        """A young hook looked at a slot's range."""

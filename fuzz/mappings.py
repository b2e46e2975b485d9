"""Who maps what: the two questions that most oracles ask of leaves and TLBs.

A TLB entry counts while its vCPU could still use it: a flush that is pending comes before the
next guest instruction.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reference.state import MemorySlot, Spte, TlbEntry, Vcpu, kvm_memslot_is_gmem_only

if TYPE_CHECKING:
    from reference.frames import Frame
    from reference.kvm import Kvm


def leaves(kvm: Kvm) -> Iterator[tuple[int, int, Spte]]:
    """Every present leaf: (address space, gfn, leaf)."""
    for root in kvm.roots:
        for gfn, spte in root.sptes.items():
            yield root.as_id, gfn, spte


def live_translations(kvm: Kvm) -> Iterator[tuple[int, int, TlbEntry, Vcpu]]:
    """Every TLB entry that its vCPU could still use: (address space, gfn, entry, vCPU)."""
    for vcpu in kvm.vcpus:
        if vcpu.tlb and vcpu.sees_tlb():
            for (gfn, as_id, _), entry in vcpu.tlb.items():
                yield as_id, gfn, entry, vcpu


def report_mappings_in(
    kvm: Kvm, slot: MemorySlot, first: int, last: int, rule: str, when: str
) -> None:
    """Report leaves and live TLB entries of gfns [first, last) in a slot's address space."""
    for as_id, gfn, spte in leaves(kvm):
        if first <= gfn < last and as_id == slot.as_id:
            kvm.report(
                rule,
                f"{kind_of_slot(slot)} {how_made(spte)} leaf",
                f"{when}, but gfn {gfn:#x} of {slot} still maps {spte.frame}",
            )
    for as_id, gfn, entry, vcpu in live_translations(kvm):
        if first <= gfn < last and as_id == slot.as_id:
            kvm.report(
                rule,
                f"{kind_of_slot(slot)} tlb",
                f"{when}, but vcpu{vcpu.id} still caches gfn {gfn:#x} of {slot} as "
                f"pfn{entry.frame.pfn}.{entry.generation}",
            )


def report_mappings_of(kvm: Kvm, frame: Frame, rule: str, what: str) -> None:
    """Report leaves and live TLB entries that map a frame, in any slot."""
    for as_id, gfn, spte in leaves(kvm):
        if spte.frame is frame and spte.generation == frame.generation:
            slot = kvm.gfn_to_memslot(as_id, gfn)
            kvm.report(
                rule,
                f"{kind_of_slot(slot)} {how_made(spte)} leaf",
                f"{frame} {what} while gfn {gfn:#x} of {slot} maps it",
            )
    for as_id, gfn, entry, vcpu in live_translations(kvm):
        if entry.frame is frame and entry.generation == frame.generation:
            slot = kvm.gfn_to_memslot(as_id, gfn)
            kvm.report(
                rule,
                f"{kind_of_slot(slot)} tlb",
                f"{frame} {what} while vcpu{vcpu.id} caches gfn {gfn:#x} of {slot}",
            )


def kind_of_slot(slot: MemorySlot | None) -> str:
    """The kind of slot, as sites name it."""
    if slot is None:
        return "no slot"
    return "gmem-only" if kvm_memslot_is_gmem_only(slot) else "ordinary"


def how_made(spte: Spte) -> str:
    """How a leaf came about, as sites name it."""
    return "prefetched" if spte.prefetched else "faulted"

"""Who maps what: the two questions that most oracles ask of leaves and TLBs.

A TLB entry counts while its vCPU could still use it: a flush that is pending comes before the
next guest instruction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.state import MemorySlot, Spte, kvm_memslot_is_gmem_only

if TYPE_CHECKING:
    from reference.frames import Frame
    from reference.kvm import Kvm


def report_mappings_in(
    kvm: Kvm, slot: MemorySlot, first: int, last: int, rule: str, when: str
) -> None:
    """Report leaves and live TLB entries of gfns [first, last) in a slot's address space."""
    for root in kvm.roots:
        if root.as_id != slot.as_id or not root.sptes:
            continue
        for gfn, spte in root.sptes.items():
            if first <= gfn < last:
                kvm.report(
                    rule,
                    f"{kind_of_slot(slot)} {how_made(spte)} leaf",
                    f"{when}, but gfn {gfn:#x} of {slot} still maps {spte.frame}",
                )
    for vcpu in kvm.vcpus:
        if not vcpu.tlb or not vcpu.sees_tlb():
            continue
        for (gfn, as_id, _), entry in vcpu.tlb.items():
            if first <= gfn < last and as_id == slot.as_id:
                kvm.report(
                    rule,
                    f"{kind_of_slot(slot)} tlb",
                    f"{when}, but vcpu{vcpu.id} still caches gfn {gfn:#x} of {slot} as "
                    f"pfn{entry.frame.pfn}.{entry.generation}",
                )


def report_mappings_of(kvm: Kvm, frame: Frame, rule: str, what: str) -> None:
    """Report leaves and live TLB entries that map a frame, in any slot."""
    for root in kvm.roots:
        for gfn, spte in root.sptes.items():
            if spte.frame is frame and spte.generation == frame.generation:
                slot = kvm.gfn_to_memslot(root.as_id, gfn)
                kvm.report(
                    rule,
                    f"{kind_of_slot(slot)} {how_made(spte)} leaf",
                    f"{frame} {what} while gfn {gfn:#x} of {slot} maps it",
                )
    for vcpu in kvm.vcpus:
        if not vcpu.tlb or not vcpu.sees_tlb():
            continue
        for (gfn, as_id, _), entry in vcpu.tlb.items():
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

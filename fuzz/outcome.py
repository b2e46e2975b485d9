"""What a finished run leaves behind that user space or the guest could see.

Plain data, so that two states compare with ``==`` and print as themselves.  Frame numbers,
leaves and counters are not part of it: they may differ without anybody noticing.
"""

from __future__ import annotations

from typing import Any

from reference.kvm import Kvm
from reference.state import INVALID_GPA, kvm_memslot_is_gmem_only


def final_state(kvm: Kvm) -> dict[str, Any]:
    """Memslots, dirty bitmaps, page caches, user memory and pfn caches, by name."""
    final: dict[str, Any] = {}
    for as_id in range(kvm.nr_as):
        for number, slot in kvm.memslots[as_id].slots.items():
            name = f"slot{number}" if not as_id else f"slot{number}@as{as_id}"
            file = slot.gmem_file
            final[name] = (
                slot.base_gfn,
                slot.npages,
                slot.flags,
                slot.userspace_addr,
                file.inode.name if file is not None else None,
                slot.gmem_pgoff,
            )
            if slot.dirty_bitmap is not None:
                final[f"dirty {name}"] = frozenset(slot.dirty_bitmap)
    for fd, file in kvm.fds.items():
        pages = {index: frame.content for index, frame in file.inode.pages.items()}
        final[f"page cache of gmem{fd}"] = pages
    final["user memory"] = memory = _user_memory(kvm)
    for number, gpc in kvm.gpcs.items():
        content = memory.get(gpc.uhva)  # what a refresh would find
        if gpc.valid and gpc.frame is not None:
            content = gpc.frame.content
        gpa = gpc.gpa if gpc.gpa != INVALID_GPA else None
        final[f"gpc{number}"] = (gpc.active, gpa, content)
    return final


def _user_memory(kvm: Kvm) -> dict[int, int]:
    """Contents by HVA page, whether the page is present or swapped out."""
    memory = {page: pte.frame.content for page, pte in kvm.mm.ptes.items()}
    for page, entry in kvm.mm.entries.items():
        if entry.kind in ("swap", "swapcache", "migration"):
            memory[page] = entry.content if entry.frame is None else entry.frame.content
    return memory


def young_leaves(ours: Kvm, theirs: Kvm) -> list[tuple[str, bool, bool]]:
    """Accessed state of ordinary slots' leaves that both sides have: (where, ours, theirs)."""
    found: list[tuple[str, bool, bool]] = []
    for root in ours.roots:
        twin = next((r for r in theirs.roots if (r.as_id, r.l2) == (root.as_id, root.l2)), None)
        if twin is None or root.invalid or twin.invalid:
            continue
        for gfn in sorted(root.sptes.keys() & twin.sptes.keys()):
            slot = ours.gfn_to_memslot(root.as_id, gfn)
            if slot is not None and not kvm_memslot_is_gmem_only(slot):
                where = f"young bit of gfn {gfn:#x}"
                found.append((where, root.sptes[gfn].accessed, twin.sptes[gfn].accessed))
    return found


def guest_memory(ours: Kvm, theirs: Kvm) -> list[tuple[str, int | None, int | None]]:
    """What the guest would read at each gfn that either side maps: (where, ours, theirs)."""
    gfns = {
        (root.as_id, gfn)
        for kvm in (ours, theirs)
        for root in kvm.roots
        if not root.l2 and not root.invalid
        for gfn in root.sptes
    }
    return [
        (f"guest memory gfn {gfn:#x}" + (f" as{as_id}" if as_id else ""),
         ours.backing_of(gfn, as_id), theirs.backing_of(gfn, as_id))
        for as_id, gfn in sorted(gfns)
    ]  # fmt: skip

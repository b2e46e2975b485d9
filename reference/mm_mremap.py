"""mremap(2): moving, shrinking and growing mappings.  mm/mremap.c; counts are pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.mm_types import Vma
from reference.mm_vma import MAPPED_PAGES_MAX, page_align
from reference.primitives import Steps, WantWrite
from reference.uapi import EFAULT, EINVAL, ENOMEM, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, TASK_SIZE

if TYPE_CHECKING:
    from reference.kvm import Kvm

MREMAP_LOCK = WantWrite("mmap_lock", "mremap.mmap_lock")


def do_mremap(kvm: Kvm, hva: int, length: int, new_length: int, to: int) -> Steps[int]:
    """Mirror of do_mremap(), mm/mremap.c: in place (to is 0), or to a fixed place.

    Assumption: the special case of no old length, which maps a file once more, is refused.
    """
    size, kept = page_align(length), page_align(new_length)
    if hva & PAGE_MASK or kept == 0 or kept > TASK_SIZE:
        return -EINVAL
    if to and (to > TASK_SIZE - kept or to & PAGE_MASK or (to < hva + size and hva < to + kept)):
        return -EINVAL
    if kept + sum(v.end - v.start for v in kvm.mm.vmas) * PAGE_SIZE > MAPPED_PAGES_MAX * PAGE_SIZE:
        return -ENOMEM
    yield MREMAP_LOCK
    kvm.mmap_lock.write_lock()
    start, old, new = hva >> PAGE_SHIFT, size >> PAGE_SHIFT, kept >> PAGE_SHIFT
    if not to:
        return (yield from kvm.mremap_at(start, old, new))
    if old == new:
        result = yield from kvm.remap_move(start, old, to >> PAGE_SHIFT)
    else:
        result = check_prep_vma(kvm, start, old, new)
        if not result:
            yield from kvm.mremap_to(start, old, to >> PAGE_SHIFT, new)
    kvm.mmap_lock.write_unlock()
    return result


def check_prep_vma(kvm: Kvm, start: int, old: int, new: int) -> int:
    """Mirror of check_prep_vma(), mm/mremap.c, where something is mapped anew: 0 or an errno."""
    vma = kvm.find_vma(start)
    if vma is None:
        return -EFAULT
    if old == 0:
        return -EINVAL
    return -EFAULT if min(old, new) > vma.end - start else 0


def mremap_at(kvm: Kvm, start: int, old: int, new: int) -> Steps[int]:
    """Mirror of mremap_at(), mm/mremap.c: the VMA keeps its place; counts are pages.

    Enters with mmap_lock held for writing, and leaves without it.
    """
    vma = kvm.find_vma(start)
    result = 0
    if vma is None:
        result = -EFAULT
    elif new < old:
        yield from kvm.do_vmi_munmap(start + new, start + old)
        return 0
    elif new > old:
        result = check_prep_vma(kvm, start, old, new)
        if not result:
            result = expand_vma(kvm, vma, start + old, new - old)
    kvm.mmap_lock.write_unlock()
    if not result and new > old and vma is not None and vma.locked:
        yield from kvm.populate(start + old, start + new)
    return result


def expand_vma(kvm: Kvm, vma: Vma, end: int, delta: int) -> int:
    """Mirror of expand_vma() without MREMAP_MAYMOVE, mm/mremap.c: 0 or an errno."""
    if vma.end != end or kvm.vmas_in(end, end + delta) or end + delta > TASK_SIZE >> PAGE_SHIFT:
        return -ENOMEM
    vma.end += delta
    kvm.mm.link(vma)
    return 0


def mremap_to(kvm: Kvm, start: int, old: int, new_start: int, new: int) -> Steps[None]:
    """Mirror of mremap_to() with MREMAP_FIXED, mm/mremap.c, for one VMA; counts are pages.

    What is at the new place goes first, then what is too much at the old one.
    """
    gone = kvm.split_vmas(new_start, new_start + new)
    if gone:
        kvm.detach(gone)
        yield from kvm.unmap_vmas(gone, new_start, new_start + new)
        kvm.drop_files(gone)
    if new < old:
        tail = kvm.split_vmas(start + new, start + old)
        kvm.detach(tail)
        yield from kvm.unmap_vmas(tail, start + new, start + old)
        kvm.drop_files(tail)
        old = new
    moved = kvm.split_vmas(start, start + old)
    yield from kvm.move_page_tables(moved[0], new_start, new)


def remap_move(kvm: Kvm, start: int, npages: int, new_start: int) -> Steps[int]:
    """Mirror of remap_move(), mm/mremap.c: all VMAs of a range, with the gaps between them.

    Only the first must begin where the range does.  One after the other: each has its own unmap
    of the new place, so what lies in the gaps there stays.
    """
    end = start + npages
    at = start
    last_end = -1
    while parts := kvm.vmas_in(at, end):
        vma, first, last = parts[0]
        if last_end < 0 and first > start:
            break
        gap = vma.start - last_end if last_end >= 0 else 0
        last_end = vma.end
        new_start += gap
        yield from kvm.mremap_to(first, last - first, new_start, last - first)
        new_start += last - first
        at = last
    return 0 if last_end >= 0 else -EFAULT


def move_page_tables(kvm: Kvm, vma: Vma, new_start: int, npages: int) -> Steps[None]:
    """Mirror of move_vma() and move_page_tables(), mm/mremap.c: an UNMAP of the old range."""
    start, end = vma.start, vma.end
    copy = vma.part(start, end)
    copy.start, copy.end = new_start, new_start + npages
    kvm.insert_vma(copy)
    yield from kvm.kvm_mmu_notifier_invalidate_range_start(start, end)
    yield "move_page_tables.move_ptes"
    for page in sorted(p for p in kvm.mm.ptes if start <= p < end):
        pte = kvm.mm.ptes[page]
        frame = kvm.clear_pte(page)
        assert frame is not None
        kvm.set_pte(page - start + new_start, frame, pte.writable)
        kvm.mm.ptes[page - start + new_start].unreadable = pte.unreadable
    for page in sorted(p for p in kvm.mm.entries if start <= p < end):
        kvm.mm.entries[page - start + new_start] = kvm.mm.entries.pop(page)
    kvm.detach([vma])
    yield from kvm.kvm_mmu_notifier_invalidate_range_end(start, end)

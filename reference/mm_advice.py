"""madvise and its kin, userfaultfd write protection, soft-dirty, and mlock.

mm/madvise.c, fs/userfaultfd.c, fs/proc/task_mmu.c and mm/mlock.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.frames import Frame, put_page
from reference.mm_types import PUD_SHIFT, Entry, Vma
from reference.mm_vma import page_align, page_range
from reference.primitives import Steps, WantRead, WantWrite
from reference.uapi import (
    EAGAIN,
    EBUSY,
    EFAULT,
    EINVAL,
    ENOMEM,
    EOPNOTSUPP,
    PAGE_MASK,
    PAGE_SHIFT,
    U64,
)

if TYPE_CHECKING:
    from reference.kvm import Kvm

MADVISE_LOCK = WantRead("mmap_lock", "madvise.mmap_lock")
UFFD_LOCK = WantRead("mmap_lock", "mwriteprotect_range.mmap_lock")
CLEAR_REFS_LOCK = WantWrite("mmap_lock", "clear_refs_write.mmap_lock")
PAGEMAP_LOCK = WantRead("mmap_lock", "do_pagemap_scan.mmap_lock")
MLOCK_LOCK = WantWrite("mmap_lock", "do_mlock.mmap_lock")

EVERYTHING = 1 << 52  # pages; the end of [0, -1)


def do_madvise(kvm: Kvm, hva: int, length: int, advice: str) -> Steps[int | str]:
    """Mirror of do_madvise(), mm/madvise.c: VMA by VMA; a hole makes it ENOMEM at the end."""
    size = page_align(length)
    end = (hva + size) & U64
    if hva & PAGE_MASK or (length and not size) or end < hva:
        return -EINVAL
    if length == 0:
        return 0
    pages = hva >> PAGE_SHIFT, end >> PAGE_SHIFT
    if advice in ("HWPOISON", "SOFT_OFFLINE"):
        return (yield from kvm.madvise_inject_error(pages[0], pages[1], advice))
    if advice == "POPULATE_WRITE":
        return (yield from kvm.populate(pages[0], pages[1]))
    yield MADVISE_LOCK
    kvm.mmap_lock.read_lock()
    parts = kvm.vmas_in(*pages)
    result: int | str = 0
    holes: list[tuple[Vma, int, int]] = []
    for vma, start, end in parts:
        if advice == "REMOVE":
            if vma.file is None or vma.locked:
                result = -EINVAL
                break
            vma.file.refs += 1
            holes.append((vma, start, end))
        else:
            result = yield from kvm.madvise_vma(vma, start, end, advice)
            if result:
                break
    kvm.mmap_lock.read_unlock()
    for vma, start, end in holes:  # madvise_remove() drops the lock before it punches
        assert vma.file is not None
        first = vma.index_of(start)
        yield from kvm.kvm_gmem_punch_hole(vma.file.inode, first, first + end - start)
        kvm.fput(vma.file)
    if not result and covered(parts) != pages[1] - pages[0]:
        return -ENOMEM
    return result


def covered(parts: list[tuple[Vma, int, int]]) -> int:
    """How many pages the parts of VMAs hold; a range with a hole is ENOMEM at the end (mm)."""
    return sum(end - start for _, start, end in parts)


def madvise_vma(kvm: Kvm, vma: Vma, start: int, end: int, advice: str) -> Steps[int]:
    """Mirror of madvise_vma_behavior(), mm/madvise.c, for advice that stays inside one VMA."""
    if advice in ("DONTNEED", "DONTNEED_LOCKED"):
        if vma.locked and advice == "DONTNEED":
            return -EINVAL
        yield from kvm.zap_vma_range(start, end)
    elif advice == "FREE":
        if vma.file is not None or vma.locked:
            return -EINVAL
        yield from kvm.zap_vma_range(start, end)  # assumption: freed pages are taken at once
    elif advice in ("PAGEOUT", "COLD"):
        if vma.locked:
            return -EINVAL
        # COLD marks pages old in user page tables only; guest_memfd pages are unevictable.
        if advice == "PAGEOUT" and vma.file is None:
            for page in sorted(p for p in kvm.mm.ptes if start <= p < end):
                yield from kvm.reclaim_page(page, check_young=False)
    elif advice == "GUARD_INSTALL":
        if vma.locked:
            return -EINVAL
        # Any entry but a guard is zapped, present or not.
        if any(start <= p < end for p in kvm.mm.ptes) or any(
            start <= p < end and entry.kind != "guard" for p, entry in kvm.mm.entries.items()
        ):
            yield from kvm.zap_vma_range(start, end)
        for page in range(start, end):
            if page not in kvm.mm.ptes and page not in kvm.mm.entries:
                kvm.mm.entries[page] = Entry("guard")
    elif advice == "GUARD_REMOVE":
        for page in range(start, end):
            entry = kvm.mm.entries.get(page)
            if entry is not None and entry.kind == "guard":
                del kvm.mm.entries[page]
    return 0


def zap_vma_range(kvm: Kvm, start: int, end: int, blockable: bool = True) -> Steps[None]:
    """Mirror of zap_vma_range_batched() (zap_page_range_single), mm/memory.c: a CLEAR.

    Guards stay where they are.
    """
    yield from kvm.kvm_mmu_notifier_invalidate_range_start(start, end, blockable)
    yield "zap_vma_range.zap_ptes"
    frames: list[Frame] = kvm.zap_ptes(start, end, drop_markers=False)
    yield from kvm.kvm_mmu_notifier_invalidate_range_end(start, end)
    yield "tlb_finish_mmu.free"
    for frame in frames:
        put_page(kvm, frame)


def madvise_inject_error(kvm: Kvm, start: int, end: int, advice: str) -> Steps[int]:
    """Mirror of madvise_inject_error(), mm/madvise.c: read-fault the page in, then fail it.

    soft_offline_page(), mm/memory-failure.c, says EBUSY of a page that does not move.
    """
    for page in range(start, end):
        frame = yield from kvm.get_user_pages(page, False)
        if isinstance(frame, int):
            return -EFAULT
        if advice == "SOFT_OFFLINE":
            put_page(kvm, frame)
            result = yield from kvm.migrate_page(page)
            result = -EBUSY if result in (-EOPNOTSUPP, -EAGAIN) else result
        else:
            result = yield from kvm.memory_failure(frame)
            put_page(kvm, frame)
        if result:
            return result
    return 0


def populate(kvm: Kvm, start: int, end: int) -> Steps[int]:
    """Mirror of faultin_page_range(), mm/gup.c, and madvise_populate(), mm/madvise.c: write-fault
    every page; fires no notifier."""
    for page in range(start, end):
        vma = kvm.find_vma(page)
        if vma is None:
            return -ENOMEM
        if not vma.may_write():
            return -EINVAL
        frame = yield from kvm.get_user_pages(page, True)
        if isinstance(frame, int):
            return frame
        put_page(kvm, frame)
    return 0


def do_mlock(kvm: Kvm, hva: int, length: int) -> Steps[int]:
    """Mirror of do_mlock(), mm/mlock.c: mark the VMAs up to a hole, then fault all pages in.

    A page that cannot be had is ENOMEM, as POSIX wants.
    """
    size = page_align(length + (hva & PAGE_MASK))
    start = hva & ~PAGE_MASK
    end = (start + size) & U64
    if end < start:
        return -EINVAL
    if end == start:
        return 0
    yield MLOCK_LOCK
    kvm.mmap_lock.write_lock()
    reached = start >> PAGE_SHIFT
    vmas = []
    for vma in kvm.split_vmas(reached, end >> PAGE_SHIFT):
        if vma.start != reached:
            break
        vma.locked = True
        vmas.append(vma)
        reached = vma.end
    kvm.mmap_lock.write_unlock()
    if reached != end >> PAGE_SHIFT:
        return -ENOMEM
    for vma in vmas:
        for page in range(vma.start, vma.end):
            frame = yield from kvm.get_user_pages(page, vma.may_write() and not vma.shared)
            if isinstance(frame, int):
                return -ENOMEM
            put_page(kvm, frame)
    return 0


def do_msync(kvm: Kvm, hva: int, length: int) -> int:
    """Mirror of msync(2) with MS_SYNC, mm/msync.c: no notifier.

    guest_memfd files have no fsync operation, which ends the call at the first of them.
    """
    end = (hva + page_align(length)) & U64
    if hva & PAGE_MASK:
        return -EINVAL
    if end < hva:
        return -ENOMEM
    parts = kvm.vmas_in(hva >> PAGE_SHIFT, end >> PAGE_SHIFT)
    if any(vma.file is not None for vma, _, _ in parts):
        return -EINVAL
    return 0 if covered(parts) == (end - hva) >> PAGE_SHIFT else -ENOMEM


def write_protect_ptes(kvm: Kvm, start: int, end: int) -> Steps[None]:
    """The notifier pair and the PTE changes that the three callers below share (mm/mprotect.c)."""
    yield from kvm.kvm_mmu_notifier_invalidate_range_start(start, end)
    yield "write_protect_ptes.ptes"
    for page, pte in kvm.mm.ptes.items():
        if start <= page < end:
            pte.writable = False
    yield from kvm.kvm_mmu_notifier_invalidate_range_end(start, end)


def uffd_writeprotect(kvm: Kvm, hva: int, length: int, wp_async: bool) -> Steps[int]:
    """Mirror of userfaultfd_register() and mwriteprotect_range(), mm/userfaultfd.c.

    guest_memfd only in WP_ASYNC mode, which puts markers where no page is: so its notifiers do
    not ask whether anything is populated (pgtable_populate_needed(), mm/mprotect.c).
    """
    pages = page_range(hva, length)
    if pages is None:
        return -EINVAL
    yield UFFD_LOCK
    kvm.mmap_lock.read_lock()
    parts = kvm.vmas_in(*pages)
    result = 0
    if not parts or (not wp_async and any(vma.file is not None for vma, _, _ in parts)):
        result = -EINVAL
    for _, start, end in [] if result else parts:
        if wp_async:
            kvm.mm.puds.update(range(start >> PUD_SHIFT, ((end - 1) >> PUD_SHIFT) + 1))
        first = kvm.first_populated(start, end)
        if first is not None:
            yield from kvm.write_protect_ptes(first, end)
    kvm.mmap_lock.read_unlock()
    return result


def clear_refs_write(kvm: Kvm) -> Steps[int]:
    """Mirror of clear_refs_write() with CLEAR_REFS_SOFT_DIRTY, fs/proc/task_mmu.c: [0, -1)."""
    yield CLEAR_REFS_LOCK
    kvm.mmap_lock.write_lock()
    yield from kvm.write_protect_ptes(0, EVERYTHING)
    kvm.mmap_lock.write_unlock()
    return 0


def do_pagemap_scan(kvm: Kvm, hva: int, length: int) -> Steps[int]:
    """Mirror of do_pagemap_scan() with PM_SCAN_WP_MATCHING, fs/proc/task_mmu.c.

    The notifiers hear of the whole range, VMA or not.
    """
    pages = page_range(hva, length)
    if pages is None:
        return -EINVAL if hva & PAGE_MASK or length <= 0 else -EFAULT
    yield PAGEMAP_LOCK
    kvm.mmap_lock.read_lock()
    yield from kvm.write_protect_ptes(pages[0], pages[1])
    kvm.mmap_lock.read_unlock()
    return 0

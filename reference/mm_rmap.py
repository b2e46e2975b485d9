"""What kernel threads do to mapped pages: migration, reclaim, KSM, poison, aging.

mm/rmap.c, mm/migrate.c, mm/vmscan.c, mm/ksm.c, mm/memory-failure.c, mm/page_idle.c.
Work that starts from a page holds its folio lock, not mmap_lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.frames import Frame, alloc_page, put_page
from reference.gmem_types import GmemInode
from reference.mm_types import Entry
from reference.primitives import Steps, WantLock, WantRead
from reference.uapi import (
    EACCES,
    EAGAIN,
    EBUSY,
    EFAULT,
    ENOENT,
    ENOMEM,
    EOPNOTSUPP,
    PAGE_MASK,
    PAGE_SHIFT,
)

if TYPE_CHECKING:
    from reference.kvm import Kvm

NUMA_LOCK = WantRead("mmap_lock", "task_numa_work.mmap_lock")


def pages_mapping(kvm: Kvm, frame: Frame) -> list[int]:
    """HVA pages whose PTE holds this frame now (rmap_walk(), mm/rmap.c).

    A walk goes on until there is none: a mapping that mremap() moves meanwhile is met at its new
    place, because the copy of its VMA stands behind the original (copy_vma(), mm/vma.c).
    """
    return sorted(page for page, pte in kvm.mm.ptes.items() if pte.frame is frame)


def pages_with_entry(kvm: Kvm, kind: str, frame: Frame) -> list[int]:
    """HVA pages where an entry of this kind stands for this frame now (rmap_walk(), mm/rmap.c)."""
    return sorted(
        page
        for page, entry in kvm.mm.entries.items()
        if entry.kind == kind and entry.frame is frame
    )


def rmap_walk_file(kvm: Kvm, frame: Frame) -> list[int]:
    """Where rmap_walk_file(), mm/rmap.c, looks for a page of a file: in each VMA that covers its
    index, by file offset and age, mapped there or not; nowhere for an anonymous page."""
    index = frame.index
    found = [
        (vma.pgoff, vma.linked, vma.start + index - vma.pgoff)
        for vma in kvm.mm.vmas
        if vma.file is not None
        and vma.file.inode is frame.inode
        and vma.pgoff <= index < vma.pgoff + vma.end - vma.start
    ]
    return [page for _, _, page in sorted(found)]


def unmap_one(kvm: Kvm, page: int, frame: Frame, entry: Entry | None) -> Steps[bool]:
    """Mirror of try_to_unmap_one(), try_to_migrate_one() (mm/rmap.c) and unmap_mapping_folio()
    (mm/memory.c) for one PTE: start, clear, end.  The PTE's reference goes to the caller."""
    yield from kvm.kvm_mmu_notifier_invalidate_range_start(page, page + 1)
    yield "try_to_unmap_one.clear_pte"
    pte = kvm.mm.ptes.get(page)
    mine = False
    if pte is not None and pte.frame is frame:
        mine = True
        if entry is not None:
            # As the PTE is when it is cleared: others have run since the page was looked up.
            entry.writable = entry.kind == "migration" and pte.writable
            kvm.mm.entries[page] = entry
        kvm.clear_pte(page)
    yield from kvm.kvm_mmu_notifier_invalidate_range_end(page, page + 1)
    return mine


def unmap_mapping_folio(kvm: Kvm, inode: GmemInode, frame: Frame, index: int) -> Steps[None]:
    """Mirror of unmap_mapping_folio(), mm/memory.c: a page-sized CLEAR in every VMA of the file
    that covers the index; the folio lock is held."""
    pages = [
        vma.start + index - vma.pgoff
        for vma in kvm.mm.vmas
        if vma.file is not None
        and vma.file.inode is inode
        and vma.pgoff <= index < vma.pgoff + vma.end - vma.start
    ]
    # A VMA taken out of the tree meanwhile may still have its PTE: it is found by the page.
    for page in pages:
        if (yield from kvm.unmap_one(page, frame, None)):
            put_page(kvm, frame)
    while left := kvm.pages_mapping(frame):
        if (yield from kvm.unmap_one(left[0], frame, None)):
            put_page(kvm, frame)


def do_pages_move(kvm: Kvm, page: int) -> Steps[int]:
    """Mirror of do_pages_move(), mm/migrate.c, for one page and without MPOL_MF_MOVE_ALL.

    What is not fit for moving is told at once; pages mapped more than once are left alone.
    """
    if kvm.find_vma(page) is None:
        return -EFAULT
    pte = kvm.mm.ptes.get(page)
    if pte is None:
        return -ENOENT
    if pte.frame is kvm.zero_frame:
        return -EFAULT
    if pte.frame.mapcount > 1:
        return -EACCES
    return (yield from kvm.migrate_page(page))


def migrate_page(kvm: Kvm, page: int) -> Steps[int]:
    """Mirror of migrate_folio_unmap() and move_to_new_folio(), mm/migrate.c, for one page.

    A guest_memfd page is unmapped, refused, and mapped again where it was.  Assumption: pages
    mapped by more than one process are left alone, as without MPOL_MF_MOVE_ALL.
    """
    yield "migrate_pages.isolate"
    pte = kvm.mm.ptes.get(page)
    if pte is None:
        return -ENOENT
    frame = pte.frame
    if frame is kvm.zero_frame or frame.poisoned:
        return -EBUSY
    if frame.mapcount > 1 and frame.anon:
        return -EBUSY
    frame.refs += 1
    yield WantLock(frame.lock, "migrate_folio_unmap.folio_lock")
    frame.lock.lock()
    unmapped = 0  # PTEs, whose references to the page are ours now
    for at in kvm.rmap_walk_file(frame):
        if not kvm.pages_mapping(frame):
            break
        unmapped += yield from kvm.unmap_one(at, frame, Entry("migration", frame=frame))
    while mapping := kvm.pages_mapping(frame):
        unmapped += yield from kvm.unmap_one(mapping[0], frame, Entry("migration", frame=frame))
    yield "move_to_new_folio.copy"
    result = -EAGAIN
    target = frame
    if not frame.anon:
        result = -EOPNOTSUPP  # kvm_gmem_migrate_folio() is not even asked
    elif frame.refs == 1 + unmapped:
        new = alloc_page(kvm)
        result = -ENOMEM
        if new is not None:
            new.content = frame.content
            new.uptodate = True
            new.anon = True
            target = new
            result = 0
    kvm.remove_migration_ptes(frame, target, unmapped)
    frame.lock.unlock()
    put_page(kvm, frame)
    return result


def remove_migration_ptes(kvm: Kvm, frame: Frame, target: Frame, unmapped: int) -> None:
    """Mirror of remove_migration_ptes(), mm/migrate.c: PTEs come back, with no notifier.

    They come back where their entries are by now: mremap() moves entries, and unmapping drops
    them.  unmapped: how many PTEs there were.
    """
    for page in kvm.pages_with_entry("migration", frame):
        entry = kvm.mm.entries.pop(page)
        vma = kvm.find_vma(page)
        if vma is None:
            continue  # out of the tree: about to be unmapped, and nobody looks there any more
        if target is frame:
            unmapped -= 1
        else:
            target.refs += target.mapcount > 0
        kvm.set_pte(page, target, entry.writable and vma.may_write())
        kvm.mm.ptes[page].unreadable = not vma.prot
    for _ in range(unmapped):
        put_page(kvm, frame)
    if target is not frame and target.mapcount == 0:
        put_page(kvm, target)  # every mapping went away meanwhile


def compact_page(kvm: Kvm, page: int) -> Steps[int]:
    """Mirror of isolate_migratepages_block(), mm/compaction.c: passes over guest_memfd pages."""
    pte = kvm.mm.ptes.get(page)
    if pte is None:
        return -ENOENT
    if not pte.frame.anon:
        return -EBUSY
    return (yield from kvm.migrate_page(page))


def reclaim_page(kvm: Kvm, page: int, check_young: bool) -> Steps[int]:
    """Mirror of shrink_folio_list(), mm/vmscan.c, for the page at one HVA.

    Looks whether it was used, unmaps it into the swap cache, and frees it when nobody else
    holds it.  guest_memfd pages are unevictable and never get here.
    """
    yield "shrink_folio_list.page"
    pte = kvm.mm.ptes.get(page)
    if pte is None:
        return -ENOENT
    frame = pte.frame
    vma = kvm.find_vma(page)
    if not frame.anon or frame is kvm.zero_frame or frame.mapcount > 1 or frame.poisoned:
        return -EBUSY
    if vma is not None and vma.locked:
        return -EBUSY
    frame.refs += 1
    yield WantLock(frame.lock, "shrink_folio_list.folio_lock")
    frame.lock.lock()
    result = -EBUSY
    if check_young and (yield from kvm.kvm_mmu_notifier_clear_flush_young(page, page + 1)):
        pass  # referenced: keep it
    elif (yield from kvm.unmap_one(page, frame, Entry("swapcache", frame=frame))):
        yield "shrink_folio_list.pageout"
        places = kvm.pages_with_entry("swapcache", frame)
        if places and frame.refs == 2:
            entry = kvm.mm.entries[places[0]]
            entry.kind, entry.content, entry.frame = "swap", frame.content, None
            put_page(kvm, frame)
            result = 0
    frame.lock.unlock()
    put_page(kvm, frame)
    return result


def ksm_merge(kvm: Kvm, page: int, other: int) -> Steps[int]:
    """Mirror of try_to_merge_two_pages(), mm/ksm.c: page stays, write-protected; other joins it."""
    yield "try_to_merge_two_pages.compare"
    kept, gone = kvm.mm.ptes.get(page), kvm.mm.ptes.get(other)
    if kept is None or gone is None or kept.frame is gone.frame:
        return -ENOENT
    frame, old = kept.frame, gone.frame
    if not (frame.anon and old.anon) or frame.poisoned or old.poisoned:
        return -EBUSY
    if kvm.zero_frame in (frame, old):
        return -EBUSY
    frame.refs += 1
    yield from kvm.kvm_mmu_notifier_invalidate_range_start(page, page + 1)
    yield "write_protect_page.pte"
    if kvm.mm.ptes.get(page) is kept:
        kept.writable = False
    yield from kvm.kvm_mmu_notifier_invalidate_range_end(page, page + 1)
    yield from kvm.kvm_mmu_notifier_invalidate_range_start(other, other + 1)
    yield "replace_page.pte"
    same = frame.content == old.content
    merged = (
        same and kvm.mm.ptes.get(other) is gone and kvm.mm.ptes.get(page) is kept
        and not kept.writable
    )  # fmt: skip
    if merged:
        kvm.clear_pte(other)
        frame.refs += 1
        kvm.set_pte(other, frame, False)
    yield from kvm.kvm_mmu_notifier_invalidate_range_end(other, other + 1)
    if merged:
        put_page(kvm, old)
    put_page(kvm, frame)
    return 0 if merged else -EBUSY


def memory_failure(kvm: Kvm, frame: Frame) -> Steps[int]:
    """Mirror of memory_failure(), mm/memory-failure.c, for a page the caller holds."""
    yield WantLock(frame.lock, "memory_failure.folio_lock")
    frame.lock.lock()
    if frame.poisoned or frame is kvm.zero_frame:
        frame.lock.unlock()
        return -EBUSY
    frame.poisoned = True
    for at in kvm.rmap_walk_file(frame):
        if not kvm.pages_mapping(frame):
            break
        if (yield from kvm.unmap_one(at, frame, Entry("poison"))):
            put_page(kvm, frame)
    while mapping := kvm.pages_mapping(frame):
        if (yield from kvm.unmap_one(mapping[0], frame, Entry("poison"))):
            put_page(kvm, frame)
    result = 0
    if frame.inode is not None:
        result = yield from kvm.kvm_gmem_error_folio(frame.inode, frame)
    else:
        frame.refs += 1  # page_handle_poison(): the page is never freed
        kvm.watch.page_poisoned(frame)
    frame.lock.unlock()
    return result


def memory_failure_at(kvm: Kvm, page: int) -> Steps[int]:
    """memory_failure() of whatever page the VMM maps at an HVA (mm/memory-failure.c)."""
    yield "memory_failure.lookup"
    pte = kvm.mm.ptes.get(page)
    if pte is None:
        return -ENOENT
    return (yield from kvm.hold_and_fail(pte.frame))


def memory_failure_gmem(kvm: Kvm, fd: int, offset: int) -> Steps[int]:
    """memory_failure() of a page of a guest_memfd (mm/memory-failure.c)."""
    yield "memory_failure.lookup"
    file = kvm.fds.get(fd)
    frame = file.inode.pages.get(offset >> PAGE_SHIFT) if file is not None else None
    if frame is None or offset & PAGE_MASK:
        return -ENOENT
    return (yield from kvm.hold_and_fail(frame))


def hold_and_fail(kvm: Kvm, frame: Frame) -> Steps[int]:
    """get_hwpoison_page() around memory_failure(), mm/memory-failure.c."""
    frame.refs += 1
    result = yield from kvm.memory_failure(frame)
    put_page(kvm, frame)
    return result


def numa_scan(kvm: Kvm, start: int, end: int) -> Steps[int]:
    """Mirror of task_numa_work(), kernel/sched/fair.c, and change_prot_numa(), mm/mempolicy.c.

    Which VMAs are eligible: vma_policy_mof() by default yes, an explicit policy only with
    NUMA_BALANCING; never read-only file mappings, never PROT_NONE.
    """
    yield NUMA_LOCK
    kvm.mmap_lock.read_lock()
    scanned = 0
    for vma, first, last in kvm.vmas_in(start, end):
        if vma.policy == 1 or not vma.prot:
            continue
        if vma.file is not None and not vma.may_write():
            continue
        if vma.policy == 0 and vma.file is not None and kvm.features["numa_skips_default_policy"]:
            continue
        if first < last:
            yield from kvm.change_protection(vma, first, last, None)
            scanned += last - first
    kvm.mmap_lock.read_unlock()
    return scanned


def age_page(kvm: Kvm, page: int, how: str) -> Steps[int]:
    """Young hooks as page_idle and DAMON (clear, test; mm/page_idle.c, mm/damon) or
    folio_referenced (clear_flush; mm/rmap.c) call them; 1 when the guest used the page.

    They need a present PTE; guest_memfd pages are not on the lists that folio_referenced walks.
    """
    yield "rmap_walk.page"
    pte = kvm.mm.ptes.get(page)
    if pte is None or (how == "clear_flush" and not pte.frame.anon):
        return 0
    if how == "test":
        young = yield from kvm.kvm_mmu_notifier_test_young(page)
    elif how == "clear":
        young = yield from kvm.kvm_mmu_notifier_clear_young(page, page + 1)
    else:
        young = yield from kvm.kvm_mmu_notifier_clear_flush_young(page, page + 1)
    return int(young)

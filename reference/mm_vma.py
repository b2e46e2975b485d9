"""System calls of the VMM that change its VMAs: mmap, munmap, mprotect, mbind, fork.

mm/vma.c, mm/mmap.c, mm/mprotect.c and mm/memory.c, as far as their notifiers, PTEs
and file references go.  Arguments are bytes; a length is rounded up to pages.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from reference.frames import Frame, put_page
from reference.mm_types import PUD_SHIFT, Pte, Vma
from reference.primitives import Steps, WantWrite
from reference.uapi import (
    EACCES,
    EBADF,
    EFAULT,
    EINVAL,
    ENODEV,
    ENOMEM,
    EOVERFLOW,
    EPERM,
    LARGEST_FILE,
    PAGE_MASK,
    PAGE_SHIFT,
    PROT_ALL,
    PROT_EXEC,
    PROT_GROWS,
    PROT_VALID,
    TASK_SIZE,
    U64,
)

if TYPE_CHECKING:
    from reference.kvm import Kvm

MMAP_LOCK = WantWrite("mmap_lock", "do_mmap.mmap_lock")
MUNMAP_LOCK = WantWrite("mmap_lock", "do_munmap.mmap_lock")
MPROTECT_LOCK = WantWrite("mmap_lock", "mprotect.mmap_lock")
MBIND_LOCK = WantWrite("mmap_lock", "mbind.mmap_lock")
FORK_LOCK = WantWrite("mmap_lock", "dup_mmap.mmap_lock")

# Assumption: the modelled process may map this many pages (RLIMIT_AS); more is ENOMEM.
MAPPED_PAGES_MAX = 4096

FD_FILE = -3  # of the program language: an open file that is no guest_memfd


def page_align(length: int) -> int:
    """PAGE_ALIGN(), include/linux/mm.h: rounded up to pages; the largest ones become 0."""
    return (length + PAGE_MASK) & ~PAGE_MASK & U64


def page_range(hva: int, length: int) -> tuple[int, int] | None:
    """Pages [start, end) of a byte range, or None where munmap() and its kin say EINVAL."""
    if hva & PAGE_MASK or length <= 0 or hva + length > TASK_SIZE:
        return None
    return hva >> PAGE_SHIFT, (hva + length + PAGE_MASK) >> PAGE_SHIFT


def vmas_in(kvm: Kvm, start: int, end: int) -> list[tuple[Vma, int, int]]:
    """The VMAs that meet pages [start, end), each with its part of the range
    (for_each_vma_range(), include/linux/mm.h)."""
    return [
        (vma, max(vma.start, start), min(vma.end, end))
        for vma in kvm.mm.vmas
        if vma.start < end and start < vma.end
    ]


def split_vmas(kvm: Kvm, start: int, end: int) -> list[Vma]:
    """Cut VMAs at the borders of a range; the ones inside it (__split_vma(), mm/vma.c)."""
    vmas: list[Vma] = []
    inside: list[Vma] = []
    for vma in kvm.mm.vmas:
        if vma.end <= start or end <= vma.start:
            vmas.append(vma)
            continue
        cuts = [vma.start, *(c for c in (start, end) if vma.start < c < vma.end), vma.end]
        parts = [vma.part(a, b) for a, b in pairwise(cuts)]
        if vma.file is not None:
            vma.file.refs += len(parts) - 1
        for part in parts if len(parts) > 1 else ():
            kvm.mm.link(part)
        vmas.extend(parts)
        inside.extend(p for p in parts if start <= p.start and p.end <= end)
    kvm.mm.vmas = vmas
    return inside


def zap_ptes(kvm: Kvm, start: int, end: int, drop_markers: bool = True) -> list[Frame]:
    """Clear PTEs and entries of pages [start, end); the frames wait for their last put
    (zap_pte_range(), mm/memory.c).  drop_markers: guards go as well, as with their mapping."""
    frames: list[Frame] = []
    for page in sorted(p for p in kvm.mm.ptes if start <= p < end):
        frame = kvm.clear_pte(page)
        assert frame is not None
        frames.append(frame)
    for page in [p for p in kvm.mm.entries if start <= p < end]:
        entry = kvm.mm.entries[page]
        if entry.kind == "guard" and not drop_markers:
            continue
        del kvm.mm.entries[page]
        if entry.kind == "swapcache":
            assert entry.frame is not None
            frames.append(entry.frame)
    return frames


def unmap_vmas(kvm: Kvm, vmas: list[Vma], start: int, end: int) -> Steps[None]:
    """Mirror of vms_clear_ptes(), mm/vma.c: notifiers around the PTEs, pages freed after.

    The VMAs are out of the tree already, so no fault brings a page back.
    """
    yield from kvm.kvm_mmu_notifier_invalidate_range_start(start, end)
    yield "unmap_vmas.zap_ptes"
    frames: list[Frame] = []
    for vma in vmas:
        frames += kvm.zap_ptes(vma.start, vma.end)
    yield from kvm.kvm_mmu_notifier_invalidate_range_end(start, end)
    left = {vma.start >> PUD_SHIFT for vma in kvm.mm.vmas}
    kvm.mm.puds = {pud for pud in kvm.mm.puds if pud in left}  # free_pgtables()
    yield "tlb_finish_mmu.free"
    for frame in frames:
        put_page(kvm, frame)


def detach(kvm: Kvm, vmas: list[Vma]) -> None:
    """Take VMAs out of the tree (vms_complete_munmap_vmas(), mm/vma.c)."""
    kvm.mm.vmas = [vma for vma in kvm.mm.vmas if vma not in vmas]


def drop_files(kvm: Kvm, vmas: list[Vma]) -> None:
    """Drop the file references of VMAs that are gone (remove_vma(), mm/vma.c)."""
    for vma in vmas:
        if vma.file is not None:
            kvm.fput(vma.file)


def do_munmap(kvm: Kvm, hva: int, length: int) -> Steps[int]:
    """Mirror of __vm_munmap(), mm/vma.c: the lock is a read lock while PTEs go."""
    pages = page_range(hva, length)
    if pages is None:
        return -EINVAL
    yield MUNMAP_LOCK
    kvm.mmap_lock.write_lock()
    yield from kvm.do_vmi_munmap(*pages)
    return 0


def do_vmi_munmap(kvm: Kvm, start: int, end: int) -> Steps[None]:
    """Mirror of do_vmi_munmap() with unlock, mm/vma.c: enters with mmap_lock held for writing,
    and leaves without it."""
    vmas = kvm.split_vmas(start, end)
    if not vmas:
        kvm.mmap_lock.write_unlock()
        return
    kvm.detach(vmas)
    kvm.mmap_lock.downgrade()
    yield from kvm.unmap_vmas(vmas, start, end)
    kvm.mmap_lock.read_unlock()
    kvm.drop_files(vmas)


def do_mmap(
    kvm: Kvm, hva: int, length: int, fd: int, offset: int, prot: int, shared: bool
) -> Steps[int]:
    """Mirror of do_mmap() with MAP_FIXED, mm/mmap.c, of __mmap_region(), mm/vma.c, and of
    kvm_gmem_mmap(), virt/kvm/guest_memfd.c.

    The file is asked last: when it refuses, what was mapped there before is gone.
    """
    file = kvm.fds.get(fd)
    if offset & PAGE_MASK:
        return -EINVAL
    if fd != -1 and fd != FD_FILE and file is None:
        return -EBADF
    result = mmap_range_error(hva, length, fd, offset, prot)
    if result:
        return result
    start, end = hva >> PAGE_SHIFT, (hva + page_align(length)) >> PAGE_SHIFT
    if end - start + sum(v.end - v.start for v in kvm.mm.vmas) > MAPPED_PAGES_MAX:
        return -ENOMEM
    if file is not None:
        file.refs += 1
    yield MMAP_LOCK
    kvm.mmap_lock.write_lock()
    old = kvm.split_vmas(start, end)
    if old:
        kvm.detach(old)
        yield from kvm.unmap_vmas(old, start, end)
    new = Vma(start, end, file, offset >> PAGE_SHIFT, prot & PROT_ALL, shared and file is not None)
    if file is not None and not (file.inode.supports_mmap() and shared):
        result = -EINVAL if file.inode.supports_mmap() else -ENODEV
        old.append(new)  # its reference goes, too
    else:
        kvm.insert_vma(new)
    kvm.mmap_lock.write_unlock()
    kvm.drop_files(old)
    return result


def mmap_range_error(hva: int, length: int, fd: int, offset: int, prot: int) -> int:
    """The checks of do_mmap(), mm/mmap.c, that look at no VMA, in its order: 0 or an errno."""
    if length == 0:
        return -EINVAL
    size = page_align(length)
    if size == 0 or size > TASK_SIZE or hva > TASK_SIZE - size:
        return -ENOMEM
    if hva & PAGE_MASK:
        return -EINVAL
    if fd == -1:
        return 0
    if fd != FD_FILE and offset > LARGEST_FILE - size:
        return -EOVERFLOW
    if prot & PROT_EXEC:
        return -EPERM  # mounted noexec
    return -ENODEV if fd == FD_FILE else 0


def insert_vma(kvm: Kvm, vma: Vma) -> None:
    """Put a VMA into its place (vma_link(), mm/vma.c)."""
    kvm.mm.link(vma)
    kvm.mm.vmas.append(vma)
    kvm.mm.vmas.sort(key=lambda v: v.start)


def do_mprotect(kvm: Kvm, hva: int, length: int, prot: int) -> Steps[int]:
    """Mirror of do_mprotect_pkey(), mm/mprotect.c.

    Assumption: no VMA grows, so a single PROT_GROWS* bit is refused like one that does not exist.
    """
    if prot & PROT_GROWS == PROT_GROWS or hva & PAGE_MASK:
        return -EINVAL
    if length == 0:
        return 0
    end = (hva + page_align(length)) & U64
    if end <= hva:
        return -ENOMEM
    if prot & ~PROT_VALID:
        return -EINVAL
    prot &= PROT_ALL
    yield MPROTECT_LOCK
    kvm.mmap_lock.write_lock()
    result = 0
    reached = hva >> PAGE_SHIFT
    for whole, first, last in kvm.vmas_in(reached, end >> PAGE_SHIFT):
        if first != reached:
            break
        if whole.file is not None and prot & PROT_EXEC:
            result = -EACCES  # VM_MAYEXEC went when it was mapped from a noexec mount
            break
        reached = last
        if whole.prot == prot:
            continue
        vma = kvm.split_vmas(first, last)[0]
        vma.prot = prot
        yield from kvm.change_protection(vma, vma.start, vma.end, prot)
    if not result and reached != end >> PAGE_SHIFT:
        result = -ENOMEM
    kvm.mmap_lock.write_unlock()
    return result


def change_protection(kvm: Kvm, vma: Vma, start: int, end: int, prot: int | None) -> Steps[None]:
    """Mirror of change_protection(), mm/mprotect.c.

    prot None means a NUMA scan.  Nothing happens where the upper page-table level is empty;
    areas of a program lie in one PUD each, so the range is told whole or not at all.
    """
    first = kvm.first_populated(start, end)
    if first is None:
        return
    start = first
    yield from kvm.kvm_mmu_notifier_invalidate_range_start(start, end)
    yield "change_protection.ptes"
    for page, pte in kvm.mm.ptes.items():
        if start <= page < end:
            if prot is None:  # guest_memfd pages are skipped one by one: KVM dirtied them
                pte.unreadable |= vma.file is None
            else:
                pte.writable = vma.may_write() and kvm.can_change_pte_writable(vma, pte)
                pte.unreadable = prot == 0
    yield from kvm.kvm_mmu_notifier_invalidate_range_end(start, end)


def can_change_pte_writable(kvm: Kvm, vma: Vma, pte: Pte) -> bool:
    """Mirror of can_change_pte_writable(), mm/mprotect.c: whether a PTE is as writable as its VMA.

    One of guest_memfd is: nothing has to hear of the first write (vma_wants_writenotify(),
    mm/vma.c).  Assumption: mprotect() makes pages forget that userfaultfd or clear_refs watch
    them, and a page that nobody else maps any more is the process's own at once.
    """
    own = pte.frame.mapcount == 1 and pte.frame is not kvm.zero_frame
    return vma.file is not None or pte.writable or own


def first_populated(kvm: Kvm, start: int, end: int) -> int | None:
    """Where change_pud_range(), mm/mprotect.c, starts in pages [start, end): at the first PUD
    entry that is not none; None when there is none."""
    for pud in range(start >> PUD_SHIFT, ((end - 1) >> PUD_SHIFT) + 1):
        if pud in kvm.mm.puds:
            return max(start, pud << PUD_SHIFT)
    return None


def do_mbind(kvm: Kvm, hva: int, length: int, policy: int) -> Steps[int]:
    """Mirror of do_mbind() without MPOL_MF_MOVE, mm/mempolicy.c.

    Only the default policy may be set across holes.
    """
    end = (hva + page_align(length)) & U64
    if hva & PAGE_MASK or end < hva:
        return -EINVAL
    if end == hva:
        return 0
    yield MBIND_LOCK
    kvm.mmap_lock.write_lock()
    first, last = hva >> PAGE_SHIFT, end >> PAGE_SHIFT
    parts = kvm.vmas_in(first, last)
    mapped = sum(stop - start for _, start, stop in parts)
    result = -EFAULT
    if mapped and (policy == 0 or mapped == last - first):
        result = 0
        for vma, start, stop in parts:
            if vma.policy != policy:  # else there is nothing to cut
                kvm.split_vmas(start, stop)[0].policy = policy
    kvm.mmap_lock.write_unlock()
    return result


def do_fork(kvm: Kvm) -> Steps[int]:
    """Mirror of dup_mmap() and copy_page_range(), mm/memory.c, seen from the parent.

    Private pages become copy-on-write in both; guest_memfd pages are not copied, the child
    would fault them in again.  The child only holds its references.
    """
    yield FORK_LOCK
    kvm.mmap_lock.write_lock()
    child: dict[int, Frame] = {}
    for vma in kvm.mm.vmas:
        if vma.file is not None or not vma.anon_vma:
            continue
        start, end = vma.start, vma.end
        yield from kvm.kvm_mmu_notifier_invalidate_range_start(start, end)
        yield "copy_page_range.write_protect"
        for page, pte in sorted(kvm.mm.ptes.items()):
            if start <= page < end:
                pte.writable = False
                pte.frame.refs += 1
                pte.frame.mapcount += 1
                child[page] = pte.frame
        yield from kvm.kvm_mmu_notifier_invalidate_range_end(start, end)
    kvm.mm.children.append(child)
    kvm.mmap_lock.write_unlock()
    return 0


def child_exit(kvm: Kvm) -> int:
    """The oldest forked child is torn down (exit_mmap(), mm/mmap.c); no notifier of ours."""
    if not kvm.mm.children:
        return -EINVAL
    child = kvm.mm.children.pop(0)
    for page in sorted(child):
        child[page].mapcount -= 1
        put_page(kvm, child[page])
    return 0

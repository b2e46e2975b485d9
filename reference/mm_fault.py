"""How the host process gets at its memory: page faults, get_user_pages, and plain access.

mm/memory.c and mm/gup.c, as far as KVM can tell the difference.  Only 4K pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.frames import Frame, alloc_page, clear_page, put_page, read_frame, write_frame
from reference.mm_types import PUD_SHIFT, Pte, Vma
from reference.primitives import Steps, WantLock, WantRead
from reference.uapi import EFAULT, EHWPOISON, PROT_READ, PROT_WRITE

if TYPE_CHECKING:
    from reference.kvm import Kvm

GUP_LOCK = WantRead("mmap_lock", "get_user_pages.mmap_lock")
FAULT_LOCK = WantRead("mmap_lock", "do_user_addr_fault.mmap_lock")


def find_vma(kvm: Kvm, page: int) -> Vma | None:
    """The VMA that holds a page, or None: vma_lookup(), include/linux/mm.h."""
    for vma in kvm.mm.vmas:
        if vma.start <= page < vma.end:
            return vma
    return None


def set_pte(kvm: Kvm, page: int, frame: Frame, writable: bool) -> None:
    """Map a page; the caller's reference becomes the PTE's (set_pte_at(), mm/memory.c)."""
    pte = Pte(frame, writable)
    frame.mapcount += 1
    kvm.mm.ptes[page] = pte
    kvm.mm.puds.add(page >> PUD_SHIFT)
    kvm.watch.pte_changed(page)


def clear_pte(kvm: Kvm, page: int) -> Frame | None:
    """Unmap a page and give its reference to the caller (ptep_clear_flush(), mm/rmap.c)."""
    pte = kvm.mm.ptes.pop(page, None)
    if pte is None:
        return None
    pte.frame.mapcount -= 1
    kvm.watch.pte_changed(page)
    return pte.frame


def zero_page(kvm: Kvm) -> Frame:
    """The shared page of zeroes, with a reference (ZERO_PAGE(), mm/memory.c)."""
    if kvm.zero_frame is None:
        frame = Frame(kvm.cpu, -1)
        frame.free = False
        frame.refs = 1
        frame.mapcount = 1  # never the only mapping, so never written in place
        frame.anon = True
        clear_page(frame)
        kvm.zero_frame = frame
    kvm.zero_frame.refs += 1
    return kvm.zero_frame


def handle_mm_fault(kvm: Kvm, vma: Vma, page: int, write: bool) -> Steps[str]:
    """Mirror of handle_mm_fault(), mm/memory.c: "" when worth another look, else the signal."""
    entry = kvm.mm.entries.get(page)
    if entry is not None:
        return (yield from kvm.handle_entry_fault(vma, page))
    pte = kvm.mm.ptes.get(page)
    if pte is None:
        if vma.file is not None:
            return (
                yield from kvm.kvm_gmem_fault_user_mapping(
                    vma.file.inode, page, vma.index_of(page), vma.may_write()
                )
            )
        return kvm.do_anonymous_page(vma, page, write)
    if pte.unreadable:  # a NUMA hint; PROT_NONE never gets here
        pte.unreadable = False
        return ""
    # Assumption: a userfaultfd handler, or async mode, lets every write through.
    if vma.shared:
        pte.writable = True  # no notifier: nothing becomes less accessible
        return ""
    vma.anon_vma = True
    return (yield from kvm.wp_page_copy(page, pte))


def do_anonymous_page(kvm: Kvm, vma: Vma, page: int, write: bool) -> str:
    """Mirror of do_anonymous_page(), mm/memory.c: a read maps the shared page of zeroes."""
    if not write:
        kvm.set_pte(page, kvm.zero_page(), False)
        return ""
    vma.anon_vma = True
    frame = alloc_page(kvm)
    if frame is None:
        return "OOM"
    clear_page(frame)
    frame.anon = True
    kvm.set_pte(page, frame, vma.may_write())
    return ""


def wp_page_copy(kvm: Kvm, page: int, pte: Pte) -> Steps[str]:
    """Mirror of do_wp_page() and wp_page_copy(), mm/memory.c.

    A page of our own is written in place; a shared one is copied, which the notifiers hear of.
    """
    old = pte.frame
    if old.mapcount == 1 and old is not kvm.zero_frame:
        pte.writable = True
        return ""
    new = alloc_page(kvm)
    if new is None:
        return "OOM"
    new.content = old.content
    new.uptodate = True
    new.anon = True
    yield from kvm.kvm_mmu_notifier_invalidate_range_start(page, page + 1)
    yield "wp_page_copy.set_pte"
    if kvm.mm.ptes.get(page) is pte:
        kvm.clear_pte(page)
        kvm.set_pte(page, new, True)
        drop = old
    else:
        drop = new
    yield from kvm.kvm_mmu_notifier_invalidate_range_end(page, page + 1)
    put_page(kvm, drop)
    return ""


def handle_entry_fault(kvm: Kvm, vma: Vma, page: int) -> Steps[str]:
    """Mirror of do_swap_page(), mm/memory.c: entries that stand in for a PTE."""
    entry = kvm.mm.entries[page]
    if entry.kind == "migration":
        assert entry.frame is not None
        yield WantLock(entry.frame.lock, "migration_entry_wait.folio_lock")
        return ""
    if entry.kind == "guard":
        return "SIGSEGV"
    if entry.kind == "poison":
        return "SIGBUS"
    frame = entry.frame
    if frame is not None and frame.poisoned:  # VM_FAULT_HWPOISON: kept in the swap cache for this
        return "SIGBUS"
    if frame is None:
        frame = alloc_page(kvm)
        if frame is None:
            return "OOM"
        frame.content = entry.content
        frame.uptodate = True
        frame.anon = True
    del kvm.mm.entries[page]
    kvm.set_pte(page, frame, vma.may_write() and frame.mapcount == 0)
    return ""


def allowed(vma: Vma, write: bool) -> bool:
    """Whether the VMA lets an access through (access_error(), arch/x86/mm/fault.c)."""
    return vma.may_write() if write else vma.prot != 0


def check_vma_flags(vma: Vma, write: bool) -> bool:
    """Mirror of check_vma_flags(), mm/gup.c: unlike the MMU, it asks for the very permission."""
    return bool(vma.prot & (PROT_WRITE if write else PROT_READ))


def usable(pte: Pte | None, write: bool) -> bool:
    """Whether the MMU lets an access through this PTE (gup_fast_pte_range(), mm/gup.c)."""
    return pte is not None and not pte.unreadable and (pte.writable or not write)


def get_user_page_fast_only(kvm: Kvm, page: int, write: bool) -> Frame | None:
    """Mirror of get_user_page_fast_only(), mm/gup.c: lockless; a referenced frame or None."""
    pte = kvm.mm.ptes.get(page)
    if pte is None or not usable(pte, write):
        return None
    pte.frame.refs += 1
    return pte.frame


def get_user_pages(kvm: Kvm, page: int, write: bool) -> Steps[Frame | int]:
    """Mirror of get_user_pages_unlocked(), mm/gup.c: a referenced frame or an errno."""
    yield GUP_LOCK
    kvm.mmap_lock.read_lock()
    result: Frame | int = -EFAULT
    while True:
        vma = kvm.find_vma(page)
        if vma is None or not check_vma_flags(vma, write):
            break
        frame = kvm.get_user_page_fast_only(page, write)
        if frame is not None:
            result = frame
            break
        signal = yield from kvm.handle_mm_fault(vma, page, write)
        if signal:
            result = -EHWPOISON if kvm.is_poisoned(vma, page) else -EFAULT
            break
    kvm.mmap_lock.read_unlock()
    return result


def is_poisoned(kvm: Kvm, vma: Vma, page: int) -> bool:
    """Whether a fault failed because the page is poisoned (VM_FAULT_HWPOISON, mm/memory.c)."""
    entry = kvm.mm.entries.get(page)
    if entry is not None:
        return entry.kind == "poison" or (entry.frame is not None and entry.frame.poisoned)
    if vma.file is None:
        return False
    frame = vma.file.inode.pages.get(vma.index_of(page))
    return frame is not None and frame.poisoned


def hva_to_pfn(
    kvm: Kvm, page: int, write: bool, try_write: bool
) -> Steps[tuple[Frame | int, bool]]:
    """Mirror of hva_to_pfn(), virt/kvm/kvm_main.c: (referenced frame or errno, writable).

    A read fault maps writable when user space could write anyway.  Assumption: asynchronous
    page faults are off, so a page that needs I/O is waited for.
    """
    yield "hva_to_pfn.fast"
    if write or try_write:
        frame = kvm.get_user_page_fast_only(page, True)
        if frame is not None:
            return frame, True
    slow = yield from kvm.get_user_pages(page, write)
    if isinstance(slow, int):
        return slow, False
    if write:
        return slow, True
    pte = kvm.mm.ptes.get(page)
    return slow, bool(try_write and pte and pte.frame is slow and usable(pte, True))


def user_access(kvm: Kvm, page: int, write: bool, value: int) -> Steps[int | str]:
    """A load or store of the VMM: do_user_addr_fault(), arch/x86/mm/fault.c, until it works.

    Returns the value loaded, 0 for a store, or the signal that kills the task.
    """
    while True:
        yield "user_access.mmu"
        pte = kvm.mm.ptes.get(page)
        if pte is not None and usable(pte, write):
            frame = pte.frame
            if not write:
                return read_frame(kvm, frame, frame.generation, "user")
            write_frame(kvm, frame, frame.generation, value, "user")
            return 0
        yield FAULT_LOCK
        kvm.mmap_lock.read_lock()
        vma = kvm.find_vma(page)
        signal = "SIGSEGV"
        if vma is not None and allowed(vma, write):
            signal = ""
            if not usable(kvm.mm.ptes.get(page), write):
                signal = yield from kvm.handle_mm_fault(vma, page, write)
        kvm.mmap_lock.read_unlock()
        if signal:
            return signal

"""guest_memfd: files whose pages a guest maps without going through user page tables.

virt/kvm/guest_memfd.c.  A page stays at its offset until a hole is punched there or the last
file goes away.  invalidate_lock keeps bindings stable across an invalidation; the folio lock
keeps a page in the cache while it is being handed out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.frames import Frame, alloc_page, clear_page, put_page
from reference.gmem_types import GmemFile, GmemInode
from reference.primitives import Steps, WantLock, WantMutex, WantShared, WantWrite
from reference.state import GfnRange, MemorySlot
from reference.uapi import (
    EBADF,
    EBUSY,
    EEXIST,
    EFAULT,
    EHWPOISON,
    EINVAL,
    EIO,
    EMFILE,
    ENOMEM,
    GUEST_MEMFD_FLAG_INIT_SHARED,
    GUEST_MEMFD_FLAG_MMAP,
    KVM_MEMSLOT_GMEM_ONLY,
    LARGEST_FILE,
    PAGE_MASK,
    PAGE_SHIFT,
)

if TYPE_CHECKING:
    from reference.kvm import Kvm

INVALIDATE_START = WantWrite("mmu_lock", "kvm_gmem_invalidate_start.mmu_lock")
INVALIDATE_END = WantWrite("mmu_lock", "kvm_gmem_invalidate_end.mmu_lock")
RELEASE_SLOTS = WantMutex("slots_lock", "kvm_gmem_release.slots_lock")


def kvm_gmem_create(kvm: Kvm, fd: int, size: int, flags: int) -> int:
    """Mirror of kvm_gmem_create(), virt/kvm/guest_memfd.c; size in bytes."""
    if kvm.take_failure("user_copy"):
        return -EFAULT
    valid = GUEST_MEMFD_FLAG_MMAP
    if not kvm.has_private_mem:
        valid |= GUEST_MEMFD_FLAG_INIT_SHARED
    if flags & ~valid:
        return -EINVAL
    if size <= 0 or size > LARGEST_FILE or size & PAGE_MASK:
        return -EINVAL
    if kvm.take_failure("file"):
        return -ENOMEM
    if fd < 0 or fd in kvm.fds:
        return -EMFILE  # of the program: the name is taken
    inode = GmemInode(kvm.cpu, f"gmem{fd}", size >> PAGE_SHIFT, flags)
    kvm.fds[fd] = GmemFile(inode)
    inode.files.append(kvm.fds[fd])
    return 0


def fput(kvm: Kvm, file: GmemFile) -> None:
    """Drop a file reference; the last one leaves release to task work (fput(), fs/file_table.c)."""
    file.refs -= 1
    if file.refs == 0:
        kvm.current.task_work.append(file)


def task_work_run(kvm: Kvm) -> Steps[None]:
    """Mirror of task_work_run(), kernel/task_work.c: release files on the way to user space."""
    while kvm.current.task_work:
        yield from kvm.kvm_gmem_release(kvm.current.task_work.pop(0))


def kvm_gmem_prepare(
    kvm: Kvm, slot: MemorySlot, fd: int, offset: int
) -> Steps[tuple[GmemFile | None, int]]:
    """Mirror of kvm_gmem_bind() before 7.3, of kvm_gmem_prepare() since; guest_memfd.c.

    Returns (file whose reference is kept until the slot is set, errno).  Before 7.3 the
    binding is live when this returns, which is before the slot can be seen.
    """
    file = kvm.fds.get(fd)
    if fd == -2 or (fd >= 0 and file is None):
        return None, -EBADF
    # A descriptor of another kind (0 when the field is not given), or another VM's guest_memfd.
    if file is None:
        return None, -EINVAL
    start = offset >> PAGE_SHIFT
    if offset & PAGE_MASK or start + slot.npages > file.inode.npages:
        return None, -EINVAL
    file.refs += 1
    if not kvm.features["gmem_bind_in_commit"]:
        slot.gmem_pgoff = start
        result = yield from kvm.kvm_gmem_store_binding(slot, file)
        kvm.fput(file)
        return None, result
    if slot.flags & KVM_MEMSLOT_GMEM_ONLY:
        kvm.WARN_ON("kvm_gmem_prepare: GMEM_ONLY already set")
    slot.gmem_file = file
    slot.gmem_pgoff = start
    if file.inode.supports_mmap():
        slot.flags |= KVM_MEMSLOT_GMEM_ONLY
    return file, 0


def kvm_gmem_bind(kvm: Kvm, slot: MemorySlot) -> Steps[int]:
    """Mirror of the commit half of binding since 7.3, virt/kvm/guest_memfd.c."""
    assert slot.gmem_file is not None
    return (yield from kvm.kvm_gmem_store_binding(slot, slot.gmem_file))


def kvm_gmem_store_binding(kvm: Kvm, slot: MemorySlot, file: GmemFile) -> Steps[int]:
    """The locked part of kvm_gmem_bind(), virt/kvm/guest_memfd.c: refuse overlap, then store."""
    lock = file.inode.invalidate_lock
    yield WantLock(lock, "kvm_gmem_bind.invalidate_lock")
    lock.write_lock()
    start, end = slot.gmem_pgoff, slot.gmem_pgoff + slot.npages
    if file.bound_in(start, end):
        lock.write_unlock()
        return -EEXIST if kvm.features["gmem_overlap_eexist"] else -EINVAL
    failed = kvm.take_failure("xarray")
    if failed and kvm.features["gmem_bind_in_commit"]:
        lock.write_unlock()
        return -ENOMEM
    slot.gmem_file = file
    if file.inode.supports_mmap():
        slot.flags |= KVM_MEMSLOT_GMEM_ONLY
    if not failed:  # before 7.3 nobody looks at the result
        file.bindings.append((start, end, slot))
        file.bindings.sort(key=_first_page)
    lock.write_unlock()
    return 0


def _first_page(binding: tuple[int, int, MemorySlot]) -> int:
    return binding[0]


def kvm_gmem_unbind(kvm: Kvm, slot: MemorySlot) -> Steps[None]:
    """Mirror of kvm_gmem_unbind(), virt/kvm/guest_memfd.c."""
    file = slot.gmem_file
    if file is None:
        return
    dying = file.refs == 0
    locked = not dying or kvm.features["gmem_unbind_always_locks"]
    lock = file.inode.invalidate_lock
    if locked:
        yield WantLock(lock, "kvm_gmem_unbind.invalidate_lock")
        lock.write_lock()
    start, end = slot.gmem_pgoff, slot.gmem_pgoff + slot.npages
    file.bindings = [b for b in file.bindings if not (start <= b[0] and b[1] <= end)]
    slot.gmem_file = None
    if locked:
        lock.write_unlock()


def kvm_gmem_invalidate_start(kvm: Kvm, inode: GmemInode, start: int, end: int) -> Steps[None]:
    """Mirror of kvm_gmem_invalidate_start() (_begin before 7.0), virt/kvm/guest_memfd.c.

    invalidate_lock is held.  Nothing bound: nothing to do, not even mmu_lock.
    """
    kvm.watch.gmem_range_started(inode, start, end)
    for file in inode.files:
        found = flush = False
        for slot in file.bound_in(start, end):
            if not found:
                found = True
                yield INVALIDATE_START
                kvm.mmu_lock.write_lock()
                kvm.kvm_mmu_invalidate_start()
            offset = slot.base_gfn - slot.gmem_pgoff
            gfn_range = GfnRange(
                slot,
                max(start, slot.gmem_pgoff) + offset,
                min(end, slot.gmem_pgoff + slot.npages) + offset,
                may_block=True,
                from_hva=False,
            )
            flush |= yield from kvm.kvm_mmu_unmap_gfn_range(gfn_range)
        if flush:
            yield "kvm_gmem_invalidate_start.flush"
            kvm.kvm_flush_remote_tlbs()
        if found:
            kvm.mmu_lock.write_unlock()


def kvm_gmem_invalidate_end(kvm: Kvm, inode: GmemInode, start: int, end: int) -> Steps[None]:
    """Mirror of kvm_gmem_invalidate_end(), virt/kvm/guest_memfd.c."""
    kvm.watch.gmem_range_ended(inode, start, end)
    for file in inode.files:
        if file.bound_in(start, end):
            yield INVALIDATE_END
            kvm.mmu_lock.write_lock()
            kvm.kvm_mmu_invalidate_end()
            kvm.mmu_lock.write_unlock()


def kvm_gmem_get_folio(kvm: Kvm, inode: GmemInode, index: int) -> Steps[Frame | int]:
    """Mirror of kvm_gmem_get_folio(), virt/kvm/guest_memfd.c: find or make, lock, reference."""
    while True:
        yield "kvm_gmem_get_folio.lookup"
        frame = inode.pages.get(index)
        if frame is None:
            if kvm.take_failure("folio"):
                return -ENOMEM
            frame = alloc_page(kvm)
            if frame is None:
                return -ENOMEM
            frame.inode = inode
            frame.index = index
            frame.refs += 1  # one for the cache, one for the caller
            inode.pages[index] = frame
            frame.lock.lock()
            return frame
        frame.refs += 1
        if frame.lock.owner is not None:
            yield WantLock(frame.lock, "kvm_gmem_get_folio.folio_lock")
        frame.lock.lock()
        if inode.pages.get(index) is frame:
            return frame
        frame.lock.unlock()
        put_page(kvm, frame)


def kvm_gmem_get_pfn(kvm: Kvm, slot: MemorySlot, gfn: int) -> Steps[Frame | int]:
    """Mirror of kvm_gmem_get_pfn(), virt/kvm/guest_memfd.c.

    Returns a page with a reference, or an errno.  SRCU is held, so an unbinding that removes
    the slot waits for us; a file that is being closed is refused.
    """
    yield "kvm_gmem_get_pfn.file"
    file = slot.gmem_file
    if file is None or file.refs == 0:  # get_file_active()
        return -EFAULT
    file.refs += 1
    index = gfn - slot.base_gfn + slot.gmem_pgoff
    bound = file.bound_at(index)
    if bound is not slot:
        if bound is not None:
            kvm.WARN_ON("kvm_gmem_get_pfn: bound to another slot")
        kvm.fput(file)
        return -EIO
    frame = yield from kvm.kvm_gmem_get_folio(file.inode, index)
    if not isinstance(frame, int):
        if frame.poisoned:
            frame.lock.unlock()
            put_page(kvm, frame)
            frame = -EHWPOISON
        else:
            if not frame.uptodate:
                yield "kvm_gmem_get_pfn.clear"
                clear_page(frame)
            kvm.watch.gmem_pfn_returned(file, slot, index)
            frame.lock.unlock()
    kvm.fput(file)
    return frame


def kvm_gmem_fault_user_mapping(
    kvm: Kvm, inode: GmemInode, page: int, index: int, writable: bool
) -> Steps[str]:
    """Mirror of kvm_gmem_fault_user_mapping(), virt/kvm/guest_memfd.c; "" when it worked.

    Takes no invalidate_lock: it may bring a page back right after a hole was punched.
    """
    if index >= inode.npages or not inode.init_shared():
        return "SIGBUS"
    frame = yield from kvm.kvm_gmem_get_folio(inode, index)
    if isinstance(frame, int):
        return "OOM" if frame == -ENOMEM else "SIGBUS"
    if frame.poisoned:
        frame.lock.unlock()
        put_page(kvm, frame)
        return "SIGBUS"
    if not frame.uptodate:
        clear_page(frame)
    yield "kvm_gmem_fault_user_mapping.install"
    if page in kvm.mm.ptes:  # somebody else was faster
        put_page(kvm, frame)
    else:
        kvm.set_pte(page, frame, writable)  # the caller's reference becomes the PTE's
    frame.lock.unlock()
    return ""


def kvm_gmem_error_folio(kvm: Kvm, inode: GmemInode, frame: Frame) -> Steps[int]:
    """Mirror of kvm_gmem_error_folio(), virt/kvm/guest_memfd.c.

    Called with the folio locked, and takes invalidate_lock inside it: the reverse of a hole
    punch, which the kernel does too.  Nothing is freed; the page stays, poisoned.
    """
    yield WantShared(inode.invalidate_lock, "kvm_gmem_error_folio.invalidate_lock")
    inode.invalidate_lock.read_lock()
    index = frame.index
    yield from kvm.kvm_gmem_invalidate_start(inode, index, index + 1)
    yield from kvm.kvm_gmem_invalidate_end(inode, index, index + 1)
    inode.invalidate_lock.read_unlock()
    kvm.watch.page_poisoned(frame)
    return -EBUSY


def kvm_gmem_close(kvm: Kvm, fd: int) -> int:
    """close(2) of a descriptor (fs/open.c); mappings keep the file."""
    file = kvm.fds.pop(fd, None)
    if file is None:
        return -EBADF
    kvm.fput(file)
    return 0


def kvm_gmem_release(kvm: Kvm, file: GmemFile) -> Steps[None]:
    """Mirror of kvm_gmem_release(), virt/kvm/guest_memfd.c, and the inode eviction after it.

    The slot stays where it is, with no file: its faults fail from here on.
    """
    inode = file.inode
    yield RELEASE_SLOTS
    kvm.slots_lock.lock()
    kvm.watch.lock_slots("slots_lock")
    yield WantLock(inode.invalidate_lock, "kvm_gmem_release.invalidate_lock")
    inode.invalidate_lock.write_lock()
    for slot in file.bound_in(0, inode.npages):
        slot.gmem_file = None
    yield from kvm.kvm_gmem_invalidate_start(inode, 0, inode.npages)
    yield from kvm.kvm_gmem_invalidate_end(inode, 0, inode.npages)
    inode.invalidate_lock.write_unlock()
    file.bindings.clear()
    kvm.slots_lock.unlock()
    yield "kvm_gmem_release.evict"
    yield from kvm.truncate_inode_pages_range(inode, 0, inode.npages)
    if file in inode.files:
        inode.files.remove(file)

"""guest_memfd files growing and shrinking: fallocate, hole punch, truncation.

virt/kvm/guest_memfd.c.  The guest is unmapped before a page leaves the cache, and its faults
stay out until the hole is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.frames import put_page
from reference.gmem_types import GmemInode
from reference.mm_vma import FD_FILE
from reference.primitives import Steps, WantLock, WantShared
from reference.uapi import (
    EBADF,
    EFBIG,
    EINTR,
    EINVAL,
    ENODEV,
    EOPNOTSUPP,
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_SUPPORTED_MASK,
    LARGEST_FILE,
    PAGE_MASK,
    PAGE_SHIFT,
)

if TYPE_CHECKING:
    from reference.kvm import Kvm


def kvm_gmem_fallocate(kvm: Kvm, fd: int, mode: int, offset: int, length: int) -> Steps[int]:
    """Mirror of kvm_gmem_fallocate(), virt/kvm/guest_memfd.c, after vfs_fallocate(), fs/open.c."""
    file = kvm.fds.get(fd)
    if file is None and fd != FD_FILE:
        return -EBADF
    if not 0 < length <= LARGEST_FILE or not 0 <= offset <= LARGEST_FILE:  # loff_t is signed
        return -EINVAL
    if mode & ~FALLOC_FL_SUPPORTED_MASK:
        return -EOPNOTSUPP
    if mode & FALLOC_FL_PUNCH_HOLE and not mode & FALLOC_FL_KEEP_SIZE:
        return -EOPNOTSUPP
    if file is None:
        return -ENODEV
    if offset + length > LARGEST_FILE:
        return -EFBIG
    if not mode & FALLOC_FL_KEEP_SIZE or mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE):
        return -EOPNOTSUPP
    if offset & PAGE_MASK or length & PAGE_MASK:
        return -EINVAL
    start, end = offset >> PAGE_SHIFT, (offset + length) >> PAGE_SHIFT
    if mode & FALLOC_FL_PUNCH_HOLE:
        return (yield from kvm.kvm_gmem_punch_hole(file.inode, start, end))
    return (yield from kvm.kvm_gmem_allocate(file.inode, start, end))


def kvm_gmem_punch_hole(kvm: Kvm, inode: GmemInode, start: int, end: int) -> Steps[int]:
    """Mirror of kvm_gmem_punch_hole(), virt/kvm/guest_memfd.c: file pages [start, end)."""
    yield WantLock(inode.invalidate_lock, "kvm_gmem_punch_hole.invalidate_lock")
    inode.invalidate_lock.write_lock()
    yield from kvm.kvm_gmem_invalidate_start(inode, start, end)
    yield "kvm_gmem_punch_hole.truncate"
    yield from kvm.truncate_inode_pages_range(inode, start, end)
    yield from kvm.kvm_gmem_invalidate_end(inode, start, end)
    inode.invalidate_lock.write_unlock()
    return 0


def truncate_inode_pages_range(kvm: Kvm, inode: GmemInode, start: int, end: int) -> Steps[None]:
    """Mirror of truncate_inode_pages_range(), mm/truncate.c.

    A page that user space maps is unmapped first, which calls the HVA notifiers, inside
    guest_memfd's own start and end.
    """
    for index in sorted(i for i in inode.pages if start <= i < end):
        frame = inode.pages.get(index)
        if frame is None:
            continue
        yield WantLock(frame.lock, "truncate_inode_pages_range.folio_lock")
        frame.lock.lock()
        if inode.pages.get(index) is frame:
            if frame.mapcount:
                yield from kvm.unmap_mapping_folio(inode, frame, index)
            kvm.watch.cache_removed(inode, index, frame)
            del inode.pages[index]
            frame.inode = None
            frame.lock.unlock()
            put_page(kvm, frame)
        else:
            frame.lock.unlock()


def kvm_gmem_allocate(kvm: Kvm, inode: GmemInode, start: int, end: int) -> Steps[int]:
    """Mirror of kvm_gmem_allocate(), virt/kvm/guest_memfd.c."""
    if end > inode.npages:
        return -EINVAL
    yield WantShared(inode.invalidate_lock, "kvm_gmem_allocate.invalidate_lock")
    inode.invalidate_lock.read_lock()
    result = 0
    for index in range(start, end):
        if kvm.take_failure("signal"):
            result = -EINTR
            break
        frame = yield from kvm.kvm_gmem_get_folio(inode, index)
        if isinstance(frame, int):
            result = frame
            break
        frame.lock.unlock()
        put_page(kvm, frame)
    inode.invalidate_lock.read_unlock()
    return result

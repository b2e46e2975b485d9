"""The two objects of guest_memfd (virt/kvm/guest_memfd.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.primitives import RANK_INVALIDATE, Cpu, RwLock
from reference.uapi import GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP

if TYPE_CHECKING:
    from reference.frames import Frame
    from reference.state import MemorySlot


class GmemInode:
    """Size, flags, page cache and invalidate_lock of a guest_memfd."""

    __slots__ = ("files", "flags", "invalidate_lock", "name", "npages", "pages")

    def __init__(self, cpu: Cpu, name: str, npages: int, flags: int) -> None:
        self.name = name
        self.npages = npages
        self.flags = flags
        self.pages: dict[int, Frame] = {}
        self.invalidate_lock = RwLock(cpu, "invalidate_lock", RANK_INVALIDATE)
        self.files: list[GmemFile] = []

    def supports_mmap(self) -> bool:
        return bool(self.flags & GUEST_MEMFD_FLAG_MMAP)

    def init_shared(self) -> bool:
        return bool(self.flags & GUEST_MEMFD_FLAG_INIT_SHARED)


class GmemFile:
    """An open guest_memfd: references (descriptor, VMAs) and its bindings.

    bindings holds (first file page, end, slot) and stands for the xarray of the kernel.
    """

    __slots__ = ("bindings", "inode", "refs")

    def __init__(self, inode: GmemInode) -> None:
        self.inode = inode
        self.refs = 1
        self.bindings: list[tuple[int, int, MemorySlot]] = []

    def __repr__(self) -> str:
        return self.inode.name

    def bound_at(self, index: int) -> MemorySlot | None:
        """The slot bound to one file page."""
        for start, end, slot in self.bindings:
            if start <= index < end:
                return slot
        return None

    def bound_in(self, start: int, end: int) -> list[MemorySlot]:
        """The slots bound to file pages [start, end), by offset."""
        return [slot for first, last, slot in self.bindings if first < end and start < last]

"""Physical memory: frames with references, generations, contents, and immediate reuse.

A freed frame is handed out again first (a stack), with the contents it had until somebody
zeroes it, so that a use after free shows as a wrong value as well as a wrong generation.
One integer stands for a page's contents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.primitives import RANK_FOLIO, Cpu, Mutex

if TYPE_CHECKING:
    from reference.gmem_types import GmemInode
    from reference.kvm import Kvm


class Frame:
    """One physical page and its struct page."""

    __slots__ = (
        "anon",
        "content",
        "free",
        "generation",
        "index",
        "inode",
        "lock",
        "mapcount",
        "pfn",
        "poisoned",
        "refs",
        "uptodate",
    )

    def __init__(self, cpu: Cpu, pfn: int) -> None:
        self.pfn = pfn
        self.generation = 0  # raised at every free
        self.refs = 0
        self.mapcount = 0  # user PTEs
        self.content = 0xDEAD  # whoever had it before
        self.uptodate = False
        self.poisoned = False
        self.free = True
        self.anon = False
        self.inode: GmemInode | None = None  # page-cache owner, with
        self.index = 0  # its index in the file
        self.lock = Mutex(cpu, "folio_lock", RANK_FOLIO)

    def __repr__(self) -> str:
        return f"pfn{self.pfn}.{self.generation}"


def alloc_page(kvm: Kvm) -> Frame | None:
    """Take a free frame, with one reference, not zeroed; None when memory is exhausted.

    Stands for alloc_pages(), mm/page_alloc.c.
    """
    if kvm.free_frames:
        frame = kvm.free_frames.pop()
    elif len(kvm.frames) < kvm.frames_max:
        frame = Frame(kvm.cpu, len(kvm.frames))
        kvm.frames.append(frame)
    else:
        return None
    frame.free = False
    frame.refs = 1
    frame.uptodate = False
    frame.anon = False
    return frame


def clear_page(frame: Frame) -> None:
    """Zero a frame: clear_highpage() and folio_mark_uptodate(), include/linux/highmem.h."""
    frame.content = 0
    frame.uptodate = True


def put_page(kvm: Kvm, frame: Frame) -> None:
    """Drop a reference; the last one frees the frame (put_page(), include/linux/mm.h)."""
    frame.refs -= 1
    if frame.refs > 0:
        return
    if frame.refs < 0:
        kvm.WARN_ON("put_page: refcount below zero")
        return
    kvm.watch.frame_freed(frame)
    frame.generation += 1
    frame.free = True
    frame.inode = None
    if not frame.poisoned:  # a poisoned page never goes back to the allocator
        kvm.free_frames.append(frame)


def read_frame(kvm: Kvm, frame: Frame, generation: int, who: str) -> int:
    """Load through a translation that was made when the frame had `generation`.

    The memory bus itself; mirrors no kernel function.
    """
    kvm.watch.frame_used(frame, generation, who)
    return frame.content


def write_frame(kvm: Kvm, frame: Frame, generation: int, value: int, who: str) -> None:
    """Store through a translation that was made when the frame had `generation`.

    The memory bus itself; mirrors no kernel function.
    """
    kvm.watch.frame_used(frame, generation, who)
    frame.content = value

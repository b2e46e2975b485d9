"""The host process' address space: VMAs, PTEs and the entries that stand where a PTE is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.uapi import PROT_WRITE

if TYPE_CHECKING:
    from reference.frames import Frame
    from reference.gmem_types import GmemFile

PUD_SHIFT = 18  # pages per PUD entry: 1 GiB


class Vma:
    """struct vm_area_struct: pages [start, end); file is None for anonymous memory."""

    __slots__ = (
        "anon_vma",
        "end",
        "file",
        "linked",
        "locked",
        "pgoff",
        "policy",
        "prot",
        "shared",
        "start",
    )

    def __init__(
        self, start: int, end: int, file: GmemFile | None, pgoff: int, prot: int, shared: bool
    ) -> None:
        self.start = start
        self.end = end
        self.file = file
        self.pgoff = pgoff  # file page at `start`
        self.prot = prot
        self.shared = shared
        self.locked = False
        self.policy = 0  # index into POLICIES of the program language
        self.anon_vma = False  # a private page was ever faulted in
        self.linked = 0  # when it was last put into the tree of its file: see MmStruct.link()

    def part(self, start: int, end: int) -> Vma:
        """A copy that covers only [start, end); the caller accounts for the file."""
        new = Vma(start, end, self.file, self.pgoff + start - self.start, self.prot, self.shared)
        new.locked = self.locked
        new.policy = self.policy
        new.anon_vma = self.anon_vma
        new.linked = self.linked
        return new

    def index_of(self, page: int) -> int:
        return self.pgoff + page - self.start

    def may_write(self) -> bool:
        return bool(self.prot & PROT_WRITE)


class Pte:
    """A present user PTE.  unreadable: PROT_NONE, or a NUMA hint."""

    __slots__ = ("frame", "unreadable", "writable")

    def __init__(self, frame: Frame, writable: bool) -> None:
        self.frame = frame
        self.writable = writable
        self.unreadable = False


class Entry:
    """A non-present PTE that is not empty: swap, swapcache, migration, poison or guard.

    swap keeps the contents; swapcache keeps the frame and a reference to it; migration names the
    frame, to which the migration itself holds the references.
    """

    __slots__ = ("content", "frame", "kind", "writable")

    def __init__(self, kind: str, content: int = 0, frame: Frame | None = None) -> None:
        self.kind = kind
        self.content = content
        self.frame = frame
        self.writable = False


class MmStruct:
    """struct mm_struct of the VMM, or of a forked child."""

    __slots__ = ("children", "entries", "links", "ptes", "puds", "vmas")

    def __init__(self) -> None:
        self.vmas: list[Vma] = []  # by address, never overlapping
        self.ptes: dict[int, Pte] = {}
        self.entries: dict[int, Entry] = {}
        self.puds: set[int] = set()  # PUD entries that are not none
        self.links = 0  # how often a VMA was put into the tree of a file
        self.children: list[dict[int, Frame]] = []  # pages a forked child shares

    def link(self, vma: Vma) -> None:
        """Put a VMA into the tree of its file (vma_interval_tree_insert(), mm/interval_tree.c),
        behind those with the same offset; one that is cut or grows is taken out and put back."""
        self.links += 1
        vma.linked = self.links

"""The state that a run in C left, as the objects of the Python model.

What looks at final states (fuzz/outcome.py) is written once, for Python; it needs memslots, page
caches, leaves, user memory and pfn caches, and these are what is built up here.  Locks, tasks and
TLBs are not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from fuzz.vocabulary import Program
from reference.frames import Frame
from reference.gmem_types import GmemFile, GmemInode
from reference.kvm import Kvm
from reference.mm_types import Entry, Pte, Vma
from reference.observer import Observer
from reference.state import GfnToPfnCache, MemorySlot, Root, Spte

ROOT_KINDS: Final = ("tdp", "shadow", "s2")
ENTRY_KINDS: Final = ("swap", "swapcache", "migration", "poison", "guard")
_ZERO: Final = -2  # the place of the zero page


class _Builder:
    """Reads one line after the other (fuzz/c/dump.c writes them)."""

    def __init__(self, kvm: Kvm) -> None:
        self.kvm = kvm
        self.files: dict[str, GmemFile] = {}

    def frame(self, fields: Sequence[str]) -> None:
        """A frame, at the next place."""
        self.kvm.frames.append(self._frame(fields))

    def zero(self, fields: Sequence[str]) -> None:
        """The zero page."""
        self.kvm.zero_frame = self._frame(fields)

    def _frame(self, fields: Sequence[str]) -> Frame:
        pfn, *rest = map(int, fields)
        frame = Frame(self.kvm.cpu, pfn)
        frame.generation, frame.refs, frame.mapcount, frame.content = rest[:4]
        frame.uptodate, frame.poisoned, frame.free, frame.anon = map(bool, rest[4:])
        return frame

    def at(self, place: str) -> Frame | None:
        """The frame at a place."""
        index = int(place)
        if index == _ZERO:
            return self.kvm.zero_frame
        return self.kvm.frames[index] if index >= 0 else None

    def there(self, place: str) -> Frame:
        """The frame at a place that is not empty."""
        frame = self.at(place)
        assert frame is not None
        return frame

    def inode(self, fields: Sequence[str]) -> None:
        """A file; told of wherever it is used."""
        name, npages, flags = fields
        if name not in self.files:
            self.files[name] = GmemFile(GmemInode(self.kvm.cpu, name, int(npages), int(flags)))

    def page(self, fields: Sequence[str]) -> None:
        """A page of a file."""
        name, index, place = fields
        self.files[name].inode.pages[int(index)] = self.there(place)

    def fd(self, fields: Sequence[str]) -> None:
        """A descriptor."""
        number, name, refs = fields
        self.kvm.fds[int(number)] = self.files[name]
        self.files[name].refs = int(refs)

    def memslots(self, fields: Sequence[str]) -> None:
        """The active set of an address space."""
        as_id, generation = map(int, fields)
        self.kvm.memslots[as_id].generation = generation

    def slot(self, fields: Sequence[str]) -> None:
        """A memslot."""
        as_id, number, base, npages, flags, address = map(int, fields[:6])
        slot = MemorySlot(number, as_id)
        slot.base_gfn, slot.npages, slot.flags, slot.userspace_addr = base, npages, flags, address
        slot.gmem_file = self.files.get(fields[6])
        slot.gmem_pgoff = int(fields[7])
        slot.dirty_bitmap = set() if fields[8] == "1" else None
        self.kvm.memslots[as_id].slots[number] = slot

    def dirty(self, fields: Sequence[str]) -> None:
        """A dirty bit."""
        as_id, number, gfn = map(int, fields)
        bitmap = self.kvm.memslots[as_id].slots[number].dirty_bitmap
        assert bitmap is not None
        bitmap.add(gfn)

    def root(self, fields: Sequence[str]) -> None:
        """A paging structure; its leaves follow."""
        kind, as_id, l2, invalid = map(int, fields)
        root = Root(ROOT_KINDS[kind], as_id, bool(l2))
        root.invalid = bool(invalid)
        self.kvm.roots.append(root)

    def spte(self, fields: Sequence[str]) -> None:
        """A leaf of the last root."""
        flags = [each == "1" for each in fields[3:]]
        spte = Spte(self.there(fields[1]), flags[0], flags[3])
        spte.generation = int(fields[2])
        spte.host_writable, spte.accessed = flags[1], flags[2]
        self.kvm.roots[-1].sptes[int(fields[0])] = spte

    def vma(self, fields: Sequence[str]) -> None:
        """A VMA."""
        start, end, name, pgoff, prot, shared = fields
        file = self.files.get(name)
        vma = Vma(int(start), int(end), file, int(pgoff), int(prot), shared == "1")
        self.kvm.mm.vmas.append(vma)

    def pte(self, fields: Sequence[str]) -> None:
        """A user PTE."""
        page, place, writable, unreadable = fields
        pte = Pte(self.there(place), writable == "1")
        pte.unreadable = unreadable == "1"
        self.kvm.mm.ptes[int(page)] = pte

    def entry(self, fields: Sequence[str]) -> None:
        """What stands where a user PTE is gone."""
        page, kind, content, place, writable = fields
        entry = Entry(ENTRY_KINDS[int(kind)], int(content), self.at(place))
        entry.writable = writable == "1"
        self.kvm.mm.entries[int(page)] = entry

    def gpc(self, fields: Sequence[str]) -> None:
        """A pfn cache."""
        number, active, valid, gpa, uhva, place = fields
        gpc = GfnToPfnCache(self.kvm.cpu, int(number))
        gpc.active, gpc.valid = active == "1", valid == "1"
        gpc.gpa, gpc.uhva, gpc.frame = int(gpa), int(uhva), self.at(place)
        self.kvm.gpcs[int(number)] = gpc


def rebuild(program: Program, dump: str) -> Kvm:
    """A model in the state that a dump tells."""
    kvm = Kvm(program.profile, program.vm, program.vcpus, program.frames, Observer())
    builder = _Builder(kvm)
    for line in dump.splitlines():
        kind, *fields = line.split(" ")
        read: Callable[[Sequence[str]], None] = getattr(builder, kind)
        read(fields)
    return kvm

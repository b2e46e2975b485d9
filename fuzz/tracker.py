"""What a Program under construction has made so far, so that bytes can choose among it.

The one idea: a random argument nearly always names nothing.  So the tracker follows the ops of
a Program roughly, as if each succeeded and no two overlapped, and arguments are picks from what
that leaves: open files, live memslots, mapped areas, active caches.  It may be wrong; then an op
fails, which is a test too.  All counts and positions here are in pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from fuzz.vocabulary import FAILURES, FD_NONE, GMEM_FLAGS, MEM_FLAGS, PAGE, area_base
from reference.features import Profile

FREE_PAGE: Final = area_base("C") // PAGE  # nothing is mapped here at first
GRAVES_MAX: Final = 4
NESTING: Final = ("x86-tdp", "x86-direct")  # MMUs under which a guest can have a guest
_GUEST_MEMFD: Final = MEM_FLAGS["GUEST_MEMFD"]
_LOG_DIRTY: Final = MEM_FLAGS["LOG_DIRTY"]
_T = TypeVar("_T")


class ByteReader:
    """Choices from bytes; zeros when there are no more, so shorter data is simpler Programs."""

    __slots__ = ("at", "data", "size")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.at = 0

    def byte(self) -> int:
        """The next byte."""
        at = self.at
        self.at = at + 1
        return self.data[at] if at < self.size else 0

    def pick(self, choices: Sequence[_T]) -> _T:
        """One of the choices; a single choice costs no byte."""
        if len(choices) == 1:
            return choices[0]
        return choices[self.byte() % len(choices)]

    def page(self, pages: int) -> int:
        """A page number below `pages`, half of the time 0 or 1, so that actors meet."""
        byte = self.byte()
        return (byte & 1 if byte >= 128 else byte) % pages


class File(NamedTuple):
    """An open guest_memfd."""

    fd: int
    pages: int
    flags: int


class Region(NamedTuple):
    """A memslot, live or deleted; `page` is its user address."""

    slot: int
    gfn: int
    pages: int
    page: int
    flags: int = 0
    fd: int = FD_NONE
    offset: int = 0
    space: int = 0

    @property
    def is_gmem(self) -> bool:
        """Whether the slot is backed by a guest_memfd."""
        return self.flags & _GUEST_MEMFD != 0

    def args(self) -> tuple[int, ...]:
        """Arguments of set_region for this slot; no pages means deletion."""
        slot, gfn, pages, page, flags, fd, offset, space = self
        if pages == 0:
            return (slot, 0, 0, 0, 0, FD_NONE, 0, space)
        return (slot, gfn * PAGE, pages * PAGE, page * PAGE, flags, fd, offset * PAGE, space)


class Area(NamedTuple):
    """A stretch of user addresses mapped alike."""

    page: int
    pages: int
    fd: int
    offset: int
    prot: int


class World:
    """The tracked state, and the picks from it."""

    def __init__(self, profile: Profile, vm: str, reader: ByteReader) -> None:
        self.profile = profile
        self.reader = reader
        self.private = vm != "default"
        self.gmem_flags = GMEM_FLAGS["MMAP"] if self.private else sum(GMEM_FLAGS.values())
        self.nests = profile.mmu in NESTING
        self.files: list[File] = []
        self.regions: list[Region] = []
        self.graves: list[Region] = []  # deleted slots, for making again
        self.areas: list[Area] = []
        self.caches: list[int] = []
        self.present: dict[int, int] = {}  # pages the VMM has written -> the value
        self.value = 0
        self.room = 1  # pages from the place drawn last to the end of what it is in
        self.failing = False  # what the next slot needs will not be had
        self.space = 0  # address space of the slot drawn last
        self.file = File(0, 1, 0)  # drawn last

    def region(self) -> Region:
        """A live slot; failing that one that was live."""
        return self.reader.pick(self.regions or self.graves or [Region(0, 0, 8, FREE_PAGE)])

    def touchable(self) -> list[Area]:
        """Areas whose pages the VMM can fault in; not those of a file without INIT_SHARED."""
        return [area for area in self.areas if area.fd == FD_NONE or not self.private]

    # One method per kind of argument; each gives the value of the argument.

    def gfn(self) -> int:
        """A guest page in a slot."""
        region = self.region()
        page = self.reader.page(region.pages)
        self.room = region.pages - page
        self.space = region.space
        return region.gfn + page

    def gpa(self) -> int:
        """The address of a guest page in a slot."""
        return self.gfn() * PAGE

    def hva(self) -> int:
        """A user address: mostly mapped, one time in eight where a slot has its memory."""
        byte = self.reader.byte()
        if self.areas and byte < 224:
            area = self.areas[byte % len(self.areas)]
            start, pages = area.page, area.pages
        else:
            region = self.region()
            start, pages = region.page, region.pages
        page = self.reader.page(pages)
        self.room = pages - page
        return (start + page) * PAGE

    def present_hva(self) -> int:
        """A user address with a page behind it, which is what kernel threads look for."""
        byte = self.reader.byte()
        if not self.present or byte >= 240:
            return self.hva()
        pages = list(self.present)
        return pages[byte % len(pages)] * PAGE

    def logged(self) -> list[Region]:
        """Live slots whose writes are logged."""
        return [region for region in self.regions if region.flags & _LOG_DIRTY]

    def length(self) -> int:
        """A length from the place drawn last: one page, a few, or up to the end."""
        byte = self.reader.byte()
        if byte >= 192:
            return self.room * PAGE
        return (1 + (byte % self.room if byte >= 96 else 0)) * PAGE

    def fd(self) -> int:
        """An open guest_memfd."""
        self.file = self.reader.pick(self.files) if self.files else File(0, 1, 0)
        self.room = self.file.pages
        return self.file.fd

    def offset(self) -> int:
        """A place in the file drawn last."""
        page = self.reader.page(self.file.pages)
        self.room = self.file.pages - page
        return page * PAGE

    def slot(self) -> int:
        """The number of a live slot."""
        region = self.region()
        self.space = region.space
        return region.slot

    def same_space(self) -> int:
        """The address space of the slot drawn last; for a vCPU, whether it is in SMM."""
        return self.space

    def nested(self) -> int:
        """Rarely 1: the access comes from the guest's guest."""
        return 1 if self.nests and self.reader.byte() >= 240 else 0

    def fresh_value(self) -> int:
        """A value not used lately, so that a wrong page shows."""
        self.value = self.value % 255 + 1
        return self.value

    def cache(self) -> int:
        """An active gfn_to_pfn cache."""
        return self.reader.pick(self.caches) if self.caches else 0

    def new_cache(self) -> int:
        """Any of three caches."""
        return self.reader.byte() % 3

    # Effects of ops, given their arguments.

    def cut(self, page: int, pages: int) -> list[Area]:
        """Unmap a range; gives what was there."""
        end = page + pages
        if self.present:
            self.present = {p: v for p, v in self.present.items() if not page <= p < end}
        kept: list[Area] = []
        out: list[Area] = []
        for area in self.areas:
            first, last = max(page, area.page), min(end, area.page + area.pages)
            if first >= last:
                kept.append(area)
                continue
            for start, stop, pile in (
                (area.page, first, kept),
                (first, last, out),
                (last, area.page + area.pages, kept),
            ):
                if start < stop:
                    offset = area.offset + start - area.page
                    pile.append(Area(start, stop - start, area.fd, offset, area.prot))
        self.areas = kept
        return out

    def did_mmap(self, args: tuple[int, ...]) -> None:
        """Map over whatever was there."""
        hva, length, fd, offset, prot, _share = args
        self.cut(hva // PAGE, length // PAGE)
        self.areas.append(Area(hva // PAGE, length // PAGE, fd, offset // PAGE, prot))

    def did_munmap(self, args: tuple[int, ...]) -> None:
        """Unmap."""
        self.cut(args[0] // PAGE, args[1] // PAGE)

    def did_mprotect(self, args: tuple[int, ...]) -> None:
        """Change the protection of what is mapped."""
        hva, length, prot = args
        old = self.cut(hva // PAGE, length // PAGE)
        self.areas += [area._replace(prot=prot) for area in old]

    def did_mremap(self, args: tuple[int, ...]) -> None:
        """Shrink, or move to over whatever was there."""
        hva, length, new_length, to = args
        moved = self.cut(hva // PAGE, length // PAGE)
        shift = (to - hva) // PAGE if to else 0
        self.cut(hva // PAGE + shift, new_length // PAGE)
        end = (hva + new_length) // PAGE
        for area in moved:
            pages = min(area.pages, end - area.page)
            if pages > 0:
                self.areas.append(area._replace(page=area.page + shift, pages=pages))

    def did_create_gmem(self, args: tuple[int, ...]) -> None:
        """Open a file; a number in use is taken over."""
        fd, size, flags = args
        self.did_close((fd,))
        self.files.append(File(fd, size // PAGE, flags))

    def did_close(self, args: tuple[int, ...]) -> None:
        """Close a file; mappings stay."""
        self.files = [file for file in self.files if file.fd != args[0]]

    def did_set_region(self, args: tuple[int, ...]) -> None:
        """Delete, make or change a slot."""
        slot, gpa, size, hva, flags, fd, offset, space = args
        place = (gpa // PAGE, size // PAGE, hva // PAGE)
        made = Region(slot, *place, flags, fd, offset // PAGE, space)
        if size and self.failing:  # worth a second try
            self.failing = False
            self.graves = [*self.graves, made][-GRAVES_MAX:]
            return
        old = [r for r in self.regions if r.slot == slot and r.space == space]
        self.regions = [r for r in self.regions if r not in old]
        if size:
            self.graves = [r for r in self.graves if r.slot != slot or r.space != space]
            self.regions.append(made)
        else:
            self.graves = (self.graves + old)[-GRAVES_MAX:]

    def did_set_region1(self, args: tuple[int, ...]) -> None:
        """The same by the first version of the ioctl."""
        self.did_set_region((*args[:5], FD_NONE, 0, args[5]))

    def did_fail_next(self, args: tuple[int, ...]) -> None:
        """The next slot will not be made, if it is what is needed for that."""
        self.failing = FAILURES[args[0] % len(FAILURES)] in ("memslot", "metadata")

    def did_user_write(self, args: tuple[int, ...]) -> None:
        """A page is there, with a value."""
        self.present[args[0] // PAGE] = args[1]

    def did_madvise(self, args: tuple[int, ...]) -> None:
        """Pages are gone; other advice than DONTNEED mostly takes them, too."""
        first, last = args[0] // PAGE, (args[0] + args[1]) // PAGE
        self.present = {p: v for p, v in self.present.items() if not first <= p < last}

    def did_activate(self, args: tuple[int, ...]) -> None:
        """Activate a cache."""
        if args[0] not in self.caches:
            self.caches.append(args[0])

    def did_deactivate(self, args: tuple[int, ...]) -> None:
        """Deactivate a cache."""
        if args[0] in self.caches:
            self.caches.remove(args[0])


EFFECTS: Final[dict[str, Callable[[World, tuple[int, ...]], None]]] = {
    "mmap": World.did_mmap,
    "munmap": World.did_munmap,
    "mprotect": World.did_mprotect,
    "mremap": World.did_mremap,
    "create_gmem": World.did_create_gmem,
    "close": World.did_close,
    "set_region": World.did_set_region,
    "set_region1": World.did_set_region1,
    "fail_next": World.did_fail_next,
    "user_write": World.did_user_write,
    "madvise": World.did_madvise,
    "gpc_activate": World.did_activate,
    "gpc_activate_hva": World.did_activate,
    "gpc_deactivate": World.did_deactivate,
}

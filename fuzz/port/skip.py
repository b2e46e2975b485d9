"""Whether kvm_handle_hva_range() of an object passes over gmem-only slots.

A real kernel has no function of that name: it is always inlined, so this looks at every place
where DWARF says that its code ended up, and asks what was inlined into it, or is called from it,
there.  The two predicates are one-line functions; when a compiler joins their tests into one
(``(flags & mask) == mask``), the record of the second disappears.  gcc keeps a description of it;
clang keeps nothing, but then the mask of both flags stands in the code as a number.

There is no disassembler here.  iced-x86 knows x86 alone and capstone is no Python; neither would
see more than what the records say, unless a patch tests slot->flags without the helpers, and then
the bit may be tested as a byte, a shift or a mask.  Such a patch is told as "no", with that caveat,
unless the mask of both flags shows in the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from fuzz.port.dwarf_facts import Facts, has_code, name_of, number_of, origin_of
from fuzz.port.elf_object import KernelObject
from reference.uapi import KVM_MEM_GUEST_MEMFD, KVM_MEMSLOT_GMEM_ONLY

LOOPS: Final = ("kvm_handle_hva_range", "__kvm_handle_hva_range")
HAS_GMEM: Final = "kvm_slot_has_gmem"
GMEM_ONLY: Final = "kvm_memslot_is_gmem_only"
YES: Final = "yes"
NO: Final = "no"
UNKNOWN: Final = "cannot tell"
_BOTH: Final = KVM_MEM_GUEST_MEMFD | KVM_MEMSLOT_GMEM_ONLY
_MASK: Final = _BOTH.to_bytes(4, "little")  # as x86 has it in an instruction; arm64 splits it
_CALLS: Final = ("DW_TAG_call_site", "DW_TAG_GNU_call_site")


@dataclass(frozen=True, slots=True)
class Use:
    """One predicate in the loop: its name, ``function+0x12``, ``file:line`` of the call.

    inside: the function between the loop and the predicate, if there is one.
    """

    name: str
    address: str
    line: str
    inside: str = ""


@dataclass(slots=True)
class Place:
    """One copy of the loop's code."""

    function: str  # what it was inlined into, or itself
    address: str
    line: str
    inlines: int = 0  # records of any other function inlined there: the compiler wrote some
    uses: list[Use] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        """The predicates that the loop itself uses here."""
        return {use.name for use in self.uses if not use.inside}


@dataclass(frozen=True, slots=True)
class Skip:
    """The answer, its reason in words, and the places that it comes from."""

    answer: str
    reason: str
    places: tuple[Place, ...] = ()


def find_skip(facts: Facts, kernel: KernelObject) -> Skip:
    """Look for the skip in the unit with the notifiers."""
    if facts.notifier is None:
        return Skip(UNKNOWN, "virt/kvm/kvm_main.c is not in this object")
    reader = _Reader(facts.notifier, kernel.dwarf)
    places = tuple(reader.places())
    if not places:
        return Skip(UNKNOWN, "the code of kvm_handle_hva_range is nowhere in the records")
    return Skip(*_answer(places, reader, kernel), places)


def _answer(places: tuple[Place, ...], reader: _Reader, kernel: KernelObject) -> tuple[str, str]:
    count = f"{len(places)} cop{'y' if len(places) == 1 else 'ies'} of the loop"
    only = [place for place in places if GMEM_ONLY in place.names]
    joined = [place for place in places if HAS_GMEM in place.names and place not in only]
    if only or joined:
        merged = reader.described and not reader.elsewhere
        sure = [place for place in places if place in only or (merged and place in joined)]
        masked = [p for p in joined if p not in sure and _MASK in kernel.code_of(p.function)]
        if not sure and not masked:
            return UNKNOWN, f"the loop asks {HAS_GMEM}, and nothing shows {GMEM_ONLY}"
        reason = f"{len(sure) + len(masked)} of {count} test it"
        if joined:
            reason += f"; {GMEM_ONLY} left no code of its own, its test is joined with {HAS_GMEM}'s"
        if masked:
            reason += f" (the code has the number {_BOTH:#x}, both flags)"
        return YES, reason
    if any(place.uses for place in places):
        return UNKNOWN, "a predicate is asked beside the loop, or in a function that it calls"
    if reader.described and not reader.elsewhere:
        return UNKNOWN, f"{GMEM_ONLY} was inlined into this file, but no record says where"
    if not any(place.inlines for place in places):
        return UNKNOWN, "the compiler recorded nothing that it inlined into the loop"
    if any(_MASK in kernel.code_of(place.function) for place in places):
        return (
            UNKNOWN,
            f"neither is recorded, but the code has {_BOTH:#x}, both flags in one number",
        )
    return NO, (
        f"none of {count} has or calls {HAS_GMEM} or {GMEM_ONLY}; a test of slot->flags without "
        "these two would not be seen"
    )


class _Reader:
    """A walk over the code of one unit.

    described: GMEM_ONLY was inlined somewhere in it.  elsewhere: outside the loop, too.
    """

    def __init__(self, unit: Any, dwarf: Any) -> None:
        self._unit = unit
        self._dwarf = dwarf
        self._files = _file_names(dwarf.line_program_for_CU(unit))
        self._stray: list[Use] = []  # calls in the function at hand, outside the loop
        self.described = False
        self.elsewhere = False

    def places(self) -> Iterator[Place]:
        """Every copy of the loop, with the predicates in it."""
        for die in self._unit.iter_DIE_children(self._unit.get_top_DIE()):
            if die.tag == "DW_TAG_subprogram" and number_of(die, "DW_AT_inline") in (1, 3):
                self.described |= name_of(die) == GMEM_ONLY
            if die.tag == "DW_TAG_subprogram" and has_code(die):
                name = name_of(die)
                place = None
                if name in LOOPS:
                    place = Place(name, self._address(die, die), self._declared(die))
                self._stray = []
                here = [*([place] if place else []), *self._walk(die, die, place, "")]
                for found in here:  # clang notes calls at the function, not at the loop in it
                    found.uses += self._stray
                yield from here

    def _walk(self, top: Any, die: Any, place: Place | None, inside: str) -> Iterator[Place]:
        for child in die.iter_children():
            here, within = place, inside
            if child.tag == "DW_TAG_inlined_subroutine":
                name = name_of(child)
                if name in LOOPS and place is not None:
                    within = ""  # an older kernel's wrapper of the same name around the loop
                elif name in LOOPS:
                    here, within = Place(name_of(top), *self._where(top, child)), ""
                    yield here
                elif name in (HAS_GMEM, GMEM_ONLY):
                    self._use(top, child, name, place, inside)
                else:
                    within = name
                    if place is not None:
                        place.inlines += 1
            elif child.tag in _CALLS:
                name = name_of(origin_of(child, "DW_AT_call_origin"))
                if name in (HAS_GMEM, GMEM_ONLY):
                    self._use(top, child, name, place, inside)
            if child.has_children:
                yield from self._walk(top, child, here, within)

    def _use(self, top: Any, die: Any, name: str, place: Place | None, inside: str) -> None:
        if place is None:
            self.elsewhere |= name == GMEM_ONLY
            if die.tag in _CALLS:
                self._stray.append(Use(name, *self._where(top, die), name_of(top)))
        else:
            place.uses.append(Use(name, *self._where(top, die), inside))

    def _where(self, top: Any, die: Any) -> tuple[str, str]:
        file = number_of(die, "DW_AT_call_file")
        line = number_of(die, "DW_AT_call_line")
        name = self._files.get(file or 0, "?")
        return self._address(top, die), f"{name}:{line}" if line else ""

    def _declared(self, die: Any) -> str:
        origin = origin_of(die)
        name = self._files.get(number_of(origin, "DW_AT_decl_file") or 0, "?")
        return f"{name}:{number_of(origin, 'DW_AT_decl_line')}"

    def _address(self, top: Any, die: Any) -> str:
        """Relative to a function: addresses of a module are only those within its section."""
        start, at = self._first(top), self._first(die)
        if at is None:
            return ""
        if start is None or at < start:  # moved out of the function as unlikely
            return hex(at)
        return f"{name_of(top)}+{at - start:#x}"

    def _first(self, die: Any) -> int | None:
        for name in ("DW_AT_entry_pc", "DW_AT_low_pc", "DW_AT_call_return_pc"):
            value = number_of(die, name)
            if value is not None:
                if name == "DW_AT_entry_pc" and die.attributes[name].form != "DW_FORM_addr":
                    continue  # an offset from a base that is given otherwise
                return value
        if "DW_AT_ranges" not in die.attributes:
            return None
        offset = die.attributes["DW_AT_ranges"].value
        base = number_of(self._unit.get_top_DIE(), "DW_AT_low_pc") or 0
        for part in self._dwarf.range_lists().get_range_list_at_offset(offset, cu=self._unit):
            if hasattr(part, "base_address"):
                base = part.base_address
            else:
                begin: int = part.begin_offset
                return begin if part.is_absolute else base + begin
        return None


def _file_names(program: Any) -> dict[int, str]:
    """Files of a unit's line program by number, as the kernel's folders name them."""
    if program is None:
        return {}
    header = program.header
    new = header["version"] >= 5
    names: dict[int, str] = {}
    for number, entry in enumerate(header["file_entry"], 0 if new else 1):
        folder = b""
        folders = header["include_directory"]
        index = entry.dir_index if new else entry.dir_index - 1
        if 0 <= index < len(folders):
            folder = folders[index]
        text = f"{folder.decode(errors='replace')}/{entry.name.decode(errors='replace')}"
        names[number] = _short(text)
    return names


def _short(path: str) -> str:
    for top in ("virt/kvm/", "include/linux/", "arch/"):
        if f"/{top}" in path:
            return top + path.rpartition(f"/{top}")[2]
    return path.lstrip("/")

"""Reading .debug_macro, which gcc and clang write with -g3, and which pyelftools does not read.

A unit's macros are a list of operations that includes other lists, one for each set of headers
that several units share; each list is read once.
"""

from __future__ import annotations

from typing import Any, Final

from fuzz.port.dwarf_facts import Facts
from fuzz.port.elf_object import KernelObject, read_text, read_uleb
from fuzz.port.macros import Macros

_NAME: Final = ".debug_macro"


def read_macros(kernel: KernelObject, facts: Facts) -> Macros | None:
    """The macros of KVM's units; None when the object has none."""
    sections = [s for s in kernel.elf.iter_sections() if s.name == _NAME and s["sh_size"]]
    if not sections:
        return None
    macros = Macros()
    if len(sections) > 1:  # an object that was never linked has a section for each list
        for section in sections:
            _Section(kernel, section, macros).read(0)
        return macros if macros.known else None
    reader = _Section(kernel, sections[0], macros)
    for unit in facts.macro_units:
        attributes = unit.get_top_DIE().attributes
        at = attributes.get("DW_AT_macros") or attributes.get("DW_AT_GNU_macros")
        if at is not None:
            reader.read(at.value)
    return macros if macros.known else None


class _Section:
    """One .debug_macro section."""

    def __init__(self, kernel: KernelObject, section: Any, macros: Macros) -> None:
        data = bytearray(section.data())
        for number, candidate in enumerate(kernel.elf.iter_sections()):
            if candidate.header == section.header:
                kernel.apply(number, data)
        self._data = memoryview(data)
        self._texts = kernel.dwarf.debug_str_sec.stream.getbuffer()
        self._macros = macros
        self._done: set[int] = set()

    def read(self, at: int) -> None:
        """Read the list that begins here, and what it includes."""
        if at in self._done or at + 3 > len(self._data):
            return
        self._done.add(at)
        flags = self._data[at + 2]
        size = 8 if flags & 1 else 4
        at += 3 + (size if flags & 2 else 0)
        if flags & 4:  # operations of a compiler's own: not known, so the list is not read
            return
        while at < len(self._data) and (operation := self._data[at]):
            at = self._operation(operation, at + 1, size)

    def _operation(self, operation: int, at: int, size: int) -> int:
        """Carry one operation out; returns where the next one is."""
        match operation:
            case 0x01 | 0x02:  # define, undefine
                _, at = read_uleb(self._data, at)
                text, at = read_text(self._data, at)
                if operation == 0x01:
                    self._macros.add(text)
            case 0x03:  # a file begins
                _, at = read_uleb(self._data, at)
                _, at = read_uleb(self._data, at)
            case 0x05 | 0x06:  # define, undefine: the text is elsewhere
                _, at = read_uleb(self._data, at)
                where = int.from_bytes(self._data[at : at + size], "little")
                at += size
                if operation == 0x05:
                    self._macros.add(read_text(self._texts, where)[0])
            case 0x07:  # include a list
                self.read(int.from_bytes(self._data[at : at + size], "little"))
                at += size
            case 0x0B | 0x0C:  # by an index into a table of texts; gcc does not
                _, at = read_uleb(self._data, at)
                _, at = read_uleb(self._data, at)
            case 0x04:  # a file ends
                pass
            case _:
                at = len(self._data)
        return at

"""From addresses in a built port to file and line, by its debug information (pyelftools)."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache
from pathlib import Path
from typing import Final

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

_PCS: Final = "__sancov_pcs"
_RELATIVE: Final = {"EM_X86_64": 8, "EM_AARCH64": 1027}  # relocation types: base + addend
_FRAME: Final = re.compile(r"\((?P<file>[^()\s]+)\+0x(?P<at>[0-9a-f]+)\)")

Line = tuple[str, int]  # file name, line


@lru_cache(maxsize=8)
def _table(path: Path) -> tuple[list[int], list[Line | None]]:
    """Addresses at which a line begins, ascending, and the line; None after a sequence's end."""
    rows: list[tuple[int, Line | None]] = []
    with path.open("rb") as file:
        elf = ELFFile(file)
        if not elf.has_dwarf_info():
            return [], []
        dwarf = elf.get_dwarf_info()
        for unit in dwarf.iter_CUs():
            program = dwarf.line_program_for_CU(unit)
            if program is None:
                continue
            names = [Path(entry.name.decode()).name for entry in program["file_entry"]]
            first = 0 if program["version"] >= 5 else 1
            for entry in program.get_entries():
                state = entry.state
                if state is None:
                    continue
                if state.end_sequence:
                    rows.append((state.address, None))
                elif 0 <= state.file - first < len(names):
                    rows.append((state.address, (names[state.file - first], state.line)))
    rows.sort(key=lambda row: (row[0], row[1] is not None))
    return [row[0] for row in rows], [row[1] for row in rows]


def line_at(path: Path, address: int) -> Line | None:
    """The line that the code at an address of a file comes from."""
    addresses, lines = _table(path)
    at = bisect_right(addresses, address) - 1
    return lines[at] if at >= 0 else None


def covered_points(path: Path) -> list[Line | None]:
    """What each coverage counter of a library stands for, in the order of the counters."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        section = elf.get_section_by_name(_PCS)
        relocations = elf.get_section_by_name(".rela.dyn")
        if section is None or not isinstance(relocations, RelocationSection):
            return []
        start, size = section["sh_addr"], section["sh_size"]
        kind = _RELATIVE.get(elf["e_machine"])
        pcs = {
            entry["r_offset"]: entry["r_addend"]
            for entry in relocations.iter_relocations()
            if entry["r_info_type"] == kind and start <= entry["r_offset"] < start + size
        }
    # Two words each: where, and flags.
    return [line_at(path, pcs.get(start + 16 * i, 0)) for i in range(size // 16)]


def symbolised(report: str, program: Path) -> str:
    """A sanitizer's report with file:line behind each frame of a program that has none."""
    lines = []
    for line in report.splitlines():
        match = _FRAME.search(line)
        if match and Path(match["file"]).name == program.name:
            # A return address is behind the call.
            where = line_at(program, int(match["at"], 16) - 1)
            if where is not None:
                line = f"{line} {where[0]}:{where[1]}"
        lines.append(line)
    return "\n".join(lines)

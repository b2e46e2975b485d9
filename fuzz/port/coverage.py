"""Where a built port keeps its coverage counters, and which lines they stand for.

clang puts one byte for each edge into the section __sancov_cntrs, and the address of each into
__sancov_pcs.  pyelftools finds the sections; the loader says where they are in memory.
"""

from __future__ import annotations

from typing import Final

from elftools.elf.elffile import ELFFile

from fuzz.native import Region
from fuzz.port.library import Port

_COUNTERS: Final = "__sancov_cntrs"
_PCS: Final = "__sancov_pcs"


def regions(port: Port) -> list[Region]:
    """The counters of a loaded port; empty when it was built without."""
    with port.path.open("rb") as file:
        elf = ELFFile(file)
        counters, pcs = (elf.get_section_by_name(name) for name in (_COUNTERS, _PCS))
        if counters is None or pcs is None:
            return []
        base = load_base(port)
        return [Region(base + counters["sh_addr"], counters["sh_size"], base + pcs["sh_addr"])]


def load_base(port: Port) -> int:
    """The address that the port's file is loaded at."""
    path = str(port.path.resolve())
    with open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            fields = line.split(maxsplit=5)
            if len(fields) == 6 and fields[5].strip() == path and int(fields[2], 16) == 0:
                return int(fields[0].split("-")[0], 16)
    raise OSError(f"{path}: is not loaded")

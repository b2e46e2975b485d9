"""What the lab has on this machine and what it lacks, for ``lab list`` and ``doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tools.lab.buildtree import TREES
from tools.lab.emulator import PROGRAMS, find_emulator
from tools.lab.errors import MissingError
from tools.lab.kernels import AMD64, ARCHES, BUILDS, KERNELS, is_version, numbers_of
from tools.lab.shelf import Entry, Shelf, disk_size

# What the lab is about, and what `lab fetch` brings when nothing else is asked for.
SERIES: Final = ("7.2", "7.3")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that the lab has or lacks.  state: one line; ok: it is there and whole."""

    kind: str  # "qemu", "kernel" or "build"
    name: str
    arch: str
    state: str
    ok: bool


def inventory(shelf: Shelf | None = None, whole: bool = True) -> list[Item]:
    """Everything, the emulators first.  whole: look at the checksums of all files."""
    shelf = shelf or Shelf()
    return [
        *(_emulator(arch, shelf) for arch in ARCHES),
        *_kernels(shelf, whole),
        *_builds(shelf, whole),
    ]


def cached_bytes(shelf: Shelf | None = None) -> int:
    """Size of the lab's cache on disk."""
    return disk_size((shelf or Shelf()).root)


def _emulator(arch: str, shelf: Shelf) -> Item:
    try:
        emulator = find_emulator(arch, shelf)
    except MissingError as error:
        return Item("qemu", PROGRAMS[arch], arch, str(error), False)
    where = "installed" if emulator.installed else "fetched"
    return Item("qemu", PROGRAMS[arch], arch, f"{emulator.version}, {where}", True)


def _kernels(shelf: Shelf, whole: bool) -> list[Item]:
    items = []
    entries = [entry for name in shelf.names(KERNELS) if (entry := shelf.look(KERNELS, name))]
    entries.sort(key=lambda entry: (entry.facts["arch"], numbers_of(entry.facts["release"])))
    for entry in entries:
        release, arch = entry.facts["release"], entry.facts["arch"]
        state, ok = _state(entry, whole)
        if ok and arch == AMD64:
            tree = shelf.look(TREES, release)
            if tree is None:
                state += "; no headers and source, which lab build needs"
            else:
                told, ok = _state(tree, whole)
                state += f"; headers and source {told}"
        items.append(Item("kernel", release, arch, state, ok))
    for series in SERIES:
        if not any(item.arch == AMD64 and is_version(item.name, series) for item in items):
            state = f"missing; run: gmemdiff lab fetch --version {series}"
            items.append(Item("kernel", series, AMD64, state, False))
    return items


def _builds(shelf: Shelf, whole: bool) -> list[Item]:
    items = []
    for name in shelf.names(BUILDS):
        entry = shelf.look(BUILDS, name)
        if entry is None:
            continue
        facts = entry.facts
        state, ok = _state(entry, whole)
        told = f"patch {facts['patch'] or 'none'}, {facts['compiler']}: {state}"
        items.append(Item("build", facts["release"], facts["arch"], told, ok))
    return items


def _state(entry: Entry, whole: bool) -> tuple[str, bool]:
    broken = entry.broken() if whole else []
    if broken:
        return f"broken ({broken[0]}), is made again when fetched or built", False
    return ("whole" if whole else "there"), True

"""The initial RAM disk of a machine under test: newc cpio archives, written here.

The kernel unpacks one archive after another, so what is the same for many boots (executor,
modules) is one archive, and the cases of a boot are a small one behind it.  The format is
described in the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

FILE: Final = 0o100644
PROGRAM: Final = 0o100755
FOLDER: Final = 0o040755
DEVICE: Final = 0o020600

_MAGIC: Final = b"070701"
_TRAILER: Final = "TRAILER!!!"
_ALIGN: Final = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in an archive.  device: major and minor number of a character device."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def newc(entries: Iterable[Entry]) -> bytes:
    """A newc cpio archive of these entries, in their order, folders before what is in them."""
    parts: list[bytes] = []
    for number, entry in enumerate(entries, start=1):
        parts += _record(entry, number)
    parts += _record(Entry(_TRAILER, 0), 0)
    return b"".join(parts)


def _record(entry: Entry, inode: int) -> list[bytes]:
    name = entry.name.encode() + b"\0"
    fields = (
        inode, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, *entry.device, len(name), 0,
    )  # fmt: skip
    head = _MAGIC + b"".join(b"%08X" % value for value in fields) + name
    return [head, bytes(-len(head) % _ALIGN), entry.data, bytes(-len(entry.data) % _ALIGN)]


def base_archive(init: bytes, modules: Mapping[str, bytes], order: Iterable[str]) -> bytes:
    """What every boot needs.

    init: the executor; modules: file name -> content, unpacked; order: lines of a file name and
    the module's parameters, in the order of loading.
    """
    entries = [
        Entry("dev", FOLDER),
        Entry("dev/console", DEVICE, device=(5, 1)),
        Entry("modules", FOLDER),
        Entry("modules/order", FILE, "".join(f"{line}\n" for line in order).encode()),
    ]
    entries += [Entry(f"modules/{name}", FILE, data) for name, data in modules.items()]
    entries.append(Entry("init", PROGRAM, init))
    return newc(entries)


def cases_archive(cases: bytes) -> bytes:
    """The archive that holds the cases of one boot."""
    return newc([Entry("cases", FILE, cases)])

"""Kernel modules as files: unpacking them, what they say of themselves, and their load order.

The facts are the NUL-terminated ``name=value`` strings of the section .modinfo, which modinfo(8)
prints as well.
"""

from __future__ import annotations

import gzip
import io
import lzma
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from tools.lab.errors import LabError, MissingError

SUFFIXES: Final = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")


def module_name(path: Path) -> str:
    """The name that the kernel knows it by: dashes are underscores."""
    return path.name.split(".ko", 1)[0].replace("-", "_")


def find_modules(folder: Path) -> dict[str, Path]:
    """All module files below a folder by name; of two with one name, the first in path order."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.ko*")):
        if path.is_file() and path.name.endswith(SUFFIXES):
            found.setdefault(module_name(path), path)
    return found


def read_module(path: Path) -> bytes:
    """A module's ELF file, decompressed.  Raises LabError, MissingError."""
    try:
        data = path.read_bytes()
        if path.suffix == ".xz":
            return lzma.decompress(data)
        if path.suffix == ".gz":
            return gzip.decompress(data)
        return _unzstd(path, data) if path.suffix == ".zst" else data
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise LabError(f"{path}: cannot be read: {error}") from error


def _unzstd(path: Path, data: bytes) -> bytes:
    tool = shutil.which("zstd")
    if tool is None:
        raise MissingError(f"not found: zstd, which {path} needs; install it (apt install zstd)")
    done = subprocess.run([tool, "-dc"], input=data, capture_output=True)
    if done.returncode:
        raise LabError(f"{path}: not a zstd file: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def modinfo(elf: bytes, name: str) -> dict[str, list[str]]:
    """What a module says of itself: values by key.  Raises LabError."""
    try:
        section = ELFFile(io.BytesIO(elf)).get_section_by_name(".modinfo")
    except ELFError as error:
        raise LabError(f"{name}: not a kernel module: {error}") from error
    if section is None:
        raise LabError(f"{name}: not a kernel module: it has no section .modinfo")
    facts: dict[str, list[str]] = {}
    for item in section.data().split(b"\0"):
        key, equals, value = item.decode(errors="replace").partition("=")
        if equals:
            facts.setdefault(key, []).append(value)
    return facts


def release_of(elf: bytes, name: str) -> str:
    """The kernel release that a module was built for: the first word of its vermagic."""
    magic = modinfo(elf, name).get("vermagic", [""])[0].split()
    return magic[0] if magic else ""


def load_order(
    wanted: Iterable[str], files: Mapping[str, Path], builtin: Iterable[str]
) -> dict[str, bytes]:
    """Modules and all that they depend on, in the order in which they can be loaded.

    builtin: names that the kernel itself contains.  Raises LabError when one is nowhere.
    """
    order: dict[str, bytes] = {}
    inside = {name.replace("-", "_") for name in builtin}

    def visit(name: str, needed_by: str) -> None:
        if name in order or name in inside:
            return
        if name not in files:
            raise LabError(f"module {name}.ko is nowhere below the modules folder{needed_by}")
        elf = read_module(files[name])
        for item in modinfo(elf, str(files[name])).get("depends", [""])[0].split(","):
            if item:
                visit(item.replace("-", "_"), f", and {name}.ko needs it")
        order[name] = elf

    for name in wanted:
        visit(name.replace("-", "_"), "")
    return order

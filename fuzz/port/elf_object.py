"""A kernel object: its ELF file, its DWARF with relocations applied, and the units that matter.

A kernel module is a relocatable file of several hundred thousand relocations, and a vmlinux has
thousands of units of which a handful are KVM's.  pyelftools would take half a minute for the
first, and most of a minute to ask the others for their names.  So relocations are applied here,
table by table, and names are read without the rest of the unit.
"""

from __future__ import annotations

import posixpath
import re
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

# What a unit of KVM is called, however the kernel was built.
UNITS: Final = re.compile(
    r"(?:^|/)(virt/kvm/(?:kvm_main|pfncache|guest_memfd)\.c"
    r"|arch/x86/kvm/(?:x86|mmu/mmu|mmu/tdp_mmu)\.c|arch/arm64/kvm/(?:mmu|arm)\.c)$"
)
KVM_FOLDERS: Final = re.compile(r"(?:^|/)(?:virt/kvm|arch/\w+/kvm)/")
MACHINES: Final = {"EM_X86_64": "x86-64", "EM_AARCH64": "arm64"}

# Relocations of debug sections: how wide a field each writes; all of them write symbol + addend.
_WIDTHS: Final = {"EM_X86_64": {1: "<Q", 10: "<I", 11: "<I"}, "EM_AARCH64": {257: "<Q", 258: "<I"}}
_SECTIONS: Final = ("debug_info", "debug_line", "debug_rnglists", "debug_ranges", "debug_addr",
                    "debug_str_offsets")  # fmt: skip
_PACKED: Final = (
    (b"\xfd7zXZ\0", "xz", "unxz"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd"),
    (b"\x1f\x8b", "gzip", "gunzip"),
    (b"BZh", "bzip2", "bunzip2"),
)
_WHERE_FROM: Final = (
    "take the one of the distribution's debug package (linux-image-*-dbg, "
    "kernel-debuginfo), or build with CONFIG_DEBUG_INFO_DWARF5=y"
)
# DWARF: the few codes that finding a name needs.
_AT_NAME: Final = 0x03
_UNIT_BEGINS: Final = b"\x11\x01\x25"
_FIXED: Final = {0x0B: 1, 0x05: 2, 0x06: 4, 0x07: 8, 0x17: 0, 0x0E: 0, 0x1F: 0, 0x19: 0}
_OFFSETS: Final = (0x17, 0x0E, 0x1F)  # sec_offset, strp, line_strp: as wide as the unit's offsets


class ObjectError(Exception):
    """A file that cannot be checked: ``file: what, what to do``."""


class KernelObject:
    """An open object.  machine: x86-64 or arm64.  dwarf: pyelftools' view of it."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        head = file.read(0x206)
        _refuse_other_kinds(path, head)
        try:
            self.elf = _opened(file)
        except ELFError as error:
            raise ObjectError(f"{path}: a broken ELF file ({error}), copy it anew") from error
        kind = self.elf["e_machine"]
        if kind not in MACHINES or not self.elf.little_endian or self.elf.elfclass != 64:
            raise ObjectError(
                f"{path}: made for {str(kind).removeprefix('EM_')}, the port models x86-64 and "
                "arm64: take an object of one of these"
            )
        self.machine = MACHINES[kind]
        self._widths = _WIDTHS[kind]
        self._refuse_without_dwarf()
        try:
            self.dwarf = self.elf.get_dwarf_info(relocate_dwarf_sections=False)
        except NotImplementedError as error:
            raise ObjectError(
                f"{path}: its debug information is compressed in a way that cannot be read, run "
                "objcopy --decompress-debug-sections on it"
            ) from error
        self._tables: dict[int, Any] = {}  # section -> its relocations
        self._tables_of_layouts: list[int] = []
        self._abbrev: bytes = self.dwarf.debug_abbrev_sec.stream.getvalue()
        if self.elf["e_type"] == "ET_REL":
            for section in self.elf.iter_sections("SHT_RELA"):
                self._tables[section["sh_info"]] = section
            for name in _SECTIONS:
                section = getattr(self.dwarf, f"{name}_sec")
                if section is not None:
                    self.apply(self.elf.get_section_index(section.name), section.stream.getbuffer())

    def _refuse_without_dwarf(self) -> None:
        section = self.elf.get_section_by_name
        if any(section(name) for name in (".debug_info", ".zdebug_info")):
            if section(".gnu_debugaltlink"):
                raise ObjectError(
                    f"{self.path}: part of its debug information is in another file (dwz), take an "
                    "object from before dwz ran, such as the build folder's"
                )
            return
        has = "only BTF, which has types but no functions" if section(".BTF") else "no DWARF"
        raise ObjectError(f"{self.path}: {has}, {_WHERE_FROM}")

    def apply(self, section: int, data: memoryview | bytearray) -> None:
        """Apply the relocations of the section with this number to what it holds."""
        table = self._tables.get(section)
        if table is None:
            return
        symbols = self.elf.get_section(table["sh_link"])
        values = [symbol[4] for symbol in struct.iter_unpack("<IBBHQQ", symbols.data())]
        for offset, info, addend in struct.iter_unpack("<QQq", table.data()):
            kind = info & 0xFFFFFFFF
            if kind == 0:
                continue
            if kind not in self._widths:
                raise ObjectError(
                    f"{self.path}: relocation {kind} in section {section} is unknown, link the "
                    "object first"
                )
            width = self._widths[kind]
            mask = (1 << 8 * struct.calcsize(width)) - 1
            struct.pack_into(width, data, offset, (values[info >> 32] + addend) & mask)

    def code_of(self, function: str) -> bytes:
        """The instructions of a function, by its symbol; empty when they are not in the file."""
        table = self.elf.get_section_by_name(".symtab")
        for symbol in (table.get_symbol_by_name(function) or ()) if table else ():
            where = symbol["st_shndx"]
            if not isinstance(where, int) or not symbol["st_size"]:
                continue
            section = self.elf.get_section(where)
            if section["sh_type"] == "SHT_NOBITS":
                continue
            start = symbol["st_value"] - section["sh_addr"]
            code: bytes = section.data()[start : start + symbol["st_size"]]
            return code
        return b""

    def units(self, progress: Callable[[str], None]) -> Iterator[tuple[str, Any]]:
        """The units of KVM, by their names from the kernel's top folder, as pyelftools' CUs.

        A unit that is only mentioned, as split DWARF does, raises ObjectError.
        """
        units = list(self.dwarf.iter_CUs())
        self._tables_of_layouts = sorted({unit["debug_abbrev_offset"] for unit in units})
        for number, unit in enumerate(units):
            progress(f"{number} of {len(units)} units")
            name = self._name(unit)
            if not KVM_FOLDERS.search(name):
                continue
            if unit.header.get("unit_type") == "DW_UT_skeleton":
                raise ObjectError(
                    f"{self.path}: its debug information is split into .dwo files, build without "
                    "CONFIG_DEBUG_INFO_SPLIT"
                )
            found = UNITS.search(name)
            yield found[1] if found else "", unit

    def _name(self, unit: Any) -> str:
        name = self._quick_name(unit)
        if name is None:  # in a form that only pyelftools knows
            attribute = unit.get_top_DIE().attributes.get("DW_AT_name")
            name = attribute.value if attribute else b""
        return posixpath.normpath(name.decode(errors="replace")) if name else ""

    def _quick_name(self, unit: Any) -> bytes | None:
        """A unit's name from its first entry; None when that is not written the usual way."""
        info = self.dwarf.debug_info_sec.stream.getbuffer()
        start = unit.cu_die_offset
        _, at = read_uleb(info, start)
        # How the first entry is laid out: its code, then that it is a unit that has children and
        # begins with who produced it.  Reading the whole table costs milliseconds for each unit.
        abbrev = self._abbrev
        layout = bytes(info[start:at]) + _UNIT_BEGINS
        table = unit["debug_abbrev_offset"]
        after = bisect_right(self._tables_of_layouts, table)
        end = [*self._tables_of_layouts[after : after + 1], len(abbrev)][0]
        where = abbrev.find(layout, table, end)
        if where < 0:
            return None
        where += len(layout) - 1
        size = unit.structs.dwarf_format // 8
        while True:
            attribute, form = abbrev[where : where + 2]  # these are all below 128
            where += 2
            if attribute == 0:
                return b""
            if attribute == _AT_NAME:
                return self._text(info, at, form, size)
            if form == 0x08:
                at = _end(info, at) + 1
            elif form in _FIXED:
                at += _FIXED[form] or (size if form in _OFFSETS else 0)
            else:
                return None

    def _text(self, info: memoryview, at: int, form: int, size: int) -> bytes | None:
        if form == 0x08:
            return bytes(info[at : _end(info, at)])
        section = {0x0E: self.dwarf.debug_str_sec, 0x1F: self.dwarf.debug_line_str_sec}.get(form)
        if section is None:
            return None
        offset = int.from_bytes(info[at : at + size], "little")
        text = section.stream.getbuffer()
        return bytes(text[offset : _end(text, offset)])


def _opened(file: BinaryIO) -> Any:
    """Untyped: the annotations of pyelftools know less of its classes than it does."""
    return ELFFile(file)


def _refuse_other_kinds(path: Path, head: bytes) -> None:
    if head.startswith(b"\x7fELF"):
        return
    for magic, name, tool in _PACKED:
        if head.startswith(magic):
            raise ObjectError(f"{path}: compressed with {name}, run {tool} on a copy of it first")
    if head[0x202:0x206] == b"HdrS":
        raise ObjectError(
            f"{path}: a bootable kernel image, which has no debug information, {_WHERE_FROM}"
        )
    raise ObjectError(f"{path}: not an ELF file, give a vmlinux, a kvm.ko or its .debug file")


def read_uleb(data: memoryview, at: int) -> tuple[int, int]:
    """A LEB128 number, and where the next thing is."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _end(data: memoryview, at: int) -> int:
    """Where the text that begins here ends."""
    size = 64
    while True:
        found = bytes(data[at : at + size]).find(b"\0")
        if found >= 0:
            return at + found
        if at + size > len(data):
            raise IndexError("a text without an end")
        size *= 4


def read_text(data: memoryview, at: int) -> tuple[str, int]:
    """A text that ends with a zero byte, and where the next thing is."""
    end = _end(data, at)
    return bytes(data[at:end]).decode(errors="replace"), end + 1

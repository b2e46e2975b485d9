"""How the values of a program are written in C: by the names that a developer knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fuzz.vocabulary import AREA_SHIFT, AREAS, PAGE
from reference.uapi import ERRNO_NAMES
from tools.lab.export.errors import NotExpressibleError

GMEM_FLAGS: Final[Mapping[str, int]] = {
    "GUEST_MEMFD_FLAG_MMAP": 1,
    "GUEST_MEMFD_FLAG_INIT_SHARED": 2,
}
MEM_FLAGS: Final[Mapping[str, int]] = {
    "KVM_MEM_LOG_DIRTY_PAGES": 1,
    "KVM_MEM_READONLY": 2,
    "KVM_MEM_GUEST_MEMFD": 4,
}
FALLOC_FLAGS: Final[Mapping[str, int]] = {
    "FALLOC_FL_KEEP_SIZE": 1,
    "FALLOC_FL_PUNCH_HOLE": 2,
    "FALLOC_FL_COLLAPSE_RANGE": 8,
}
PROT_FLAGS: Final[Mapping[str, int]] = {"PROT_READ": 1, "PROT_WRITE": 2, "PROT_EXEC": 4}
ATTR_FLAGS: Final[Mapping[str, int]] = {"KVM_MEMORY_ATTRIBUTE_PRIVATE": 8}

# Results that are no number, as the C program has them.
SPECIAL: Final[Mapping[str, str]] = {
    "MMIO": "RET_MMIO",
    "SIGBUS": "RET_SIGBUS",
    "SIGSEGV": "RET_SIGSEGV",
}
_ERRNOS: Final[Mapping[str, int]] = {name: number for number, name in ERRNO_NAMES.items()}
_WORD_MAX: Final = 0xFFFF_FFFF
_LONG_MAX: Final = (1 << 62) - 1


def size(value: int) -> str:
    """A number of bytes: ``8 * PAGE_SIZE``."""
    pages, rest = divmod(value, PAGE)
    if not pages:
        return str(rest)
    text = "PAGE_SIZE" if pages == 1 else f"{_long(pages)} * PAGE_SIZE"
    return f"{text} + {rest}" if rest else text


def _long(value: int) -> str:
    return str(value) if value < 1 << 31 else f"{value:#x}UL"


def area_of(value: int) -> str:
    """The letter of the area that an address lies in; empty when it lies in none."""
    number = (value >> AREA_SHIFT) - 1
    return AREAS[number] if 0 <= number < len(AREAS) else ""


def hva(value: int) -> str:
    """A user address: ``AREA_A + 3 * PAGE_SIZE``."""
    letter = area_of(value)
    if not letter:
        return f"{value:#x}UL" if value else "0"
    offset = value & ((1 << AREA_SHIFT) - 1)
    return f"AREA_{letter}" + (f" + {size(offset)}" if offset else "")


def flags(value: int, names: Mapping[str, int]) -> str:
    """Flags by name, the rest as a number: ``A | B | 0x40``."""
    parts = [name for name, bit in names.items() if value & bit]
    rest = value & ~sum(names.values())
    if rest or not parts:
        parts.append(f"{rest:#x}" if rest else "0")
    return " | ".join(parts)


def word(value: int) -> str:
    """The content of a page, which the guest has in 32 bits.  Raises NotExpressibleError."""
    if not 0 <= value <= _WORD_MAX:
        raise NotExpressibleError(f"value {value}: the guest loads and stores words of 32 bits")
    return str(value) if value < 1 << 31 else f"{value:#x}U"


def result(text: str) -> str:
    """A result of the model in C: 0, ``-EINVAL``, ``RET_MMIO``.  Raises NotExpressibleError."""
    if text in SPECIAL:
        return SPECIAL[text]
    if text in _ERRNOS:
        return f"-{text}"
    number = number_of(text)
    if number is None or number > _LONG_MAX:
        raise NotExpressibleError(f"result {text!r}: no user space gets this from a kernel")
    return str(number) if number < 1 << 31 else f"{number:#x}L"


def number_of(text: str) -> int | None:
    """The number that a result of the model is, bitmaps of the dirty log included."""
    bits = text.removeprefix("bits:")
    try:
        return int(bits, 16) if bits != text else int(text)
    except ValueError:
        return None


def errno_of(text: str) -> int | None:
    """The errno of that name; None when it is none."""
    return _ERRNOS.get(text)

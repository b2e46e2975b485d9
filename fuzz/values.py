"""How single values are written in text: numbers, addresses, flags, names.

The one idea: each kind of value has one canonical spelling, and readers accept a few more.
Complaints lack a place; fuzz/text.py adds file, line and column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from fuzz.vocabulary import AREA_SHIFT, AREAS, FD_NAMES, PAGE, Arg, area_base

FILES_MAX: Final = 8  # gmem0 .. gmem7
CHOICES_MAX: Final = 12  # more names are no help in one line
WORD_MAX: Final = 60  # longer unknown words are cut in complaints

_LIMIT: Final = 1 << 64
_FDS: Final = {f"gmem{number}": number for number in range(FILES_MAX)} | {
    name: value for value, name in FD_NAMES.items()
}
_FD_TEXTS: Final = {value: name for name, value in _FDS.items()}
_NUM: Final = r"(0x[0-9a-fA-F]+|[0-9]+)"
_NUMBER: Final = re.compile(_NUM)
_ADDR: Final = re.compile(rf"{_NUM}p(?:\+{_NUM})?")
_HVA: Final = re.compile(rf"([{AREAS}])(?:\+{_NUM}p)?(?:\+{_NUM})?")
# Characters that editors, terminals or str.splitlines() would treat as something else than text.
CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class ValueTextError(Exception):
    """A value cannot be read or written; the message lacks only a place."""


def parse_number(text: str | None) -> int:
    """Read a number; an absent part of a form is 0."""
    if text is None:
        return 0
    if not _NUMBER.fullmatch(text):
        raise ValueTextError(f"'{text}' is not a number; write 12 or 0xc")
    # Refused before conversion: Python refuses to convert very long decimals.
    digits = text.removeprefix("0x").lstrip("0") or "0"
    return _bounded(int(digits, 16 if text[1:2] == "x" else 10) if len(digits) <= 20 else _LIMIT)


def _bounded(value: int) -> int:
    if not 0 <= value < _LIMIT:
        raise ValueTextError("number out of range; choose 0 to 0xffffffffffffffff")
    return value


def parse_value(arg: Arg, text: str) -> int:
    """Read the value of an argument by its kind."""
    if arg.kind == "flags":
        value = 0
        for part in text.split("|"):
            if not part[:1].isdigit() and part not in arg.choices:
                raise ValueTextError(unknown(f"bit of {arg.name}", part, arg.choices))
            value |= arg.choices[part] if part in arg.choices else parse_number(part)
        return value
    if arg.kind == "enum" or arg.kind == "fd":
        names = _FDS if arg.kind == "fd" else {name: at for at, name in enumerate(arg.names)}
        if text not in names:
            raise ValueTextError(unknown(arg.name, text, names))
        return names[text]
    if arg.kind == "addr" and (match := _ADDR.fullmatch(text)):
        return _bounded(parse_number(match[1]) * PAGE + parse_number(match[2]))
    if arg.kind == "hva" and (match := _HVA.fullmatch(text)):
        return _bounded(
            area_base(match[1]) + parse_number(match[2]) * PAGE + parse_number(match[3])
        )
    if arg.kind != "int" and not _NUMBER.fullmatch(text):
        forms = "3p, 3p+1 or 0x3001" if arg.kind == "addr" else "A, A+3p, A+3p+1 or 0x40003001"
        raise ValueTextError(f"'{text}' is no {arg.name}; write for example {forms}")
    return parse_number(text)


def format_value(arg: Arg, value: int) -> str:
    """Write the value of an argument in its one canonical form."""
    if arg.kind == "enum" and 0 <= value < len(arg.names):
        return arg.names[value]
    if arg.kind == "fd" and value in _FD_TEXTS:
        return _FD_TEXTS[value]
    if arg.kind in ("enum", "fd"):
        raise ValueTextError(f"{arg.name} is {value}, which has no name; see fuzz/vocabulary.py")
    _bounded(value)
    if arg.kind == "flags":
        parts = [name for name, bit in arg.choices.items() if value & bit]
        rest = value & ~sum(arg.choices.values())
        return "|".join([*parts, hex(rest)] if rest else parts) or "0"
    if arg.kind == "addr":
        return _format_pages(value)
    area = (value >> AREA_SHIFT) - 1
    if arg.kind == "hva" and 0 <= area < len(AREAS):
        offset = value - area_base(AREAS[area])
        return AREAS[area] + (f"+{_format_pages(offset)}" if offset else "")
    return str(value) if value < 10 and arg.kind == "int" else hex(value)


def _format_pages(value: int) -> str:
    pages, rest = divmod(value, PAGE)
    return f"{pages}p+{rest}" if rest else f"{pages}p"


def free_text(text: str, what: str) -> str:
    """Check that free text would be read back as it is."""
    words = text.split()
    if not words or " ".join(words) != text or CONTROL.search(text):
        raise ValueTextError(f"{what} {text!r} is not plain words; separate them by one space")
    if any(word.startswith("#") for word in words):
        raise ValueTextError(f"{what} {text!r} has a word starting with '#'; that is a comment")
    return text


def unknown(what: str, text: str, choices: Iterable[str]) -> str:
    """Say that a name is unknown, and suggest the nearest one, or all when there are few."""
    names = list(choices)
    text = text if len(text) <= WORD_MAX else text[: WORD_MAX - 3] + "..."
    near = get_close_matches(text, names, n=1)
    if near:
        return f"unknown {what} '{text}'; did you mean '{near[0]}'?"
    if len(names) > CHOICES_MAX:
        hint = f"choose one of {len(names)}, such as {', '.join(names[:6])}"
    else:
        hint = f"choose from {', '.join(names)}" if names else "there is none"
    return f"unknown {what} '{text}'; {hint}"


def example(arg: Arg) -> str:
    """An example of how the argument is written."""
    if arg.kind == "enum":
        return arg.names[0]
    return {"int": "0", "addr": "1p", "hva": "A", "fd": "gmem0"}.get(arg.kind, "0")

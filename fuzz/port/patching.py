"""Unified diffs against the port's files: reading them, and applying them.

The seed's patch on the port is such a file (patched/c/seed.patch), and so is a developer's own.
Parsing is unidiff's; finding the place of a hunk that has moved is done here, since what is said
when there is none matters: the function, what the hunk expects, and what is there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from unidiff.errors import UnidiffParseError
from unidiff.patch import Hunk, Line, PatchedFile, PatchSet

MOVED_MAX: Final = 400  # lines that a hunk may have moved
_FUNCTION: Final = re.compile(r"^(?:[A-Za-z_][\w \t*]*?[ \t*])?(\w+)\(")
_SHOWN_MAX: Final = 80  # lines of a function, when a hunk does not apply to it


class PatchError(ValueError):
    """A patch that cannot be used: says where, what is wrong, what to do."""


@dataclass(frozen=True, slots=True)
class Patched:
    """Sources with a patch applied, and which lines of them are new: file -> line numbers."""

    sources: Mapping[str, str]
    changed: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Wording:
    """What is patched, for messages, and how strictly.

    fuzz: how many lines of a hunk's outer context may differ at each end.
    """

    patch: str
    file: str
    holder: str = "the port"
    fuzz: int = 0


def read_patch(text: str, name: str) -> PatchSet:
    """Parse a unified diff.  Raises PatchError."""
    try:
        patch = PatchSet(text)
    except UnidiffParseError as error:
        raise PatchError(f"{name}:1:1: not a unified diff: {error}") from error
    if not patch:
        raise PatchError(
            f"{name}:1:1: no change in it; write one with: diff -u OLD NEW, or git diff"
        )
    return patch


def apply_patch(sources: Mapping[str, str], text: str, name: str) -> Patched:
    """Apply a diff to sources (file name -> text).  Raises PatchError; nothing half applied."""
    result = dict(sources)
    changed: dict[str, tuple[int, ...]] = {}
    for part in read_patch(text, name):
        file = PurePosixPath(part.path).name
        if file not in result or part.is_added_file or part.is_removed_file:
            known = ", ".join(sorted(sources))
            raise PatchError(
                f"{name}:1:1: {part.path} is not a file of the port; these are: {known}"
            )
        where = Wording(name, file)
        lines, new = patched_lines(result[file].splitlines(), part, where)
        result[file] = "\n".join(lines) + "\n"
        changed[file] = (*changed.get(file, ()), *new)
    return Patched(result, changed)


def patched_lines(
    lines: list[str], part: PatchedFile, where: Wording
) -> tuple[list[str], list[int]]:
    """The lines with all hunks of a file applied, and the numbers of those that are new.

    Raises PatchError when a hunk has no place.
    """
    out = list(lines)
    new: list[int] = []
    shift = 0  # of what follows, from the hunks before
    for hunk in part:
        wanted = hunk.source_start - 1 + shift
        found = _find(out, hunk, wanted, where.fuzz)
        if found is None:
            raise PatchError(_does_not_apply(out, hunk, wanted, where))
        at, kept = found
        number = at
        replacement: list[str] = []
        for line in kept:
            if line.is_removed:
                continue
            replacement.append(line.value.rstrip("\r\n"))
            number += 1
            if line.is_added:
                new.append(number)
        length = sum(not line.is_added for line in kept)
        out[at : at + length] = replacement
        dropped = _leading(list(hunk), kept)
        shift = at - dropped - (hunk.source_start - 1) + len(replacement) - length
    return out, new


def _find(lines: list[str], hunk: Hunk, wanted: int, fuzz: int) -> tuple[int, list[Line]] | None:
    """Where a hunk goes, and what is left of it once outer context that differs is left out."""
    for dropped in range(fuzz + 1):
        whole = list(hunk)
        kept = _without_outer_context(whole, dropped)
        old = [line.value.rstrip("\r\n") for line in kept if not line.is_added]
        if dropped and not old:
            return None
        at = _place(lines, old, wanted + _leading(whole, kept))
        if at is not None:
            return at, kept
    return None


def _without_outer_context(hunk: list[Line], count: int) -> list[Line]:
    """Without up to `count` lines of context at either end, as patch(1) does with its fuzz."""
    first = next((i for i, line in enumerate(hunk) if not line.is_context), 0)
    last = next((i for i, line in enumerate(reversed(hunk)) if not line.is_context), 0)
    return hunk[min(first, count) : len(hunk) - min(last, count)]


def _leading(hunk: list[Line], kept: list[Line]) -> int:
    """How many lines were left out before the first that is kept."""
    return next((i for i, line in enumerate(hunk) if kept and line is kept[0]), 0)


def _place(lines: list[str], old: list[str], wanted: int) -> int | None:
    """Where a hunk's old lines stand, nearest to where they are expected."""
    for distance in range(MOVED_MAX):
        for at in {wanted - distance, wanted + distance}:
            if 0 <= at <= len(lines) - len(old) and lines[at : at + len(old)] == old:
                return at
    return None


def _does_not_apply(lines: list[str], hunk: Hunk, wanted: int, where: Wording) -> str:
    """What to say of a hunk that has no place: the function, and both versions."""
    old = [line.value.rstrip("\r\n") for line in hunk if not line.is_added]
    function = function_at(lines, max(0, min(wanted + 3, len(lines) - 1)))
    if hunk.section_header:
        match = _FUNCTION.match(hunk.section_header)
        function = match[1] if match else function
    start = max(0, wanted)
    heads = (i for i, text in enumerate(lines) if re.match(rf"^\w.*\b{function}\(", text))
    # A declaration comes before the function: the last one is what has a body.
    here = max((i for i in heads if not lines[i].rstrip().endswith(";")), default=start)
    end = next((i for i in range(here, len(lines)) if lines[i] == "}"), here + len(old))
    there = lines[here : min(end + 1, here + _SHOWN_MAX)]
    line = hunk[0].diff_line_no if len(hunk) else 1
    return "\n".join(
        (
            f"{where.patch}:{line}:1: this hunk does not apply to {function}() in {where.file}; "
            f"carry it over by hand to {where.holder}'s version of the function",
            "  the hunk expects:",
            *(f"    {text}" for text in old),
            f"  {where.holder} has ({where.file}:{here + 1}):",
            *(f"    {text}" for text in there),
        )
    )


def function_at(lines: list[str], at: int) -> str:
    """The function around a line: the last one that begins at the margin before it."""
    for line in reversed(lines[: at + 1]):
        match = _FUNCTION.match(line)
        if match and not line.startswith(("#", "/")) and not line.rstrip().endswith(";"):
            return match[1]
    return "the top of the file"

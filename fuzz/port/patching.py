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
from unidiff.patch import Hunk, PatchedFile, PatchSet

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
        lines, new = _apply_to_file(result[file].splitlines(), part, name, file)
        result[file] = "\n".join(lines) + "\n"
        changed[file] = (*changed.get(file, ()), *new)
    return Patched(result, changed)


def _apply_to_file(
    lines: list[str], part: PatchedFile, name: str, file: str
) -> tuple[list[str], list[int]]:
    """The lines with all hunks of a file applied, and the numbers of those that are new."""
    out = list(lines)
    new: list[int] = []
    shift = 0  # of what follows, from the hunks before
    for hunk in part:
        old = [line.value.rstrip("\r\n") for line in hunk if not line.is_added]
        wanted = hunk.source_start - 1 + shift
        at = _place(out, old, wanted)
        if at is None:
            raise PatchError(_does_not_apply(out, hunk, old, wanted, name, file))
        number = at
        replacement: list[str] = []
        for line in hunk:
            if line.is_removed:
                continue
            replacement.append(line.value.rstrip("\r\n"))
            number += 1
            if line.is_added:
                new.append(number)
        out[at : at + len(old)] = replacement
        shift = at - (hunk.source_start - 1) + len(replacement) - len(old)
    return out, new


def _place(lines: list[str], old: list[str], wanted: int) -> int | None:
    """Where a hunk's old lines stand, nearest to where they are expected."""
    for distance in range(MOVED_MAX):
        for at in {wanted - distance, wanted + distance}:
            if 0 <= at <= len(lines) - len(old) and lines[at : at + len(old)] == old:
                return at
    return None


def _does_not_apply(
    lines: list[str], hunk: Hunk, old: list[str], wanted: int, name: str, file: str
) -> str:
    """What to say of a hunk that has no place: the function, and both versions."""
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
            f"{name}:{line}:1: this hunk does not apply to {function}() in {file}; "
            "carry it over by hand to the port's version of the function",
            "  the hunk expects:",
            *(f"    {text}" for text in old),
            f"  the port has ({file}:{here + 1}):",
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

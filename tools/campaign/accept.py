"""Findings that somebody has looked at and accepted, with a reason, in a file that is reviewed.

    # accepted.toml, kept next to the code and reviewed like it
    [[accepted]]
    fingerprint = "69a427fe"
    reason = "known since v6.18; fixed by the follow-up series"
    by = "ann@example.org"     # optional
    until = 2027-01-31         # optional: the last day on which it is accepted

A finding is named by its fingerprint alone: a pattern would one day accept what nobody has seen.
Accepted findings are still counted and listed; they only fail no build any more.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import tomlkit

from tools.campaign.layout import write_whole

FILE: Final = "accepted.toml"  # looked for in the current folder when no other is given
TABLE: Final = "accepted"
FINGERPRINT: Final = re.compile(r"[0-9a-f]{8}")
_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_HEADER: Final = re.compile(r"\s*\[\[\s*\"?accepted\"?\s*\]\]")
_KEYS: Final = ("fingerprint", "reason", "by", "until")


class AcceptError(ValueError):
    """A file of accepted findings that cannot be used: ``file:line:column: what; what to do``."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One entry of the file.  invariant: reason is not empty."""

    fingerprint: str
    reason: str
    by: str = ""
    until: date | None = None
    line: int = 1

    def holds(self, today: date) -> bool:
        """Whether the entry is still good on this day."""
        return self.until is None or today <= self.until


@dataclass(frozen=True, slots=True)
class Accepted:
    """The whole file; empty when there is none."""

    path: str = ""
    entries: Mapping[str, Acceptance] = field(default_factory=dict)

    def of(self, fingerprint: str, today: date) -> Acceptance | None:
        """The entry that accepts a finding today."""
        entry = self.entries.get(fingerprint)
        return entry if entry is not None and entry.holds(today) else None

    def reasons(self, today: date) -> dict[str, str]:
        """Fingerprint -> reason of every entry that holds today."""
        return {name: entry.reason for name, entry in self.entries.items() if entry.holds(today)}

    def remarks(self, found: Iterable[str], today: date) -> list[str]:
        """What a reviewer should clean up: entries that ran out, and entries of no finding."""
        names = set(found)
        told: list[str] = []
        for name, entry in self.entries.items():
            where = f"{self.path}:{entry.line}:1:"
            if not entry.holds(today):
                told.append(f"{where} {name} was accepted until {entry.until}; it counts again")
            elif name not in names:
                told.append(f"{where} {name} was not found here; remove the entry if it is gone")
        return told


def load_accepted(path: Path | None) -> Accepted:
    """Read a file of accepted findings; without a path, FILE if it is there.

    Raises AcceptError.
    """
    if path is None:
        path = Path(FILE)
        if not path.exists():
            return Accepted()
    text = _text(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(path, text, str(error)) from error
    return Accepted(str(path), _entries(path, text, data))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        why = error.strerror or error
        raise AcceptError(f"{path}:1:1: cannot be read: {why}; check the path") from error
    except UnicodeDecodeError as error:
        raise AcceptError(f"{path}:1:1: is not UTF-8; save the file as UTF-8 text") from error


def _not_toml(path: Path, text: str, message: str) -> AcceptError:
    """tomllib says where in its words only; at the end of the text it gives no number."""
    match = _PLACE.search(message)
    lines = text.split("\n")
    line, column = len(lines), len(lines[-1]) + 1
    if match and match[1]:
        line, column = int(match[1]), int(match[2])
    what = _PLACE.sub("", message)
    return AcceptError(f"{path}:{line}:{column}: is not TOML: {what}; correct the line")


def _entries(path: Path, text: str, data: Mapping[str, Any]) -> dict[str, Acceptance]:
    for name in data:
        if name != TABLE:
            raise AcceptError(f"{path}:1:1: unknown table {name!r}; write [[{TABLE}]]")
    tables = data.get(TABLE, [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise AcceptError(f"{path}:1:1: {TABLE} is no list of tables; write [[{TABLE}]]")
    heads = [n for n, line in enumerate(text.split("\n"), start=1) if _HEADER.match(line)]
    entries: dict[str, Acceptance] = {}
    for at, table in enumerate(tables):
        line = heads[at] if len(heads) == len(tables) else 1
        entry = _entry(f"{path}:{line}:1:", line, table)
        if entry.fingerprint in entries:
            raise AcceptError(
                f"{path}:{line}:1: {entry.fingerprint} is accepted twice; remove one entry"
            )
        entries[entry.fingerprint] = entry
    return entries


def _entry(where: str, line: int, table: Mapping[str, Any]) -> Acceptance:
    for key in table:
        if key not in _KEYS:
            raise AcceptError(f"{where} unknown key {key!r}; known: {', '.join(_KEYS)}")
    name, reason = table.get("fingerprint"), table.get("reason")
    if not isinstance(name, str) or not FINGERPRINT.fullmatch(name):
        raise AcceptError(f"{where} fingerprint is {name!r}; want eight hex digits, as reported")
    if not isinstance(reason, str) or not reason.strip():
        raise AcceptError(f"{where} {name} has no reason; say why it is accepted")
    by, until = table.get("by", ""), table.get("until")
    if not isinstance(by, str):
        raise AcceptError(f"{where} by is {by!r}; want a name in quotes")
    return Acceptance(name, reason.strip(), by.strip(), _until(where, until), line)


def _until(where: str, value: Any) -> date | None:
    """TOML has dates of its own; one in quotes is understood as well."""
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise AcceptError(f"{where} until is {value!r}; write a day as 2027-01-31")


def append(path: Path, entry: Acceptance, comments: Sequence[str] = ()) -> None:
    """Add an entry at the end of the file, below comments that say what it is about.

    What stands in the file stays as it is, also its comments.  Raises AcceptError when the file
    is wrong or accepts this finding already.
    """
    before = _text(path) if path.exists() else ""
    if before:
        known = load_accepted(path).entries.get(entry.fingerprint)
        if known is not None:
            raise AcceptError(
                f"{path}:{known.line}:1: {entry.fingerprint} is accepted already; edit that entry"
            )
    table = tomlkit.table()
    for comment in comments:
        plain = "".join(letter if letter.isprintable() else " " for letter in comment)
        table.add(tomlkit.comment(" ".join(plain.split())))
    table["fingerprint"] = entry.fingerprint
    table["reason"] = entry.reason
    if entry.by:
        table["by"] = entry.by
    if entry.until is not None:
        table["until"] = entry.until
    tables = tomlkit.aot()
    tables.append(table)
    document = tomlkit.document()
    document[TABLE] = tables
    gap = "\n" if before.endswith("\n") else "\n\n" if before else ""
    write_whole(path, before + gap + tomlkit.dumps(document))

"""history.json of a finding: when it turned up, how often, in what programs, on what profiles.

Triage makes it and adds members, the supervisor counts, and repair begins it anew.  Each change is
read, changed and written under a lock of the finding's folder, so nobody undoes another's.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fuzz.finding import Finding, Kind
from fuzz.text import format_program
from fuzz.vocabulary import Program
from tools.campaign.layout import (
    PROGRAM_SUFFIX,
    Layout,
    content_name,
    read_object,
    write_whole,
)
from tools.campaign.records.events import last_line
from tools.campaign.records.totals import SeenAs, campaign_totals

FORMAT: Final = 1
HISTORY: Final = "history.json"
MEMBERS: Final = "members"
MEMBERS_MAX: Final = 16
EMPTY: Final[Mapping[str, Any]] = {
    "format": FORMAT,
    "first_seen": "",  # UTC, ISO 8601
    "found_after": 0.0,  # seconds of fuzzing
    "executions": 0,  # of the campaign, at that time
    "count": 0,  # how often it was seen
    "seen_as": [],  # kinds of the quick look: [rule, site, side] of each
    "members": [],  # names of programs in members/
    "shows_on": [],  # profiles
}


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a campaign was: seconds of fuzzing and executions."""

    seconds: float = 0.0
    executions: int = 0


def moment(layout: Layout) -> Moment:
    """How far the campaign is now, as its statistics say; what workers count when there are none
    yet."""
    line = last_line(layout.stats)
    seconds, executions = line.get("run_time"), line.get("execs_done")
    if isinstance(seconds, int | float) and isinstance(executions, int):
        return Moment(float(seconds), executions)
    return Moment(0.0, campaign_totals(layout).executions)


def has_history(folder: Path) -> bool:
    """Whether a finding has a history that can be read."""
    return bool(_read(folder))


def read_history(folder: Path) -> dict[str, Any]:
    """The history of a finding, every field of the kind that it should be; an empty one when there
    is none that can be read."""
    return {**EMPTY, **_read(folder)}


def _read(folder: Path) -> dict[str, Any]:
    data = read_object(folder / HISTORY)
    if data.get("format") != FORMAT:
        return {}
    return {name: value for name, value in data.items() if _fits(name, value)}


def _fits(name: str, value: Any) -> bool:
    wanted = type(EMPTY.get(name))
    return isinstance(value, int | float if wanted is float else wanted)


def seen_as(history: Mapping[str, Any]) -> list[SeenAs]:
    """The kinds of the quick look in a history: rule, site, side."""
    return [
        (str(row[0]), str(row[1]), str(row[2]))
        for row in history["seen_as"]
        if isinstance(row, list) and len(row) == 3
    ]


def change_history(folder: Path, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Read a history, let `change` change it, and write it, all under the folder's lock."""
    with _locked(folder):
        data = deepcopy(read_history(folder))
        before = deepcopy(data)
        change(data)
        if data != before:
            text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)
            write_whole(folder / HISTORY, text + "\n")
    return data


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # The folder itself is locked: files in it are replaced, and then so would be their locks.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def add_member(
    folder: Path, program: Program, seen_as: Kind, shows_on: tuple[str, ...], now: Moment
) -> None:
    """Note that a program showed this finding; the first one makes the history.

    Doing it again changes nothing.
    """
    text = format_program(program)
    name = content_name(text.encode())

    def change(data: dict[str, Any]) -> None:
        if not data["first_seen"]:
            data["first_seen"] = datetime.now(UTC).isoformat(timespec="seconds")
            data["found_after"] = round(now.seconds, 1)
            data["executions"] = now.executions
            data["count"] = max(1, data["count"])
        if name not in data["members"] and len(data["members"]) < MEMBERS_MAX:
            (folder / MEMBERS).mkdir(exist_ok=True)
            write_whole(folder / MEMBERS / (name + PROGRAM_SUFFIX), text)
            data["members"].append(name)
        kind = [seen_as.rule, seen_as.site, seen_as.side]
        if kind not in data["seen_as"]:
            data["seen_as"].append(kind)
        if shows_on:
            data["shows_on"] = list(shows_on)

    change_history(folder, change)


def shown_as(folder: Path, finding: Finding) -> list[Kind]:
    """Kinds of the quick look that were this finding, as its history says."""
    return [finding.kind, *(Kind(*kind) for kind in seen_as(read_history(folder)))]

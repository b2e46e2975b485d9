"""history.json of a finding: when it turned up, how often, in what programs, on what profiles.

Two processes write it: triage makes it and adds members, the supervisor counts.  Each change is
read, changed and written under a lock of the finding's folder, so neither undoes the other's.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fuzz.finding import Finding, Kind
from fuzz.text import format_program
from fuzz.vocabulary import Program
from tools.campaign.layout import PROGRAM_SUFFIX, Layout, content_name, write_whole

FORMAT: Final = 1
NAME: Final = "history.json"
MEMBERS: Final = "members"
MEMBERS_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a campaign was: seconds of fuzzing and executions."""

    seconds: float = 0.0
    executions: int = 0


def moment(layout: Layout) -> Moment:
    """How far the campaign is now, as its statistics say; zero when there are none yet."""
    try:
        with layout.stats.open("rb") as file:
            file.seek(max(0, layout.stats.stat().st_size - (1 << 16)))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    for line in reversed(lines):
        try:
            data = json.loads(line)
            return Moment(float(data["run_time"]), int(data["execs_done"]))
        except (ValueError, KeyError, TypeError):
            continue  # the last line may be half written
    done = 0
    for path in layout.workers.glob("*/stats.json"):
        try:
            done += int(json.loads(path.read_text(encoding="utf-8"))["executions"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return Moment(0.0, done)


def read_history(folder: Path) -> dict[str, Any]:
    """The history of a finding; an empty one when there is none, or none that can be read."""
    empty: dict[str, Any] = {
        "format": FORMAT, "first_seen": "", "found_after": 0.0, "executions": 0, "count": 0,
        "seen_as": [], "members": [], "shows_on": [],
    }  # fmt: skip
    try:
        data = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return empty
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        return empty
    good = {k: v for k, v in data.items() if k in empty and isinstance(v, type(empty[k]) | int)}
    return {**empty, **good}


def change_history(folder: Path, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Read a history, let `change` change it, and write it, all under the folder's lock."""
    with _locked(folder):
        data = read_history(folder)
        before = json.dumps(data, sort_keys=True)
        change(data)
        if json.dumps(data, sort_keys=True) != before:
            text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)
            write_whole(folder / NAME, text + "\n")
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
    kinds = [finding.kind]
    for item in read_history(folder)["seen_as"]:
        if isinstance(item, list) and len(item) == 3:
            kinds.append(Kind(*map(str, item)))
    return kinds

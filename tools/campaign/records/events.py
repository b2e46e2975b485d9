"""What happened in a campaign, one line of JSON each: events.jsonl, only ever added to.

Which findings were announced is read from here, so that each is announced once, also when the
supervisor was killed in between.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tools.campaign.views.snapshot import FOUND, Event


def append_line(path: Path, line: str) -> None:
    """Add one line to a file, all of it or nothing.  Raises OSError.

    No fsync: a power cut may cost the last lines; a torn one is cut off by repair_lines().
    """
    with path.open("ab", buffering=0) as file:
        size = file.seek(0, 2)
        data = line.encode() + b"\n"
        try:
            written = file.write(data)
            if written != len(data):  # the disk filled up in the middle
                file.write(data[written:])  # raises
        except OSError:
            file.truncate(size)
            raise


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines; lines that are none are left out."""
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except OSError:
        return
    with file:
        for line in file:
            data = _object(line)
            if data is not None:
                yield data


def _object(line: str) -> dict[str, Any] | None:
    try:
        data = json.loads(line)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def last_line(path: Path, window: int = 1 << 16) -> dict[str, Any]:
    """The last whole object of a file of JSON lines; empty when there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - window))
            tail = file.read().decode(errors="replace")
    except OSError:
        return {}
    for line in reversed(tail.splitlines()):
        data = _object(line)
        if data is not None:
            return data
    return {}


def log_event(path: Path, event: Event) -> None:
    """Add an event to events.jsonl.  Raises OSError."""
    append_line(path, json.dumps(asdict(event), sort_keys=True))


def read_events(path: Path) -> list[Event]:
    """All events, oldest first."""
    found = []
    for data in read_lines(path):
        time, kind, text = data.get("time"), data.get("kind"), data.get("text")
        if isinstance(time, int | float) and isinstance(kind, str) and isinstance(text, str):
            found.append(Event(float(time), kind, text))
    return found


def announced(path: Path) -> set[str]:
    """Fingerprints of the findings that were announced: first word of their events."""
    return {event.text.split()[0] for event in read_events(path) if event.kind == FOUND}

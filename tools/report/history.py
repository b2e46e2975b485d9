"""What is known of a finding beside itself: when it was first seen, how often, and by what."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FILE: Final = "history.json"
MEMBERS: Final = "members"


@dataclass(frozen=True, slots=True)
class History:
    """history.json of a finding's folder; all empty when there is none that can be read."""

    first_seen: str = ""  # UTC, ISO 8601
    found_after: float = 0.0  # seconds of fuzzing
    executions: int = 0  # of the campaign, at that time
    count: int = 0
    shows_on: tuple[str, ...] = ()
    members: tuple[str, ...] = ()  # files with original programs


def read_history(folder: Path) -> History:
    """Read history.json and list the members, leniently: a finding is shown without it, too."""
    try:
        data = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        data = {}
    if not isinstance(data, dict):
        data = {}
    try:
        members = sorted(path.name for path in (folder / MEMBERS).glob("*.prog"))
    except OSError:
        members = []
    return History(
        first_seen=str(data.get("first_seen", "")),
        found_after=float(_number(data.get("found_after"))),
        executions=int(_number(data.get("executions"))),
        count=int(_number(data.get("count"))),
        shows_on=_texts(data.get("shows_on")),
        members=tuple(members),
    )


def _number(value: Any) -> int | float:
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    return value if usable and 0 <= value < 1e18 else 0


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list) else ()

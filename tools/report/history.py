"""What is known of a finding beside itself: when it was first seen, how often, and by what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.campaign.records.history import MEMBERS, read_history, seen_as
from tools.campaign.records.totals import SeenAs


@dataclass(frozen=True, slots=True)
class History:
    """history.json of a finding's folder; all empty when there is none that can be read."""

    first_seen: str = ""  # UTC, ISO 8601
    found_after: float = 0.0  # seconds of fuzzing
    executions: int = 0  # of the campaign, at that time
    count: int = 0
    shows_on: tuple[str, ...] = ()
    members: tuple[str, ...] = ()  # files with original programs


def history_of(folder: Path, seen: Mapping[SeenAs, int]) -> History:
    """History of a finding; `seen` is what workers counted.  Whatever is missing stays empty."""
    data = read_history(folder)
    try:
        members = sorted(path.name for path in (folder / MEMBERS).glob("*.prog"))
    except OSError:
        members = []
    counted = sum(seen.get(kind, 0) for kind in dict.fromkeys(seen_as(data)))
    return History(
        first_seen=data["first_seen"],
        found_after=float(_number(data["found_after"])),
        executions=int(_number(data["executions"])),
        count=max(int(_number(data["count"])), counted),
        shows_on=tuple(map(str, data["shows_on"])),
        members=tuple(members),
    )


def _number(value: float) -> float:
    return value if 0 <= value < 1e18 else 0  # somebody may have written anything there

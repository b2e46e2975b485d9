"""What a campaign has counted so far, over all its worker processes, dead ones included.

A worker counts from 0 when it starts, in workers/N/stats.json.  Before its successor starts, the
supervisor folds that file into totals.json, which remembers which processes it holds; so folding
twice, or being killed in between, counts nothing twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from tools.campaign.layout import Layout, read_object, write_whole

FORMAT: Final = 1
SUMS: Final = ("executions", "steps", "hits", "inconclusive", "errors")
MOST: Final = ("lines", "lines_total", "pairs", "windows", "last_new")

SeenAs: TypeAlias = tuple[str, str, str]  # rule, site, side of the quick look
Identity: TypeAlias = tuple[int, float]  # of a process: its id and when it started


@dataclass(slots=True)
class Totals:
    """Sums and maxima of the counts that workers write.

    Workers share one corpus, so what the best of them has covered is what the campaign has.
    """

    executions: int = 0
    steps: int = 0
    hits: int = 0
    inconclusive: int = 0
    errors: int = 0
    lines: int = 0
    lines_total: int = 0
    pairs: int = 0
    windows: int = 0
    last_new: float = 0.0
    windows_entered: dict[str, dict[str, int]] = field(default_factory=dict)
    seen: dict[SeenAs, int] = field(default_factory=dict)
    benefit: dict[str, list[int]] = field(default_factory=dict)
    folded: dict[int, Identity] = field(default_factory=dict)  # per worker, the last one folded

    def add(self, stats: Mapping[str, Any]) -> None:
        """Add what one process has counted; what is not as it should be counts nothing."""
        for name in SUMS:
            setattr(self, name, getattr(self, name) + int(_number(stats.get(name))))
        for name in MOST:
            kind = type(getattr(self, name))
            setattr(self, name, max(getattr(self, name), kind(_number(stats.get(name)))))
        for window, ops in _mapping(stats.get("windows_entered")).items():
            mine = self.windows_entered.setdefault(window, {})
            for op, count in _mapping(ops).items():
                mine[op] = mine.get(op, 0) + int(_number(count))
        for row in _rows(stats.get("seen"), 4):
            kind_seen = str(row[0]), str(row[1]), str(row[2])
            self.seen[kind_seen] = self.seen.get(kind_seen, 0) + int(_number(row[3]))
        for name, pair in _mapping(stats.get("benefit")).items():
            for old, new in _rows([pair], 2):
                sums = self.benefit.setdefault(name, [0, 0])
                sums[0] += int(_number(old))
                sums[1] += int(_number(new))

    def to_json(self) -> str:
        """The text of totals.json."""
        data: dict[str, Any] = {"format": FORMAT}
        data.update({name: getattr(self, name) for name in (*SUMS, *MOST)})
        data["windows_entered"] = self.windows_entered
        data["seen"] = [[*kind, count] for kind, count in sorted(self.seen.items())]
        data["benefit"] = self.benefit
        data["folded"] = {str(number): list(who) for number, who in sorted(self.folded.items())}
        return json.dumps(data, indent=1, sort_keys=True) + "\n"


def _number(value: object) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return float(value) if good and isinstance(value, int | float) else 0.0


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _rows(value: object, size: int) -> Iterable[list[Any]]:
    rows = value if isinstance(value, list) else []
    return [row for row in rows if isinstance(row, list) and len(row) == size]


def read_stats(layout: Layout, number: int) -> dict[str, Any]:
    """stats.json of one worker; empty when there is none that can be read."""
    return read_object(layout.worker(number) / "stats.json")


def identity(stats: Mapping[str, Any]) -> Identity:
    """Which process wrote a stats.json."""
    return int(_number(stats.get("pid"))), _number(stats.get("start"))


def worker_numbers(layout: Layout) -> list[int]:
    """The workers that have a folder."""
    try:
        names = [path.name for path in layout.workers.iterdir()]
    except OSError:
        return []
    return sorted(int(name) for name in names if name.isdecimal())


def load_totals(layout: Layout) -> Totals:
    """totals.json: what processes counted that have ended; zeroes when it is lost."""
    data = read_object(layout.totals)
    totals = Totals()
    totals.add(data)
    for number, who in _mapping(data.get("folded")).items():
        for pid, start in _rows([who], 2) if number.isdecimal() else ():
            totals.folded[int(number)] = int(_number(pid)), _number(start)
    return totals


def fold(layout: Layout, totals: Totals, number: int) -> None:
    """Take what a worker that has ended counted into totals.json.  Raises OSError.

    When it cannot be written, `totals` stays as it was, to be tried again.
    """
    stats = read_stats(layout, number)
    if not stats or totals.folded.get(number) == identity(stats):
        return
    after = deepcopy(totals)
    after.add(stats)
    after.folded[number] = identity(stats)
    write_whole(layout.totals, after.to_json())
    for name in after.__dataclass_fields__:
        setattr(totals, name, getattr(after, name))


def campaign_totals(layout: Layout, ended: Totals | None = None) -> Totals:
    """What the whole campaign has counted: processes that have ended, and those that run."""
    total = load_totals(layout) if ended is None else deepcopy(ended)
    for number in worker_numbers(layout):
        stats = read_stats(layout, number)
        if stats and total.folded.get(number) != identity(stats):
            total.add(stats)
    return total

"""Runs every rival on every mutant with every seed, and adds up what came of it.

Seed by seed, so that whatever disturbs the machine disturbs all alike.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tools.bench.task import Outcome, Task

# A child that is still there after so long (seconds of the wall) is stuck, or the machine is.
PATIENCE: Final = 120.0
PATIENCE_EACH: Final = 60.0  # for each second of machine time

Start = Callable[[Task], Outcome]


def start_child(task: Task) -> Outcome:
    """Run a task in a process of its own."""
    command = [sys.executable, "-m", "tools.bench.child", json.dumps(task.to_json())]
    limit = PATIENCE + PATIENCE_EACH * task.seconds
    with tempfile.TemporaryDirectory() as folder:  # libFuzzer writes slow inputs where it runs
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired:
            return Outcome(False, task.seconds, error=f"no result after {limit:.0f} s")
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        last = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        return Outcome(False, task.seconds, error=f"exit code {done.returncode}: {last[0]}")
    return Outcome.from_json(json.loads(lines[-1]))


@dataclass(slots=True)
class Results:
    """What came of the tasks, kept in a file as it comes, so that a race can go on later.

    path: one line of JSON per task; None keeps nothing.
    """

    path: Path | None = None
    done: dict[Task, Outcome] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path | None) -> Results:
        """Read what a race before this one left.  Raises ValueError."""
        results = cls(path)
        if path is None or not path.exists():
            return results
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                data = json.loads(line)
                task = Task.from_json(data["task"])
                results.done[task] = Outcome.from_json(data["outcome"])
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path}:{number}:1: is no result: {error!r}") from error
        return results

    def add(self, task: Task, outcome: Outcome) -> None:
        """Keep one more."""
        self.done[task] = outcome
        if self.path is not None:
            line = json.dumps({"task": task.to_json(), "outcome": outcome.to_json()})
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def race(
    tasks: Sequence[Task], results: Results, start: Start = start_child, jobs: int = 1
) -> Iterator[Task]:
    """Run the tasks that have no result yet, so many at a time; gives each when it is done."""
    yield from (task for task in tasks if task in results.done)
    left = [task for task in tasks if task not in results.done]
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for task, outcome in zip(left, pool.map(start, left), strict=True):
                results.add(task, outcome)
                yield task
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Cell:
    """One rival on one mutant, over all seeds.

    median: of the times to detection in seconds; a seed without one counts as the limit.
    """

    median: float
    detected: int
    seeds: int
    limit: float
    errors: tuple[str, ...] = ()

    @property
    def censored(self) -> bool:
        """Whether the median is only known to be at least the limit."""
        return self.median >= self.limit

    def __str__(self) -> str:
        if not self.seeds:
            return "-"
        if self.censored:
            return f">{self.limit:g}"
        digits = 3 if self.median < 0.1 else 2 if self.median < 10 else 1
        mark = "" if self.detected == self.seeds else "*"
        return f"{self.median:.{digits}f}{mark}"


def cell(outcomes: Sequence[Outcome], limit: float) -> Cell:
    """Add up the seeds.  Those that failed are told apart, and not counted."""
    good = [outcome for outcome in outcomes if not outcome.error]
    errors = tuple(sorted({outcome.error for outcome in outcomes if outcome.error}))
    times = [min(outcome.seconds, limit) if outcome.detected else limit for outcome in good]
    median = statistics.median(times) if times else limit
    return Cell(median, sum(o.detected for o in good), len(good), limit, errors)


@dataclass(frozen=True, slots=True)
class Total:
    """One rival on several mutants: the sum of the medians, and how many it detects."""

    seconds: float
    detected: int  # mutants whose median is below the limit
    mutants: int

    def to_json(self) -> dict[str, Any]:
        """As JSON can write it."""
        return {"seconds": self.seconds, "detected": self.detected, "mutants": self.mutants}


def total(cells: Sequence[Cell]) -> Total | None:
    """Add up mutants; None when there are none, or one of them has no result."""
    if not cells or any(not each.seeds for each in cells):
        return None
    found = sum(not each.censored for each in cells)
    return Total(sum(each.median for each in cells), found, len(cells))


@dataclass(frozen=True, slots=True)
class Board:
    """The table: mutant by rival, and which mutants are hard."""

    rivals: tuple[str, ...]
    cells: dict[str, dict[str, Cell]]  # mutant -> rival -> cell
    hard: frozenset[str]

    @classmethod
    def of(cls, tasks: Sequence[Task], results: Results, hard: frozenset[str]) -> Board:
        """Put the results of these tasks together."""
        grouped: dict[str, dict[str, list[Outcome]]] = {}
        limits: dict[str, float] = {}
        for task in tasks:
            row = grouped.setdefault(task.mutant, {})
            row.setdefault(task.rival, [])
            limits[task.mutant] = task.seconds
            if task in results.done:
                row[task.rival].append(results.done[task])
        cells = {
            mutant: {rival: cell(outcomes, limits[mutant]) for rival, outcomes in row.items()}
            for mutant, row in grouped.items()
        }
        return cls(tuple(dict.fromkeys(task.rival for task in tasks)), cells, hard)

    def totals(self, hard: bool) -> dict[str, Total | None]:
        """Per rival, over the hard mutants or the others."""
        rows = [row for mutant, row in self.cells.items() if (mutant in self.hard) == hard]
        return {rival: total([row[rival] for row in rows if rival in row]) for rival in self.rivals}

"""The kill matrix: hunts over mutants and seeds, a few at a time, and what they come to."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from fuzz.mutants import PREEMPTIONS, Mutant
from fuzz.port.build import Options
from fuzz.port.library import built_port
from tools.mutants.outcome import Outcome

COVERED: Final = Options(coverage=True)  # as a campaign builds the port


@dataclass(frozen=True, slots=True)
class Task:
    """One hunt to run.  seconds: after which it is stopped, whatever it has done."""

    mutant: Mutant
    engine: str
    seed: int
    executions: int
    seconds: float
    everywhere: bool = False


@dataclass(slots=True)
class Row:
    """A mutant and its hunts, one for each seed."""

    mutant: Mutant
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def killed(self) -> int:
        """How many hunts found the mistake."""
        return sum(outcome.killed for outcome in self.outcomes)

    @property
    def survived(self) -> bool:
        """Whether a hunt did not."""
        return self.killed < len(self.outcomes)

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that showed it, in any hunt."""
        return tuple(sorted({rule for outcome in self.outcomes for rule in outcome.rules}))


def build_ports(mutants: Sequence[Mutant], jobs: int) -> None:
    """Build what the hunts will load, so that no hunt's time holds a compilation.

    Raises NoCompilerError, BuildError, PatchError.
    """
    models = sorted({name for mutant in mutants for name in (mutant.base, mutant.model)})
    with ThreadPoolExecutor(jobs) as pool:
        for _ in pool.map(lambda name: built_port(name, COVERED), models):
            pass


def run_all(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Outcome]]:
    """Run hunts, so many at a time; in the order of the tasks."""
    with ThreadPoolExecutor(jobs) as pool:
        yield from zip(tasks, pool.map(run_one, tasks), strict=True)


def run_one(task: Task) -> Outcome:
    """Run one hunt in a process of its own."""
    name, engine = task.mutant.name, task.engine
    where = "everywhere" if task.everywhere else "own"
    command = [sys.executable, "-m", "tools.mutants.hunt", name, engine, str(task.seed),
               str(task.executions), where]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:  # libFuzzer writes slow inputs where it runs
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=task.seconds,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Outcome(name, engine, task.seed, seconds=task.seconds, stopped=True)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        error = f"the hunt ended with exit code {done.returncode}: {said}"
        return Outcome(name, engine, task.seed, error=error)
    return Outcome.from_json(lines[-1])


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The matrix, in lines to print."""
    width = max((len(row.mutant.name) for row in rows), default=0)
    seconds = f"{'seconds':>9}  {'spread':>13}"
    yield f"{'mutant':<{width}}  {'killed':>6}  {'executions':>10}  {'spread':>19}  {seconds}  by"
    group = ""
    for row in rows:
        if row.mutant.group != group:
            group = row.mutant.group
            yield f"-- {group}"
        yield f"{row.mutant.name:<{width}}  {_numbers(row)}  {_words(row)}"


def _numbers(row: Row) -> str:
    killed = f"{row.killed}/{len(row.outcomes)}"
    kills = [outcome for outcome in row.outcomes if outcome.killed]
    if not kills:
        return f"{killed:>6}  {'-':>10}  {'':>19}  {'-':>9}  {'':>13}"
    runs = [outcome.executions for outcome in kills]
    times = [outcome.seconds for outcome in kills]
    spread = f"{min(runs)}..{max(runs)}" if len(kills) > 1 else ""
    between = f"{min(times):.1f}..{max(times):.1f}" if len(kills) > 1 else ""
    return f"{killed:>6}  {median(runs):>10.0f}  {spread:>19}  {median(times):>9.1f}  {between:>13}"


def _words(row: Row) -> str:
    words = ", ".join(row.rules) or "nothing"
    if row.mutant.hard:
        need = "preemptions" if row.mutant.hard == PREEMPTIONS else row.mutant.hard
        words += f"  [hard: {need}]"
    return words


def by_rule(rows: Sequence[Row]) -> Iterator[str]:
    """Which rule shows how many mutants, in lines to print."""
    shown: dict[str, int] = defaultdict(int)
    for row in rows:
        for rule in row.rules:
            shown[rule] += 1
    for rule, count in sorted(shown.items(), key=lambda item: (-item[1], item[0])):
        yield f"{count:5}  {rule}"

"""Adding up comparisons: per op, value, kernel and MMU flavour, what agreed and what did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tools.lab.case import STATS
from tools.lab.conform.compare import Comparison, Verdict
from tools.lab.conform.limits import RESULT

Cell = Counter[Verdict]


@dataclass(slots=True)
class Tally:
    """What one kernel with one MMU flavour came to.

    cells: (op, RESULT or a counter) -> how often each verdict.  unsteady: programs that differed
    in flush counters once and agreed when run again.  skipped: reasons, with how many programs.
    seconds: to boot (each time), and in all to run the cases.
    """

    kernel: str
    mmu: str
    patched: bool = False
    programs: int = 0
    whole: int = 0  # compared from the first op to the last
    ops: int = 0
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    limits: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    unsteady: int = 0
    boots: list[float] = field(default_factory=list)
    run_seconds: float = 0.0

    @property
    def name(self) -> str:
        """For the head of a column."""
        series = ".".join(self.kernel.split("-")[0].split("+")[0].split(".")[:2])
        return f"{series} {self.mmu}{' patched' if self.patched else ''}"

    def add(self, comparisons: Iterable[Comparison]) -> None:
        """Count comparisons in."""
        for comparison in comparisons:
            if comparison.skipped:
                self.skipped[comparison.skipped] += 1
                continue
            self.programs += 1
            self.ops += comparison.reached
            self.whole += comparison.reached == len(comparison.case.order)
            for value in comparison.values:
                op = comparison.case.order[value.at].op.name
                self.cells.setdefault((op, value.about), Counter())[value.verdict] += 1
                if value.limit is not None:
                    self.limits[value.limit.name] += 1

    def cell(self, op: str, counters: bool) -> Cell:
        """Verdicts on an op's results, or on all its counters."""
        abouts = STATS if counters else (RESULT,)
        return sum((self.cells.get((op, about), Counter()) for about in abouts), Counter())

    def total(self, verdict: Verdict, about: str | None = None) -> int:
        """How many values came to that verdict."""
        return sum(cell[verdict] for (_, what), cell in self.cells.items() if about in (None, what))

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "kernel": self.kernel,
            "mmu": self.mmu,
            "patched": self.patched,
            "programs": self.programs,
            "compared_whole": self.whole,
            "ops": self.ops,
            "unsteady": self.unsteady,
            "boot_seconds": [round(each, 2) for each in self.boots],
            "run_seconds": round(self.run_seconds, 2),
            "limits": dict(sorted(self.limits.items())),
            "skipped": dict(sorted(self.skipped.items())),
            "values": [
                {"op": op, "about": about, **{v.value: cell[v] for v in Verdict}}
                for (op, about), cell in sorted(self.cells.items())
            ],
        }

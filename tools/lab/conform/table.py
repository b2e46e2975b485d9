"""The conformance table: by operation, kernel and MMU flavour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from fuzz.counted import counted
from fuzz.vocabulary import OPS
from tools.lab.conform.compare import Verdict
from tools.lab.conform.limits import RESULT
from tools.lab.conform.observe import COUNTERS
from tools.lab.conform.tally import Cell, Tally

LEGEND = (
    "results that agree + changes of counters that agree; ~n: n differ for a known reason; "
    "!n: n differ without one; -: never compared"
)


def by_op(tallies: Sequence[Tally]) -> Table:
    """One row for each op of the language, also for those that were never compared."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("op")
    for tally in tallies:
        table.add_column(tally.name, justify="right")
    for op in OPS:
        table.add_row(op, *(_op_cell(tally, op) for tally in tallies))
    return table


def by_value(tallies: Sequence[Tally]) -> Table:
    """One row for results and for each counter."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("value")
    for tally in tallies:
        table.add_column(tally.name, justify="right")
    for about in (RESULT, *COUNTERS):
        cells = [
            sum((c for (_, what), c in t.cells.items() if what == about), Cell()) for t in tallies
        ]
        table.add_row(about, *(_text(cell) for cell in cells))
    return table


def _op_cell(tally: Tally, op: str) -> str:
    results, counters = tally.cell(op, False), tally.cell(op, True)
    if not results.total():
        return "-"
    text = f"{results[Verdict.SAME]}+{counters[Verdict.SAME]}"
    return text + _marks(results + counters)


def _text(cell: Cell) -> str:
    return f"{cell[Verdict.SAME]}{_marks(cell)}" if cell.total() else "-"


def _marks(cell: Cell) -> str:
    limits, differs = cell[Verdict.LIMIT], cell[Verdict.DIFFERS]
    return (f" ~{limits}" if limits else "") + (f" !{differs}" if differs else "")


def never_compared(tallies: Sequence[Tally], why_not: Mapping[str, str]) -> list[str]:
    """Each op that no column has, with the reason."""
    lines = []
    for op in OPS:
        if not any(tally.cell(op, False).total() for tally in tallies):
            lines.append(f"{op}: {why_not.get(op, 'no program that was run has it')}")
    return lines


def summary(tally: Tally) -> str:
    """One kernel and MMU flavour in a line or two."""
    rate = tally.programs / tally.run_seconds if tally.run_seconds else 0.0
    boots = " ".join(f"{each:.1f}" for each in tally.boots)
    differs, limits = tally.total(Verdict.DIFFERS), tally.total(Verdict.LIMIT)
    return (
        f"{tally.name}: {tally.kernel}: {counted(tally.programs, 'program')}, "
        f"{counted(tally.ops, 'op')}, "
        f"{counted(tally.whole, 'program')} to the end; {tally.total(Verdict.SAME)} values agree, "
        f"{limits} differ for a known reason, {differs} without; "
        f"{counted(tally.unsteady, 'program')} agreed only when run again; "
        f"boots {boots} s, {rate:.0f} programs a second"
    )

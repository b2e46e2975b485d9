"""``gmemdiff show``: both sides of one program, step by step."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fuzz.judge import Judgement, judge
from fuzz.report import benefit_text
from fuzz.text import format_program
from fuzz.timeline import PATCHED, REFERENCE, SAME, Row, Taken, Timeline, timeline
from fuzz.vocabulary import Program
from tools import exits
from tools.cases import Models, load_case, point_text
from tools.commands.options import budget_option, json_option, model_options
from tools.commands.run import drift_lines
from tools.lab.confirmation import load as load_confirmation

WIDTH: Final = 100
MARKS: Final = {SAME: " ", REFERENCE: "-", PATCHED: "+"}
STYLES: Final = {SAME: "", REFERENCE: "red", PATCHED: "green"}
LEGEND: Final = (
    "steps: '-' only the reference takes it, '+' only the patched side, '~' both, but the states "
    "differ after it; a|b: reference|patched; seq: mmu_invalidate_seq; inv: "
    "mmu_invalidate_in_progress; act: mn_active_invalidate_count"
)


@click.command()
@click.argument("path", metavar="FILE")
@model_options
@json_option
@budget_option
@click.option(
    "--width", type=click.IntRange(min=60), help=f"Columns; default: the terminal's, or {WIDTH}."
)
def show(
    path: str,
    as_json: bool,
    budget: int,
    width: int | None,
    reference: str | None,
    patched: str | None,
) -> int:
    """Show a program and what both sides do, side by side, up to the verdict."""
    case = load_case(path, Models(), reference, patched)
    lines = timeline(case.program, case.reference, case.patched)
    judgement = judge(case.program, case.reference, case.patched, budget)
    if as_json:
        data = {
            "path": path,
            "program": format_program(case.program),
            "timeline": lines.to_json(),
            "verdict": judgement.verdict.name,
            "lines": list(judgement.lines),
        }
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return exits.CLEAN
    tty = sys.stdout.isatty()
    columns = width or (shutil.get_terminal_size((WIDTH, 0)).columns if tty else WIDTH)
    click.echo(drawn(case.program, lines, judgement, columns, tty), nl=False)
    told = load_confirmation(Path(path).parent, case.program)
    if told is not None:
        click.echo(f"on real kernels: {told.summary}")
    return exits.CLEAN


def drawn(
    program: Program, lines: Timeline, judgement: Judgement, width: int, terminal: bool
) -> str:
    """The whole page.  Written to memory first: rich ends the process when a pipe breaks."""
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=terminal,
        no_color=not terminal,
        highlight=False,
        markup=False,
        emoji=False,
    )
    with console.capture() as page:
        console.print(format_program(program))
        console.print(LEGEND)
        for table in tables(lines):
            console.print(table)
        for name, side in (("reference", lines.reference), ("patched", lines.patched)):
            console.print(f"{name} {side.model}: {side.end} after {len(side.steps)} steps")
            for told in (*side.stuck, *(f"the end breaks {rule}" for rule in side.broken_at_end)):
                console.print(f"  {told}")
        for told in verdict_lines(judgement):
            console.print(told)
    return "\n".join(line.rstrip() for line in page.get().splitlines()) + "\n"


def tables(lines: Timeline) -> list[Table | Text]:
    """The timeline in pieces, with a line before each first difference."""
    rules: dict[int, list[str]] = {}
    if lines.first_state is not None:
        rules.setdefault(lines.first_state, []).append("from here the states differ")
    if lines.first_difference is not None:
        rules.setdefault(lines.first_difference, []).append("first difference: one side's step")
    pieces: list[Table | Text] = []
    cuts = sorted({0, *rules, len(lines.rows)})
    widths = _column_widths(lines)
    for start, end in pairwise(cuts):
        if start in rules:
            pieces.append(Text(f"==== {'; '.join(rules[start])} ====", style="bold"))
        table = _table(widths, header=start == 0)
        for row in lines.rows[start:end]:
            _add(table, row)
        pieces.append(table)
    return pieces


def _column_widths(lines: Timeline) -> tuple[int, int]:
    """The widths that all pieces share: a step number, and a pair of counters."""
    number = len(str(max(len(lines.reference.steps), len(lines.patched.steps), 1)))
    pairs = [cell for row in lines.rows for cell in _counters(row)]
    return max(number, 3), max([3, *(len(pair) for pair in pairs)])


def _table(widths: tuple[int, int], header: bool) -> Table:
    number, counter = widths
    table = Table(box=None, show_header=header, pad_edge=False, expand=True, padding=(0, 1, 0, 0))
    table.add_column("", width=1)
    table.add_column("ref", width=number, justify="right")
    table.add_column("pat", width=number, justify="right")
    table.add_column("step", ratio=3, overflow="fold")
    for name in ("seq", "inv", "act"):
        table.add_column(name, width=counter, justify="right")
    table.add_column("locks held after it", ratio=2, overflow="fold")
    return table


def _counters(row: Row) -> list[str]:
    return [
        _pair(row, lambda step: str(step.seq)),
        _pair(row, lambda step: str(step.in_progress)),
        _pair(row, lambda step: str(step.active)),
    ]


def _pair(row: Row, read: Callable[[Taken], str]) -> str:
    """One value of a row: ``a``, or ``a|b`` when the sides have different ones."""
    values = [read(step) for step in (row.reference, row.patched) if step is not None]
    if len(values) == 2 and values[0] != values[1]:
        return f"{values[0]}|{values[1]}"
    return values[0]


def _number(step: Taken | None) -> str:
    return str(step.number) if step is not None else ""


def _add(table: Table, row: Row) -> None:
    step = row.step
    mark = "~" if row.state_differs else MARKS[row.mark]
    told = f"{step.actor}[{step.op}] {step.label}"
    result = _pair(row, lambda taken: taken.result or "-")
    if result != "-":
        told += f" => {result}"
    locks = _pair(row, lambda taken: " ".join(taken.locks) or "-")
    table.add_row(
        mark,
        _number(row.reference),
        _number(row.patched),
        told,
        *_counters(row),
        locks if locks != "-" else "",
        style=STYLES[row.mark],
    )
    for name, taken in (("reference", row.reference), ("patched", row.patched)):
        for rule in taken.broken if taken is not None else ():
            table.add_row("!", "", "", f"{name} breaks {rule}", "", "", "", "", style="bold red")


def verdict_lines(judgement: Judgement) -> list[str]:
    """The verdict at the bottom."""
    finding = f"   finding {judgement.fingerprint}" if judgement.fingerprint else ""
    lines = [f"verdict: {', '.join(judgement.lines)}{finding}"]
    for broken in judgement.broken:
        lines.append(f"  {broken.side} {broken.rule}: {broken.text}")
        if broken.evidence:
            lines.append(f"    on the other side: {broken.evidence}")
    lines += [f"  {difference}" for difference in judgement.differing]
    if judgement.evidence:
        lines.append(f"  search: {judgement.evidence}")
    if judgement.benefit:
        lines.append(f"  {benefit_text(judgement.benefit)}")
    lines += [f"  unexpected result: {text}" for text in judgement.expectation]
    lines += [f"  neither side reaches {point_text(p)}" for p in judgement.stale]
    lines += [f"  drift: {text}" for text in drift_lines(judgement)]
    return lines

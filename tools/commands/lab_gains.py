"""``gmemdiff lab gains``: the faults, flushes and retries that a patch saves a guest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import click
from rich import box
from rich.console import Console
from rich.table import Table

from fuzz.counted import counted
from fuzz.overlay import load_model
from fuzz.text import load
from fuzz.vocabulary import Program
from reference.features import Profile
from tools import exits
from tools.cases import program_files
from tools.lab import express
from tools.lab.case import Case
from tools.lab.conform.observe import profile_of
from tools.lab.errors import LabError
from tools.lab.gains import workloads
from tools.lab.gains.measure import Row, Span, Spans, compare, on_kernel
from tools.lab.gains.workloads import Workload
from tools.lab.kernels import Kernel, find_kernel
from tools.lab.lab import Lab
from tools.lab.machines import MMUS
from tools.lab.plan import PATCHED, STOCK, Request, kernel_for

WIDTH: Final = 120
NAMES: Final = tuple(each.name for each in workloads.WORKLOADS)


@click.command(name="gains")
@click.argument("paths", nargs=-1, metavar="[FILE|DIR]...")
@click.option("--workload", "names", multiple=True, type=click.Choice(NAMES),
              help="Default: all, unless programs are given.")  # fmt: skip
@click.option("--version", "series", default="7.2", show_default=True)
@click.option("--mmu", "mmus", multiple=True, type=click.Choice(MMUS), default=("tdp",),
              show_default=True)  # fmt: skip
@click.option("--repeat", type=click.IntRange(1), default=10, show_default=True, metavar="N",
              help="Times each workload is run on each kernel.")  # fmt: skip
@click.option("--patch", metavar="FILE", help="The patch of the patched KVM; else the seed's.")
@click.option("--patched", "model", default="seed", show_default=True, metavar="MODEL",
              help="What stands for the patched KVM among the models.")  # fmt: skip
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all there.")
def lab_gains(
    paths: tuple[str, ...],
    names: tuple[str, ...],
    series: str,
    mmus: tuple[str, ...],
    repeat: int,
    patch: str | None,
    model: str,
    json_file: Path | None,
) -> int:
    """Count what a patch saves: stock and patched kernel, the same workload, KVM's own counters.

    Each workload runs in turns and at once (see docs/lab.md), and programs that are given in
    turns.  Beside the kernels' counts stand those of the models.  `retries` are the faults that
    KVM gave up because an invalidation was in progress, and the guest made again.

    Exit code: 0 the kernels count what the models say wherever these are certain, 1 they do not,
    2 bad input, 4 no kernel or no QEMU, 5 nothing to run.
    """
    programs = [(path, load(path)) for path in (program_files(paths) if paths else ())]
    picked = () if paths and not names else workloads.chosen(names)
    if not programs and not picked:
        click.echo("nothing to run: no program there", err=True)
        return exits.NOTHING
    models = (load_model("stock"), load_model(model))
    release = find_kernel(series).release
    found: list[Row] = []
    for mmu in mmus:
        cases = _cases(programs, picked, profile_of(release, mmu), repeat)
        request = Request((STOCK, PATCHED), patch=patch)
        stock, patched = (
            _on_kernel(cases, kernel_for(request, series, kind, mmu), mmu) for kind in request.kinds
        )
        measured = compare(cases, stock, patched, models)
        _tell(measured, f"{release}, {mmu}, {counted(repeat, 'repetition')}")
        found += [replace(row, workload=f"{mmu}: {row.workload}") for row in measured]
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(row) for row in found], indent=1) + "\n")
    return _summary(found)


def _cases(
    programs: Sequence[tuple[str, Program]],
    picked: Sequence[Workload],
    profile: Profile,
    repeat: int,
) -> list[Case]:
    """Everything that is to be run, in its repetitions.  Raises LabError for what cannot be."""
    own: list[Case] = []
    for path, program in programs:
        reasons = express.reasons(program, profile.mmu.removeprefix("x86-"))
        if reasons:
            raise LabError(f"{path}: not expressible: {'; '.join(reasons)}")
        own.append(workloads.own_case(path, program, profile))
    in_turns = own + [workloads.in_turns(each, profile) for each in picked]
    at_once = [workloads.at_once(each, profile, repeat) for each in picked]
    return [case for case in in_turns for _ in range(repeat)] + at_once


def _on_kernel(cases: Sequence[Case], kernel: Kernel, mmu: str) -> dict[str, Spans]:
    def bench_with(cpus: int) -> Lab:
        click.echo(f"kernel:   {kernel.name}, {mmu}, {counted(cpus, 'processor')}", err=True)
        return Lab(kernel, mmu, cpus=cpus)

    return on_kernel(cases, bench_with)


def _tell(found: Sequence[Row], title: str) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for head in ("workload", "counter"):
        table.add_column(head)
    for head in ("stock", "its model", "patched", "its model", ""):
        table.add_column(head, justify="right")
    last = ""
    for row in found:
        cells = (
            _seen(row.stock),
            _said(row.stock_model),
            _seen(row.patched),
            _said(row.patched_model),
        )
        marks = "!" if row.disagreements else ""
        name = row.workload if row.workload != last else ""
        table.add_row(name, row.counter, *cells, marks)
        last = row.workload
    Console(width=WIDTH, highlight=False).print(table)


def _seen(span: Span | None) -> str:
    return "-" if span is None else str(span)


def _said(span: Span | None) -> str:
    return "varies" if span is not None and not span.certain else _seen(span)


def _summary(found: Sequence[Row]) -> int:
    compared = sum(row.compared for row in found)
    wrong = [(row, side) for row in found for side in row.disagreements]
    for row, side in wrong:
        click.echo(f"{row.workload}: {row.counter}: the {side} kernel is not as its model says")
    click.echo(f"{compared - len(wrong)} of {compared} counts are as the models say")
    return exits.FINDING if wrong else exits.CLEAN

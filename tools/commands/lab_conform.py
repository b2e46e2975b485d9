"""``gmemdiff lab conform``: do the models say what real kernels do?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from fuzz.overlay import load_model
from fuzz.text import format_op, format_program, load
from fuzz.vocabulary import Program
from tools import exits
from tools.cases import program_files
from tools.lab import express
from tools.lab.case import Turn
from tools.lab.conform import table
from tools.lab.conform.compare import Comparison, Verdict
from tools.lab.conform.draw import random_cases
from tools.lab.conform.limits import shipped_limits
from tools.lab.conform.observe import profile_of
from tools.lab.conform.remember import Remembering
from tools.lab.conform.session import Session, able, corpus_cases
from tools.lab.conform.shrink import round_robin
from tools.lab.conform.tally import Tally
from tools.lab.lab import Lab
from tools.lab.machines import ALL_MMUS, MMUS
from tools.lab.plan import PATCHED, STOCK, Request, kernel_for
from tools.lab.shelf import Shelf, key_of, sha256
from tools.lab.static import build_executor

BOTH: Final = "both"
WIDTH: Final = 200
MODELS: Final = {STOCK: "stock", PATCHED: "seed"}


@click.command(name="conform")
@click.argument("paths", nargs=-1, metavar="[FILE|DIR]...")
@click.option("--random", "count", type=click.IntRange(min=1), help="So many random programs.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random programs.")
@click.option("--version", "series", multiple=True, default=("7.2",), show_default=True)
@click.option("--mmu", "mmus", multiple=True, type=click.Choice(ALL_MMUS), default=MMUS,
              show_default=True)  # fmt: skip
@click.option("--kernel", "which", type=click.Choice([STOCK, PATCHED, BOTH]), default=STOCK,
              show_default=True, help="Against the stock model, or the seed's.")  # fmt: skip
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all there.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("conform"),
              show_default=True, help="Folder for programs that differ.")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Ask kernels again for what they have answered.")
@click.option("--no-shrink", is_flag=True, help="Leave programs that differ as they are.")
def lab_conform(
    paths: tuple[str, ...],
    count: int | None,
    seed: int,
    series: tuple[str, ...],
    mmus: tuple[str, ...],
    which: str,
    json_file: Path | None,
    output: Path,
    fresh: bool,
    no_shrink: bool,
) -> int:
    """Run programs op by op on models and on real kernels, and compare all that both expose.

    Programs run in each serial order that their schedule allows, on every kernel and MMU asked
    for, whatever their own profile.  Each difference is made small and written to a file that
    `gmemdiff lab run` takes.

    Exit code: 0 no difference without a known reason, 1 a difference, 2 bad input, 4 no kernel or
    no QEMU, 5 nothing to run.
    """
    programs = [(path, load(path)) for path in (program_files(paths) if paths else ())]
    if not programs and not count:
        click.echo("nothing to run: give program files, or --random N", err=True)
        return exits.NOTHING
    tallies: list[Tally] = []
    found: list[tuple[Tally, Comparison]] = []
    kinds = (STOCK, PATCHED) if which == BOTH else (which,)
    for version in series:
        for kind in kinds:
            for mmu in mmus:
                session = _session(version, kind, mmu, fresh)
                session.shrinks = not no_shrink
                cases, cannot = corpus_cases(programs, session.profile)
                cases += random_cases(seed, count or 0, session.profile, able())
                differ, tally = session.run(cases), session.tally
                tally.skipped.update(Counter(cannot.values()))
                tallies.append(tally)
                found += [(tally, each) for each in differ]
                click.echo(table.summary(tally), err=True)
    _print(tallies)
    for number, (tally, comparison) in enumerate(found, 1):
        _tell(tally, comparison, output / f"{number:03}.prog")
    if json_file is not None:
        json_file.write_text(json.dumps([tally.data() for tally in tallies], indent=1) + "\n")
    return exits.FINDING if found else exits.CLEAN


def _session(version: str, kind: str, mmu: str, fresh: bool) -> Session:
    """One kernel with one MMU flavour."""
    kernel = kernel_for(Request((kind,)), version, kind, mmu)
    executor = build_executor(kernel.arch)
    shelf = Shelf()
    bench = Remembering(Lab(kernel, mmu), key_of(kernel.key, mmu, sha256(executor)), shelf, fresh)
    return Session(
        bench,
        load_model(MODELS[kind]),
        profile_of(kernel.release, mmu),
        shipped_limits(),
        kind == PATCHED,
        tell=lambda text: click.echo(f"{version} {kind} {mmu}: {text}", err=True),
    )


def _print(tallies: Sequence[Tally]) -> None:
    console = Console(width=WIDTH, highlight=False)
    console.print(table.by_op(tallies))
    console.print(table.LEGEND)
    console.print(table.by_value(tallies))
    for tally in tallies:
        console.print(table.summary(tally), soft_wrap=True)
    limits = sum((tally.limits for tally in tallies), Counter[str]())
    reasons = {limit.name: limit.reason for limit in shipped_limits().known}
    for name, times in limits.most_common():
        console.print(f"known ({times}): {name}: {reasons[name]}", soft_wrap=True)
    skipped = sum((tally.skipped for tally in tallies), Counter[str]())
    for reason, times in skipped.most_common():
        console.print(f"not run ({times}): {reason}", soft_wrap=True)
    for line in table.never_compared(tallies, express.WHY_NOT):
        console.print(f"never compared: {line}", soft_wrap=True)


def _tell(tally: Tally, comparison: Comparison, path: Path) -> None:
    """A difference: both traces, and the file to run it again."""
    first = comparison.first_difference
    assert first is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    program = round_robin(comparison.case)
    title = (
        f"Model and kernel differ on {tally.kernel}, {tally.mmu}"
        f"{', patched' if tally.patched else ''}: at",
        f"{_op_text(comparison.case.order[first.at])}: {first.about}: model {first.model}, "
        f"kernel {first.kernel}".splitlines()[0][:160].rstrip(),
    )
    path.write_text(format_program(_titled(program, title)), encoding="utf-8")
    click.echo(f"\n{tally.name}: {first.about} differs: {path}")
    for at, turn in enumerate(comparison.case.order):
        values = [value for value in comparison.values if value.at == at]
        shown = " ".join(
            f"{value.about}={value.model}"
            + ("" if value.verdict is Verdict.SAME else f" but the kernel {value.kernel}")
            for value in values
            if value.verdict is not Verdict.SAME or value.model not in ("+0",)
        )
        click.echo(f"  {_op_text(turn)}: {shown}")


def _op_text(turn: Turn) -> str:
    return f"{turn.actor} {format_op(replace(turn.op, expect=''))}"


def _titled(program: Program, title: tuple[str, ...]) -> Program:
    return replace(program, title=title, expect=())

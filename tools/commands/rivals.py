"""``gmemdiff bench rivals``: how soon our engine and its rivals find each seeded mistake."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from fuzz.mutants import Mutant, all_mutants
from fuzz.port.build import ported_models
from fuzz.port.compiler import NoCompilerError, find_compiler
from fuzz.values import unknown
from tools import exits
from tools.bench.race import Board, Results, race
from tools.bench.rivals.table import RIVALS, missing
from tools.bench.task import Task
from tools.bench.words import as_json, lines

SECONDS: Final = 10.0
SEEDS: Final = 3


@click.command("rivals")
@click.option("--mutants", "names", multiple=True, metavar="NAME", help="Only these; repeatable.")
@click.option("--hard", "only_hard", is_flag=True, help="Only those that are hard to find.")
@click.option("--only", "chosen", multiple=True, metavar="RIVAL", help="Only these; repeatable.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=SECONDS,
    show_default=True,
    help="Machine time of each rival on each mutant with each seed.",
)
@click.option("--seeds", type=click.IntRange(min=1), default=SEEDS, show_default=True)
@click.option(
    "--results",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep every result in this file, and do not run again what is there.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Children at a time; machine time is the processor's, so that more disturb little.",
)
@click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
def rivals(
    names: tuple[str, ...],
    only_hard: bool,
    chosen: tuple[str, ...],
    seconds: float,
    seeds: int,
    path: Path | None,
    jobs: int,
    as_json_: bool,
) -> int:
    """Race our guided engine against what people would use instead, on seeded mistakes.

    Each cell is the median over the seeds of the processor time to the first detection that holds.
    """
    mutants = _mutants(names, only_hard)
    tasks = list(_tasks(mutants, _rivals(chosen), seconds, seeds))
    if not tasks:
        click.echo("nothing to run: no rival can run on these mutants", err=True)
        return exits.NOTHING
    try:
        results = Results.load(path)
    except (OSError, ValueError) as error:
        raise click.BadParameter(str(error), param_hint="--results") from error
    _run(tasks, results, jobs)
    hard = frozenset(mutant.name for mutant in mutants if mutant.hard)
    board = Board.of(tasks, results, hard)
    if as_json_:
        click.echo(json.dumps(as_json(board), indent=2))
    else:
        click.echo("\n".join(lines(board, {m.name: f"{m.summary} ({m.hard})" for m in mutants})))
    return exits.CLEAN


def _mutants(names: Sequence[str], only_hard: bool) -> list[Mutant]:
    known = {mutant.name: mutant for mutant in all_mutants()}
    for name in names:
        if name not in known:
            raise click.BadParameter(unknown("mutant", name, known), param_hint="--mutants")
    wanted = [known[name] for name in names] or list(known.values())
    return [mutant for mutant in wanted if mutant.hard or not only_hard]


def _rivals(chosen: Sequence[str]) -> list[str]:
    """Those that can run here; says why others cannot."""
    for name in chosen:
        if name not in RIVALS:
            raise click.BadParameter(unknown("rival", name, RIVALS), param_hint="--only")
    able = []
    for name in chosen or RIVALS:
        why = f"{missing(name)} is not installed" if missing(name) else _no_compiler(name)
        if why:
            click.echo(f"{name}: skipped: {why}", err=True)
        else:
            able.append(name)
    return able


def _no_compiler(name: str) -> str:
    if not RIVALS[name].in_c:
        return ""
    try:
        find_compiler()
    except NoCompilerError as error:
        return str(error)
    return ""


def _tasks(
    mutants: Sequence[Mutant], names: Sequence[str], seconds: float, seeds: int
) -> Iterator[Task]:
    """Seed by seed: a race that is cut short has all mutants with fewer seeds."""
    ported = set(ported_models())
    for seed in range(seeds):
        for mutant in mutants:
            for name in names:
                if RIVALS[name].in_c and not {mutant.model, mutant.base} <= ported:
                    continue
                yield Task(name, mutant.name, mutant.base, (str(mutant.profile),), seed, seconds)


def _run(tasks: Sequence[Task], results: Results, jobs: int) -> None:
    start = time.monotonic()
    for number, task in enumerate(race(tasks, results, jobs=jobs), 1):
        outcome = results.done[task]
        said = "detected after" if outcome.detected else "nothing in"
        line = f"{task.mutant} seed {task.seed} {task.rival}: {said} {outcome.seconds:.2f} s"
        click.echo(
            f"{number}/{len(tasks)} {time.monotonic() - start:.0f} s  "
            + (f"{line}: {outcome.error}" if outcome.error else line),
            err=True,
        )
    sys.stderr.flush()

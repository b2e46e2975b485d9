"""``gmemdiff lockstep``: the Python model and the C port, step by step."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Final

import click

from fuzz.codec import random_program
from fuzz.counted import counted
from fuzz.execution import HarnessError
from fuzz.overlay import load_model
from fuzz.port.build import COMPARED, ported_others
from fuzz.port.compiler import find_compiler
from fuzz.port.encode import BeyondPortError
from fuzz.port.library import load_port
from fuzz.port.lockstep import lockstep as compare
from fuzz.text import format_program, load
from fuzz.vocabulary import Program
from reference.features import PROFILES, Profile
from tools import exits
from tools.cases import program_files
from tools.commands.options import ops_range, profile

BATCH: Final = 50  # random programs that one process takes at a time


@dataclass(slots=True)
class Tally:
    """What a batch of programs came to.  drifts: what to print of each."""

    programs: int = 0
    runs: int = 0
    beyond: int = 0  # programs that the port has no room for
    drifts: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count another batch in."""
        self.programs += other.programs
        self.runs += other.runs
        self.beyond += other.beyond
        self.drifts += other.drifts


@dataclass(frozen=True, slots=True)
class Batch:
    """Random programs to draw from a seed, or files to read.

    others: a file is run on the one of these that it names as its patched model, too.
    """

    models: tuple[str, ...]
    profiles: tuple[Profile, ...]
    files: tuple[str, ...] = ()
    seed: str = ""
    count: int = 0
    ops: tuple[int, int] = (4, 16)
    others: tuple[str, ...] = ()

    def programs(self) -> Iterator[tuple[str, Program]]:
        """Where each comes from, and the program."""
        for path in self.files:
            yield path, load(path)
        rng = random.Random(self.seed)
        for number in range(self.count):
            chosen = self.profiles[number % len(self.profiles)]
            yield f"random program {self.seed}/{number}", random_program(rng, chosen, *self.ops)


def run_batch(batch: Batch) -> Tally:
    """Compare every program of a batch on every model."""
    tally = Tally()
    for where, program in batch.programs():
        tally.programs += 1
        named = [program.patched] if program.patched in batch.others else []
        for model, port in [(load_model(n), load_port(n)) for n in (*batch.models, *named)]:
            try:
                drift = compare(program, model, port)
            except BeyondPortError as error:
                tally.beyond += 1
                tally.drifts += [f"{where}: {error}"] if batch.count else []
                break
            except HarnessError as error:
                raise HarnessError(f"{where}, {model.name}: {error}") from error
            tally.runs += 1
            if drift is not None:
                tally.drifts.append(f"{where}: {drift}\n\n{format_program(program)}")
                break
    return tally


@click.command()
@click.argument("paths", nargs=-1, metavar="[FILE|DIR]...")
@click.option("--random", "count", type=click.IntRange(min=1), help="So many random programs.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random programs.")
@click.option("--ops", default="4..16", show_default=True, help="Ops of a random program.")
@click.option("--profile", "wanted", multiple=True, metavar="'KERNEL MMU'", help="Default: all.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=os.cpu_count() or 1,
              show_default="processors")  # fmt: skip
def lockstep(
    paths: tuple[str, ...],
    count: int | None,
    seed: int,
    ops: str,
    wanted: tuple[str, ...],
    jobs: int,
) -> int:
    """Run programs on the Python model and on the C port, and compare every step.

    Labels, results, broken rules and the whole state after each step must be the same to the
    byte, for the stock model and for the seed's.  A program whose patched model is another one
    with a patch in patched/c/ is run on that, too, and random programs are run on these, mutants
    included, in turn.  The first difference of a program is shown with both states.

    Exit code: 0 all the same, 1 a difference, 2 bad input or a port that does not compile,
    3 internal error, 4 no C compiler, 5 nothing to run.
    """
    profiles = tuple(profile(text) for text in wanted) or PROFILES
    others = ported_others()
    click.echo(
        f"compiler: {find_compiler().name}; models: {', '.join(COMPARED)}, "
        f"and {len(others)} in turn",
        err=True,
    )
    for name in COMPARED:
        load_port(name)  # built once, before the processes ask for it
    files = tuple(str(path) for path in program_files(paths)) if paths else ()
    batches = [
        Batch(COMPARED, profiles, files[at : at + BATCH], others=others)
        for at in range(0, len(files), BATCH)
    ]
    for number, at in enumerate(range(0, count or 0, BATCH)):
        size = min(BATCH, (count or 0) - at)
        these = (*COMPARED, others[number % len(others)]) if others else COMPARED
        batches.append(Batch(these, profiles, (), f"{seed}-{at}", size, ops_range(ops)))
    return _run(batches, jobs)


def _run(batches: list[Batch], jobs: int) -> int:
    total = Tally()
    try:
        with ProcessPoolExecutor(max_workers=jobs) as pool:
            for tally in pool.map(run_batch, batches):
                for drift in tally.drifts:
                    click.echo(drift + "\n")
                    sys.stdout.flush()
                total.add(tally)
    except BrokenProcessPool as error:
        raise HarnessError("a process that ran the C port died; make sanitize says why") from error
    click.echo(
        f"{counted(total.programs, 'program')}, {counted(total.runs, 'run')} on each of Python "
        f"and C: {len(total.drifts)} differ"
        + (f"; {total.beyond} beyond the port's limits" if total.beyond else "")
    )
    if not total.programs:
        return exits.NOTHING
    return exits.FINDING if total.drifts else exits.CLEAN

"""``gmemdiff bench``: how many programs a second, measured against each other in one run.

Ratios say more than rates: they are the same on every machine, more or less.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Final

import click

from fuzz.codec import decode, random_program
from fuzz.execution import Execution, Plan, Run
from fuzz.harness import Harness
from fuzz.judge import suspicious
from fuzz.overlay import Model
from fuzz.text import format_program, parse
from fuzz.twins import Twins
from fuzz.vocabulary import Program
from reference.observer import Observer
from tools import exits
from tools.cases import Models

OPS: Final = 16  # per program, setup included
SMALL_OPS: Final = 8  # most of a campaign's corpus is small
PROGRAMS: Final = 200
BYTES: Final = 160


def programs(ops: int) -> list[Program]:
    """A fixed set: random programs of exactly so many ops."""
    rng = random.Random(0)
    chosen: list[Program] = []
    while len(chosen) < PROGRAMS:
        program = random_program(rng, None, ops // 2, ops - 2)
        count = len(program.setup) + sum(len(actor.ops) for actor in program.actors)
        if count == ops:
            chosen.append(program)
    return chosen


def bare(model: Model, program: Program) -> Run:
    """One run with nobody listening."""
    return Execution(model.kvm, Plan.of(program), Observer()).run()


def _drop(results: Iterable[object]) -> None:
    for _ in results:
        pass


@click.command()
@click.option("--repeat", type=click.IntRange(min=1), default=5, show_default=True)
def bench(repeat: int) -> int:
    """Measure executions per second on a fixed set of random programs."""
    models = Models()
    stock, seed = models.get("stock"), models.get("seed")
    chosen, small = programs(OPS), programs(SMALL_OPS)
    texts = [format_program(program) for program in chosen]
    harness, twins = Harness(stock, seed), Twins(stock, seed)
    rng = random.Random(1)
    data = [rng.randbytes(BYTES) for _ in range(PROGRAMS)]
    # Results are dropped at once, as the random loop does: keeping them costs more than a run.
    jobs: list[tuple[str, Callable[[], object]]] = [
        ("one side, no oracles (baseline)", lambda: _drop(bare(stock, p) for p in chosen)),
        (
            "both sides, no oracles",
            lambda: _drop((bare(stock, p), bare(seed, p)) for p in chosen),
        ),
        ("both sides, oracles, judge", lambda: _drop(suspicious(p, stock, seed) for p in chosen)),
        (f"the same, {SMALL_OPS} ops", lambda: _drop(suspicious(p, stock, seed) for p in small)),
        ("the same, one run where enough", lambda: _drop(twins.run(p) for p in small)),
        (f"in a campaign, {SMALL_OPS} ops", lambda: _drop(harness.run(p) for p in small)),
        (f"decode {BYTES} bytes", lambda: _drop(decode(each) for each in data)),
        ("write as text", lambda: _drop(format_program(p) for p in chosen)),
        ("read from text", lambda: _drop(parse(text) for text in texts)),
    ]
    steps = sum(bare(stock, p).steps for p in chosen)
    times: dict[str, list[float]] = {name: [] for name, _ in jobs}
    for _ in range(repeat):  # round by round, so that a slow moment hits all alike
        for name, job in jobs:
            start = time.process_time()  # others may use the machine, too
            job()
            times[name].append((time.process_time() - start) / PROGRAMS)
    base = statistics.median(times[jobs[0][0]])
    click.echo(
        f"{PROGRAMS} programs of {OPS} ops, {steps / PROGRAMS:.1f} steps per execution on one "
        f"side; medians of {repeat}"
    )
    click.echo(f"{'':<34}{'per second':>12}{'microseconds':>14}{'times baseline':>16}")
    for name, measured in times.items():
        median = statistics.median(measured)
        click.echo(f"{name:<34}{1 / median:>12.0f}{median * 1e6:>14.0f}{median / base:>16.2f}")
    return exits.CLEAN

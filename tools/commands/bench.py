"""``gmemdiff bench``: how many programs a second, measured against each other in one run.

Ratios say more than rates: they are the same on every machine, more or less.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Final

import click

from fuzz.codec import decode
from fuzz.execution import Execution, HarnessError, Plan, Run
from fuzz.harness import Harness
from fuzz.judge import suspicious
from fuzz.overlay import Model
from fuzz.port.compiler import NoCompilerError, find_compiler
from fuzz.text import format_program, parse
from fuzz.twins import Twins
from fuzz.vocabulary import Program
from reference.observer import Observer
from tools import exits
from tools.bench.engine import ENGINES, PROGRAMS, WARM_UP, programs
from tools.bench.engine import OPS as ENGINE_OPS
from tools.cases import Models
from tools.commands.rivals import rivals

SECONDS: Final = 3.0  # of each engine, each time
WORDS: Final = {
    "python": "Python",
    "python-atheris": "Python under Atheris",
    "c": "C",
    "c-coverage": "C with native coverage",
    "c-atheris": "C under Atheris, from cold",
    "c-atheris-warm": f"C under Atheris, after {WARM_UP:g} s",
}
SMALL_OPS: Final = 8  # most of a campaign's corpus is small
BYTES: Final = 160


def bare(model: Model, program: Program) -> Run:
    """One run with nobody listening."""
    return Execution(model.kvm, Plan.of(program), Observer()).run()


def _drop(results: Iterable[object]) -> None:
    for _ in results:
        pass


@click.group(invoke_without_command=True)
@click.option("--repeat", type=click.IntRange(min=1), default=5, show_default=True)
@click.option(
    "--engines-only", is_flag=True, help="Only the table of engines: Python, C, under Atheris."
)
@click.pass_context
def bench(context: click.Context, repeat: int, engines_only: bool) -> int:
    """Measure executions per second on a fixed set of random programs."""
    if context.invoked_subcommand is not None:
        return exits.CLEAN
    if not engines_only:
        _parts(repeat)
        click.echo("")
    _engines(repeat)
    return exits.CLEAN


bench.add_command(rivals)


def _parts(repeat: int) -> None:
    """What an execution in Python consists of."""
    models = Models()
    stock, seed = models.get("stock"), models.get("seed")
    chosen, small = programs(ENGINE_OPS), programs(SMALL_OPS)
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
        f"{PROGRAMS} programs of {ENGINE_OPS} ops, {steps / PROGRAMS:.1f} steps per execution "
        f"on one side; medians of {repeat}"
    )
    click.echo(f"{'':<34}{'per second':>12}{'microseconds':>14}{'times baseline':>16}")
    for name, measured in times.items():
        median = statistics.median(measured)
        click.echo(f"{name:<34}{1 / median:>12.0f}{median * 1e6:>14.0f}{median / base:>16.2f}")


def _engines(repeat: int) -> None:
    """Whole engines, each in a process of its own."""
    names = [name for name in ENGINES if not name.startswith("c") or _has_port(name)]
    told: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(repeat):
        for name in names:
            told[name].append(_measured(name))
    click.echo(
        f"both sides and judged, programs of {ENGINE_OPS} ops, one core; medians of {repeat} times "
        f"{SECONDS:g} s"
    )
    click.echo(f"{'':<34}{'executions/s':>14}{'steps/s':>14}{'times Python':>14}{'MiB':>8}")
    base = 0.0
    for name, runs in told.items():
        rate = statistics.median(run["executions"] / run["seconds"] for run in runs)
        steps = statistics.median(run["steps"] / run["seconds"] for run in runs)
        memory = statistics.median(run["rss_mb"] for run in runs)
        base = base or rate
        click.echo(
            f"{WORDS[name]:<34}{rate:>14.0f}{steps:>14.0f}{rate / base:>14.1f}{memory:>8.0f}"
        )


def _has_port(name: str) -> bool:
    """Whether there is a compiler for an engine; says so when there is none."""
    try:
        compiler = find_compiler()
    except NoCompilerError as error:
        click.echo(f"{WORDS[name]}: skipped: {error}")
        return False
    if name == "c-coverage" and not compiler.covers:
        click.echo(f"{WORDS[name]}: skipped: {compiler.name} has no coverage for libFuzzer")
        return False
    return True


def _measured(name: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tools.bench.engine", name, str(SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise HarnessError(f"tools.bench.engine {name}: {done.stderr.strip()[-300:]}")
    told: dict[str, float] = json.loads(lines[-1])
    return told

"""One engine for some seconds, in a process of its own: what `gmemdiff bench` compares.

    python -m tools.bench.engine ENGINE SECONDS

prints executions (a program on both sides, judged), steps, processor seconds and memory as JSON.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import psutil

from fuzz.codec import random_program
from fuzz.harness import Harness, Look
from fuzz.overlay import load_model
from fuzz.port.build import Options
from fuzz.port.engine import SCHEDULES, SCHEDULES_MAX, PortHarness
from fuzz.port.library import load_port
from fuzz.port.pair import Pair
from fuzz.target import LIBFUZZER_OPTIONS, Target, fuzz
from fuzz.text import format_program
from fuzz.vocabulary import Program
from reference.features import PROFILES

OPS: Final = 16  # per program, setup included
PROGRAMS: Final = 200
WARM_UP: Final = 20.0  # processor seconds after which most inputs show nothing new
ENGINES: Final = ("python", "python-atheris", "c", "c-coverage", "c-atheris", "c-atheris-warm")
Stop = Callable[[], bool]


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


def _deadline(seconds: float) -> Stop:
    end = time.process_time() + seconds
    return lambda: time.process_time() >= end


def _pair(coverage: bool) -> Pair:
    options = Options(coverage=coverage)
    return Pair(load_port("stock", options), load_port("seed", options))


def _alone(engine: str, seconds: float) -> Iterator[tuple[int, int]]:
    """Executions and steps, program after program, with nobody else around."""
    chosen = programs(OPS)
    if engine == "python":
        harness = Harness(load_model("stock"), load_model("seed"))
        harness.run(chosen[0])
        stop = _deadline(seconds)
        for program in cycle(chosen):
            if stop():
                return
            look = harness.run(program)
            yield 1, sum(side.steps for side in look.sides)
    pair = _pair(coverage=engine == "c-coverage")
    for program in chosen:  # what is new is seen once, and not measured
        pair.explore(program, 1, SCHEDULES_MAX)
    stop = _deadline(seconds)
    for number, program in enumerate(cycle(chosen)):
        if stop():
            return
        explored = pair.explore(program, number, SCHEDULES, SCHEDULES_MAX)
        yield explored.runs, explored.steps


class _BenchTarget(Target):
    """A target that prints what it has done when the time is over, and ends.

    What it does before it is warm is not counted.
    """

    warm: Stop
    seconds: float
    since: tuple[int, int, float] | None = None  # executions, steps and seconds when it was warm

    def test_one_input(self, data: bytes) -> None:
        harness = self.harness
        if self.since is None and self.warm():
            self.since = harness.executions, harness.steps, time.process_time()
        super().test_one_input(data)
        if self.since is not None and time.process_time() - self.since[2] >= self.seconds:
            executions, steps, start = self.since
            _print(
                harness.executions - executions,
                harness.steps - steps,
                time.process_time() - start,
            )
            sys.stdout.flush()
            os._exit(0)


def _under_atheris(engine: str, seconds: float) -> None:
    stock, seed = load_model("stock"), load_model("seed")
    c = engine.startswith("c-")
    harness = PortHarness(stock, seed, _pair(coverage=True)) if c else Harness(stock, seed)

    def nothing(_program: Program, _look: Look) -> None:
        """Nobody is told."""

    target = _BenchTarget(stock, seed, PROFILES, (OPS // 2, OPS - 2), nothing, harness)
    with tempfile.TemporaryDirectory() as corpus:
        for number, program in enumerate(programs(OPS)):
            (Path(corpus) / str(number)).write_text(format_program(program), encoding="utf-8")
        target.warm = _deadline(WARM_UP if engine.endswith("-warm") else 0)
        target.seconds = seconds
        quiet = ("-verbosity=0", "-print_final_stats=0", "-seed=1", "-reduce_inputs=0")
        fuzz(target, ["gmemdiff", *LIBFUZZER_OPTIONS, *quiet, corpus])


def _print(executions: int, steps: int, seconds: float) -> None:
    memory = psutil.Process().memory_info().rss / 2**20
    told: dict[str, Any] = {
        "executions": executions, "steps": steps, "seconds": seconds, "rss_mb": memory,
    }  # fmt: skip
    print(json.dumps(told))


def main(arguments: list[str]) -> int:
    """Run one engine."""
    engine, seconds = arguments[0], float(arguments[1])
    if "-atheris" in engine:
        _under_atheris(engine, seconds)
        return 1  # Atheris came back by itself
    executions = steps = 0
    start = time.process_time()
    for done, taken in _alone(engine, seconds):
        if not executions:
            start = time.process_time()
        executions += done
        steps += taken
    _print(executions, steps, time.process_time() - start)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Random typed programs without feedback, in Python and in C, under one strategy each.

In Python, every program is new.  C runs faster than Python draws: there each program is run under
so many schedules that drawing it does not decide.
"""

from __future__ import annotations

import random
from typing import Final

from fuzz.codec import random_program
from fuzz.judge import compare, suspicious
from fuzz.port.encode import BeyondPortError
from fuzz.port.pair import Why
from fuzz.strategies.named import make_strategy
from fuzz.strategies.pct import DEPTH
from fuzz.twins import Twins
from fuzz.vocabulary import Program
from tools.bench.rivals.rival import Rival, Stage

SCHEDULES: Final = 50  # of each program, in C


def in_python(strategy: str) -> Rival:
    """The rival that runs each program once; strategy "": the schedule that it is drawn with."""

    def run(stage: Stage) -> None:
        rng, twins = random.Random(stage.task.seed), Twins(*stage.models)
        chosen = make_strategy(strategy, stage.task.seed) if strategy else None
        stage.referee.start()
        while True:
            program = _draw(rng, stage)
            if chosen is None:
                ours, theirs = twins.run(program)
            else:
                program, ours, theirs = twins.drive(program, chosen)
            stage.referee.ran(1)
            stage.referee.look(program, compare(program, stage.models[1], ours, theirs))

    return run


def in_c(strategy: str) -> Rival:
    """The rival that runs each program under SCHEDULES schedules of a strategy of the port."""

    def run(stage: Stage) -> None:
        rng, pair = random.Random(stage.task.seed), stage.joined
        stage.referee.start()
        while True:
            program = _draw(rng, stage)
            try:
                explored = pair.explore_by(strategy, DEPTH, program, rng.getrandbits(64), SCHEDULES)
            except BeyondPortError:
                stage.referee.ran(0)
                continue
            stage.referee.ran(explored.runs)
            for found in explored.found:
                if found.why & (Why.BROKEN | Why.DIFFERS):
                    stage.referee.look(found.program, suspicious(found.program, *stage.fast))

    return run


def _draw(rng: random.Random, stage: Stage) -> Program:
    return random_program(rng, rng.choice(stage.task.parsed_profiles), *stage.task.ops)

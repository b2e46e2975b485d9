"""The C engine of a campaign: C runs both sides under many schedules, Python judges what is new.

Each input of libFuzzer is one program.  C runs it under its own schedule and under others that it
draws; the schedules under which something new or something bad was seen are replayed in Python,
which must come to the same: a difference between the two is a finding of its own kind, port-drift.

Beside the inputs, random programs are run under the strategies of fuzz/strategies/.  What random
finds first, guidance is slow to find, and the other way round: half of the runs for each costs
either at most twice as long.

A program under which the two sides take different steps (fuzz/c/parting.h) is nearer to a finding
than one under which they do not.  Where few programs do, such a one is explored further at once,
and mutated more often than others.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Final

from fuzz.execution import Run
from fuzz.feedback import Feature
from fuzz.finding import kinds_of
from fuzz.harness import DEPTHS, Draw, Harness, Look, seed_of
from fuzz.judge import compare
from fuzz.native import Region
from fuzz.overlay import Model
from fuzz.port.coverage import regions
from fuzz.port.encode import BeyondPortError
from fuzz.port.library import Port
from fuzz.port.lockstep import Drift, lockstep
from fuzz.port.outcome import outcome_text
from fuzz.port.pair import PAIRS_MAX, STRATEGIES, Explored, Pair, Why
from fuzz.port.runner import on_port
from fuzz.search import execute
from fuzz.vocabulary import Program

SCHEDULES: Final = 100  # of each program
# As long as nothing is found.  What is new stays in the corpus and comes again, so its schedules
# need not all be drawn at once; of what is not, more schedules cost less than the next program.
SCHEDULES_MAX: Final = 1000
BESIDE_SHARE: Final = 2  # of all runs, one in so many is of random programs beside the inputs
BESIDE_MAX: Final = 50  # programs beside one input: it must come to an end
BESIDE_SCHEDULES: Final = 50  # of each of them
BESIDE_IDLE: Final = 10  # of one in which the patch does not act
AROUND: Final = 50  # at least, of one that parted
AROUND_SHARE: Final = 3  # of all runs, at most one in so many
FRESH_MAX: Final = 1  # replays of one input that are only new; what is bad is always replayed

OnDrift = Callable[[Program, Drift], None]


class PortHarness(Harness):
    """A harness over two models and their ports.

    on_drift: is told of a program on which Python and C differ, and where.
    """

    def __init__(
        self, reference: Model, patched: Model, pair: Pair, on_drift: OnDrift | None = None
    ) -> None:
        super().__init__(reference, patched)
        self.pair = pair
        self.on_drift = on_drift
        self.beside = 0  # runs of random programs
        self.around = 0  # runs around programs that parted
        self.c_only = patched.c_only
        self.fast = on_port(reference, pair.reference)
        self.quick = on_port(patched, pair.patched)

    def looks(self, program: Program) -> Iterator[tuple[Program, Look]]:
        """Explore a program in C, and look at what is worth it in Python.

        A program that is beyond the port's limits is run in Python alone.
        """
        try:
            explored = self.pair.explore(program, seed_of(program), SCHEDULES, SCHEDULES_MAX)
        except BeyondPortError:
            if not self.c_only:
                yield from super().looks(program)
            return
        yield from self._told(explored)
        if self.draw is not None:
            yield from self._beside(program, self.draw)

    def _beside(self, program: Program, draw: Draw) -> Iterator[tuple[Program, Look]]:
        """Random programs under strategies; libFuzzer is not told of pairs that are not its own."""
        rng = random.Random(seed_of(program))
        with self.pair.unseen():
            for _ in range(BESIDE_MAX):
                if self.beside > self.executions // BESIDE_SHARE:
                    break
                beside, strategy = draw(rng), rng.choice(STRATEGIES)
                depth, seed = rng.randint(*DEPTHS), rng.getrandbits(64)
                try:
                    explored = self.pair.explore_by(
                        strategy, depth, beside, seed, BESIDE_SCHEDULES, BESIDE_IDLE
                    )
                except BeyondPortError:
                    continue
                self.beside += explored.runs
                yield from self._told(explored, fresh_max=0)
                if self.around <= self.executions // AROUND_SHARE:
                    yield from self._around(explored)

    def _around(self, explored: Explored) -> Iterator[tuple[Program, Look]]:
        """Explore from the first schedule under which a random program parted."""
        for found in explored.found:
            if found.why & Why.PARTED:
                around = self.pair.explore(found.program, seed_of(found.program), AROUND)
                self.around += around.runs
                yield from self._told(around, fresh_max=0)
                break

    def _told(
        self, explored: Explored, fresh_max: int = FRESH_MAX
    ) -> Iterator[tuple[Program, Look]]:
        """Look in Python at what C found."""
        self.executions += explored.runs
        self.steps += explored.steps
        fresh = 0
        for found in explored.found:
            if found.why & Why.PARTED:
                self.parted.append(found.program)
            if not found.why & Why.BAD:
                if found.why & Why.FRESH:
                    self.recent.append(found.program)
                fresh += 1
                if fresh > fresh_max:
                    continue
            look = self.run(found.program)
            self._agree(found.program, look.sides)
            yield found.program, look

    def run(self, program: Program) -> Look:
        """The same program in Python, or in C where the patch exists in C only."""
        if not self.c_only:
            return super().run(program)
        ours, theirs = execute(self.fast, program), execute(self.models[1], program)
        judgement = compare(program, self.models[1], ours, theirs)
        features: set[Feature] = set()
        if judgement is not None:
            features = {("kind", k.rule, k.site, k.side) for k in kinds_of(judgement)}
        self._count(features)
        return Look(judgement, features, [], (ours, theirs))

    def _agree(self, program: Program, sides: tuple[Run, Run]) -> None:
        """Python and C must have come to the same."""
        ports: tuple[Port, Port] = self.pair.reference, self.pair.patched
        for model, port, run in zip(self.models, ports, sides, strict=True):
            if self.c_only:  # one side can be compared, and has not been run in Python
                if port is self.pair.patched:
                    continue
                run = execute(model, program)
            port.load(program)
            port.run()
            if port.outcome() != outcome_text(program, run):
                drift = lockstep(program, model, port)
                if drift is not None and self.on_drift is not None:
                    self.on_drift(program, drift)

    def native(self) -> list[Region]:
        """Counters that C writes to: pairs of steps, and lines where the compiler counts them."""
        pairs = Region(self.pair.pairs, PAIRS_MAX, 0)
        return [pairs, *(r for port in (self.pair.reference, self.pair.patched)
                         for r in regions(port))]  # fmt: skip

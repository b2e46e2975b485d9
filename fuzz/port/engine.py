"""The C engine of a campaign: C runs both sides under many schedules, Python judges what is new.

Each input of libFuzzer is one program.  C runs it under its own schedule and under others that it
draws; the schedules under which something new or something bad was seen are replayed in Python,
which must come to the same: a difference between the two is a finding of its own kind, port-drift.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Final

from fuzz.execution import Run
from fuzz.harness import Harness, Look
from fuzz.native import Region
from fuzz.overlay import Model
from fuzz.port.coverage import regions
from fuzz.port.encode import BeyondPortError
from fuzz.port.library import Port
from fuzz.port.lockstep import Drift, lockstep
from fuzz.port.outcome import outcome_text
from fuzz.port.pair import PAIRS_MAX, Pair, Why
from fuzz.port.runner import on_port
from fuzz.text import format_program
from fuzz.vocabulary import Program

SCHEDULES: Final = 200  # of each program; what Python does around them costs as much as 100
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
        self.models = reference, patched
        self.quick = on_port(patched, pair.patched)

    def looks(self, program: Program) -> Iterator[tuple[Program, Look]]:
        """Explore a program in C, and look at what is worth it in Python.

        A program that is beyond the port's limits is run in Python alone.
        """
        try:
            explored = self.pair.explore(program, _seed(program), SCHEDULES)
        except BeyondPortError:
            yield from super().looks(program)
            return
        self.executions += explored.runs
        self.steps += explored.steps
        fresh = 0
        for found in explored.found:
            if found.why == Why.FRESH:
                self.recent.append(found.program)
                fresh += 1
                if fresh > FRESH_MAX:
                    continue
            look = self.run(found.program)
            self._agree(found.program, look.sides)
            yield found.program, look

    def _agree(self, program: Program, sides: tuple[Run, Run]) -> None:
        """Python and C must have come to the same."""
        ports: tuple[Port, Port] = self.pair.reference, self.pair.patched
        for model, port, run in zip(self.models, ports, sides, strict=True):
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


def _seed(program: Program) -> int:
    """The same program, the same schedules."""
    digest = hashlib.blake2b(format_program(program).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")

"""What a rival is given, and the one function that it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fuzz.overlay import Model
from fuzz.port.pair import Pair
from tools.bench.referee import Referee
from tools.bench.task import Task


@dataclass(frozen=True, slots=True)
class Stage:
    """The two models that are compared, and whom to tell.

    models: in Python.  fast: the same, run in C where they are ported.
    pair: both in C; None when one of them is not ported.
    """

    task: Task
    models: tuple[Model, Model]
    fast: tuple[Model, Model]
    pair: Pair | None
    referee: Referee

    @property
    def joined(self) -> Pair:
        """The pair in C, for rivals that cannot do without."""
        if self.pair is None:
            raise ValueError(f"{self.task.mutant} is not ported to C")
        return self.pair


# Makes itself ready, starts the referee's clock, and looks until the referee ends the race.
Rival = Callable[[Stage], None]

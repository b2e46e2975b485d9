"""Random walk: at every step, anybody who can go on does so with equal chance."""

from __future__ import annotations

from fuzz.strategies.strategy import Chance, Place
from fuzz.vocabulary import Program


class Walk:
    """Draws from all who can go on."""

    def __init__(self, chance: Chance) -> None:
        self.chance = chance

    def begin(self, program: Program) -> None:
        """Nothing to prepare."""

    def choose(self, place: Place) -> int:
        """Any of them."""
        runnable = place.runnable
        return runnable[self.chance.draw(len(runnable))] if len(runnable) > 1 else runnable[0]

    def gave_up(self, actor: int) -> None:
        """Chance lets others go soon enough."""

"""Round-robin: actors take turns op by op, which is what a Program without a schedule does."""

from __future__ import annotations

from fuzz.strategies.strategy import Place
from fuzz.vocabulary import Program


class RoundRobin:
    """Never chooses anybody else."""

    def begin(self, program: Program) -> None:
        """Nothing to prepare."""

    def choose(self, place: Place) -> int:
        """Whose turn it is."""
        return place.actor

    def gave_up(self, actor: int) -> None:
        """The next in turn goes on anyway."""

"""Replay: a Schedule as a strategy, preempting where it says and nowhere else."""

from __future__ import annotations

from fuzz.strategies.strategy import Place
from fuzz.vocabulary import Program


class Replay:
    """Follows the schedule of the program that is run."""

    def __init__(self, schedule: Program) -> None:
        numbers = {actor.name: number for number, actor in enumerate(schedule.actors)}
        self.targets = {
            (numbers[p.actor], p.op, p.label, p.occurrence): numbers[p.to]
            for p in schedule.schedule
        }

    def begin(self, program: Program) -> None:
        """Nothing to prepare."""

    def choose(self, place: Place) -> int:
        """Whom the schedule names, if that one can run."""
        here = (place.actor, place.op, place.label, place.occurrence)
        target = self.targets.get(here, place.actor)
        return target if target in place.runnable else place.actor

    def gave_up(self, actor: int) -> None:
        """The schedule knows."""

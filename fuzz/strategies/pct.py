"""PCT, probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte, 2010).

Actors get random priorities, and the highest that can go on does; at depth - 1 places, drawn
beforehand, whoever would go on gets the lowest priority so far.  A mistake that needs `depth`
ordered steps among n actors and k places is met with a chance of at least 1 / (n * k**(depth - 1))
a run.
"""

from __future__ import annotations

from typing import Final

from fuzz.strategies.strategy import Chance, Place
from fuzz.vocabulary import Program

DEPTH: Final = 3
DEPTH_MAX: Final = 16
PLACES_FIRST: Final = 64  # expected of a run as long as none was seen


class Pct:
    """Runs the actor of the highest priority."""

    def __init__(self, chance: Chance, depth: int = DEPTH) -> None:
        self.chance = chance
        self.depth = depth
        self.priorities: list[int] = []  # of actors, by number; all differ
        self.lowest = 0
        self.changes: list[int] = []  # places at which a priority drops
        self.places = 0
        self.expected = PLACES_FIRST

    def begin(self, program: Program) -> None:
        """Draw priorities, and places where they change; the last run says how many there are."""
        if self.places:
            self.expected = self.places
        self.places = 0
        self.lowest = 0
        count = len(program.actors)
        self.priorities = list(range(1, count + 1))
        for at in range(count - 1, 0, -1):
            other = self.chance.draw(at + 1)
            priorities = self.priorities
            priorities[at], priorities[other] = priorities[other], priorities[at]
        self.changes = [self.chance.draw(self.expected) for _ in range(self.depth - 1)]

    def choose(self, place: Place) -> int:
        """The one of the highest priority."""
        first = max(place.runnable, key=self.priorities.__getitem__)
        if self.places in self.changes:
            self.gave_up(first)
            first = max(place.runnable, key=self.priorities.__getitem__)
        self.places += 1
        return first

    def gave_up(self, actor: int) -> None:
        """Its priority drops below all others: whoever spins waits for somebody else."""
        self.lowest -= 1
        self.priorities[actor] = self.lowest

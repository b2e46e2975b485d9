"""Every schedule of a program with at most K preemptions, one run each: no reduction at all.

This is what a bounded exploration means: at each place where somebody could be preempted, either
nothing happens, or one of those who can run is let in.  It is slow, and serves for models that
exist in Python only, and to check those who take short cuts (fuzz/port/exhaustive.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.execution import Run
from fuzz.overlay import Model
from fuzz.search import oracles_for
from fuzz.strategies.driven import Driven
from fuzz.strategies.strategy import Place
from fuzz.vocabulary import Preemption, Program

Schedule = tuple[Preemption, ...]
Choices = tuple[tuple[int, int], ...]  # at the place of this number, from 0: this actor


class Script:
    """Makes some choices, by the number of the place, and keeps what the others could have been."""

    def __init__(self, choices: Choices) -> None:
        self.choices = dict(choices)
        self.since = choices[-1][0] + 1 if choices else 0
        self.places = 0
        self.further: list[tuple[int, int]] = []

    def begin(self, program: Program) -> None:
        """Nothing was chosen yet."""

    def choose(self, place: Place) -> int:
        """Whoever the script has, or else the actor itself."""
        number = self.places
        self.places += 1
        if number >= self.since:
            self.further += [(number, other) for other in place.runnable if other != place.actor]
        return self.choices.get(number, place.actor)

    def gave_up(self, actor: int) -> None:
        """The next in turn goes on."""


def every_schedule(
    program: Program, model: Model, preemptions: int
) -> Iterator[tuple[Schedule, Run]]:
    """All schedules by how many preemptions they have, fewest first, with what each comes to.

    model: one in Python.
    """
    level: list[Choices] = [()]
    for depth in range(preemptions + 1):
        following: list[Choices] = []
        for choices in level:
            script = Script(choices)
            run = Driven(model.kvm, program, script, oracles_for(model)).run()
            yield tuple(run.taken), run
            if depth < preemptions:
                following += [(*choices, choice) for choice in script.further]
        level = following

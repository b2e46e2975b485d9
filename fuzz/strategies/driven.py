"""A run in which a strategy decides who goes on, and the Schedule that does the same without it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from fuzz.execution import (
    BEGIN,
    RESUME,
    STEPS_MAX,
    Execution,
    Plan,
    Points,
    Recorder,
    Run,
    _Actor,
)
from fuzz.overlay import Model
from fuzz.search import oracles_for
from fuzz.strategies.strategy import Place, Strategy
from fuzz.vocabulary import Preemption, Program
from reference.kvm import Kvm
from reference.observer import Observer

SWITCHES_MAX: Final = 256  # of a run; then actors take turns, and whoever spins is a livelock


class _Everywhere(dict[str, dict[int, Preemption]]):
    """Preemption points for every label: the run stops at each, and asks."""

    def __contains__(self, label: object) -> bool:
        return True

    def __getitem__(self, label: str) -> dict[int, Preemption]:
        return _NOTHING


_NOTHING: Final[dict[int, Preemption]] = {}
_EVERYWHERE: Final[Points] = _Everywhere()


class Driven(Execution):
    """One run of a program, whose own schedule is not looked at.

    What it took (Run.taken) is the schedule under which the program does the same, step by step,
    on the same model.
    """

    def __init__(
        self,
        model: type[Kvm],
        program: Program,
        strategy: Strategy,
        watch: Observer,
        recorder: Recorder | None = None,
        steps_max: int = STEPS_MAX,
    ) -> None:
        super().__init__(model, Plan.of(program), watch, recorder, steps_max)
        self.strategy = strategy
        self.place = Place(self.kvm)
        self._chosen: _Actor | None = None
        self._stands = [BEGIN] * len(self.actors)  # the label that each actor's op stands at
        for actor in self.actors:
            actor.points = (_EVERYWHERE,) * len(actor.ops)
        strategy.begin(program)

    def _at_turn(self, actor: _Actor) -> _Actor | None:
        """Ask whose turn it is; whoever was just chosen goes on without being asked again."""
        begins = actor.gen is None and not actor.counts
        label = BEGIN if begins else RESUME
        if begins:
            self._stands[actor.task.index] = BEGIN
        chosen, self._chosen = self._chosen, None
        if chosen is not actor:
            return self._preempted(actor, label, _NOTHING)
        self._count(actor, label)
        return None

    def _preempted(self, actor: _Actor, label: str, points: dict[int, Preemption]) -> _Actor | None:
        """Ask who goes on, and write it down when it is somebody else."""
        place, index, taken = self.place, actor.task.index, self.run_.taken
        place.occurrence = self._count(actor, label)
        place.running = label not in (BEGIN, RESUME)
        if place.running:
            place.took, self._stands[index] = self._stands[index], label
        place.runnable = [a.task.index for a in self.actors if self._runnable(a)]
        if len(taken) >= SWITCHES_MAX:
            return None
        place.actor, place.op, place.label = index, actor.op, label
        chosen = self.strategy.choose(place)
        if chosen == index:
            return None
        self._chosen = self.actors[chosen]
        taken.append(Preemption(actor.name, actor.op, label, place.occurrence, self._chosen.name))
        return self._chosen

    def _count(self, actor: _Actor, label: str) -> int:
        """How often the op has come here, as a run with this schedule will count it."""
        count = actor.counts[label] = actor.counts.get(label, 0) + 1
        return count

    def _retry(self, actor: _Actor) -> _Actor | None:
        """The strategy gets to know who gives up its turn."""
        if actor is not self.setup:
            self.strategy.gave_up(actor.task.index)
        return super()._retry(actor)

    def _due(self, actor: _Actor) -> list[int]:
        """What comes is another thing after another choice."""
        return [len(self.run_.taken)]


def drive(model: Model, program: Program, strategy: Strategy) -> tuple[Program, Run]:
    """Run a program on a model as a strategy has it, with every oracle listening.

    Returns the program with the schedule that does the same, and the run.
    """
    run = Driven(model.kvm, program, strategy, oracles_for(model)).run()
    return replace(program, schedule=tuple(run.taken)), run

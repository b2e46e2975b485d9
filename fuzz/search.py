"""Is there a schedule under which this model does that?  Bounded, and honest about the bound.

Depth-first over schedules with at most K preemptions, as in CHESS (Musuvathi and Qadeer, 2007):
every run is a replay from the start, and each boundary it passes after its last preemption
gives one more schedule per other actor.  Two schedules that give the same run have the same
future, so only the first is extended; an op that does nothing is no place to be preempted at.
Otherwise, what makes it small is that programs are.

Where a model can be explored in C (fuzz/port/exhaustive.py), that follows after the first few
runs: it knows states again, and gets through where running one schedule after the other does not.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from typing import Any, Final

from fuzz.execution import BEGIN, Execution, Plan, Recorder, Run
from fuzz.invariants import Oracles
from fuzz.overlay import Model
from fuzz.vocabulary import SETUP, Preemption, Program
from reference.kvm import Kvm

RUNS_MAX: Final = 10_000
RUNS_FIRST: Final = 100  # before all schedules are explored, where they can be
STEPS_EACH: Final = 1_000  # that take as long to explore as one run does here
PREEMPTIONS_MIN: Final = 2
Boundary = tuple[str, int, str, int]  # actor, op, label, occurrence


@dataclass(frozen=True, slots=True)
class SearchResult:
    """found: a schedule that does it.  complete: every schedule within the bound was run."""

    found: tuple[Preemption, ...] | None
    runs: int
    preemptions_max: int
    complete: bool
    states: int = 0  # explored in C, when it came to that

    def __str__(self) -> str:
        if self.found is not None:
            return f"found after {self.runs} schedules"
        if self.states:
            how = "all" if self.complete else "a part of the"
            return (
                f"not found in {how} schedules of up to {self.preemptions_max} preemptions, "
                f"{self.states:,} states"
            )
        how = "all" if self.complete else "the first"
        return (
            f"not found in {how} {self.runs} schedules of up to {self.preemptions_max} preemptions"
        )


class _Boundaries:
    """A recorder that keeps the boundaries a run passes, in order.

    since: how many had been passed when the schedule's last preemption was taken.  A boundary is
    passed when its step has been taken, so that of a preempted step comes after `since` again.
    """

    def __init__(self, idle: Container[tuple[str, int]]) -> None:
        self.passed: list[Boundary] = []
        self.counts: dict[tuple[str, int, str], int] = {}
        self.idle = idle
        self.taken: list[Preemption] = []  # the run's own list
        self.known = 0
        self.since = 0

    def started(self, run: Run) -> None:
        """A run begins, whose preemptions are to be followed."""
        self.taken = run.taken

    def step(self, kvm: Kvm, actor: str, op: int, label: str) -> None:
        if len(self.taken) > self.known:
            self.known, self.since = len(self.taken), len(self.passed)
        if actor == SETUP:
            return
        key = (actor, op, label)
        count = self.counts[key] = self.counts.get(key, 0) + 1
        if label != BEGIN or count == 1:
            self.passed.append((actor, op, label, count))


def oracles_for(model: Model) -> Oracles:
    """Listeners for one run of a model, with the rules that it promises."""
    return Oracles("gmem-survival" in model.promises)


def execute(
    model: Model, program: Program, plan: Plan | None = None, recorder: Recorder | None = None
) -> Run:
    """Run a program on a model with every oracle listening."""
    plan = plan or Plan.of(program)
    if model.runner is not None:
        run: Run = model.runner(plan, recorder)
        return run
    execution = Execution(model.kvm, plan, oracles_for(model), recorder)
    if isinstance(recorder, _Boundaries):
        recorder.started(execution.run_)
    return execution.run()


def boundaries(program: Program, model: Model) -> tuple[Boundary, ...]:
    """The steps at which a program could be preempted, in the order a run on the model passes."""
    log = _Boundaries(())
    execute(model, program, recorder=log)
    return tuple(dict.fromkeys(log.passed))


def search(
    program: Program,
    model: Model,
    wanted: Callable[[Run], bool],
    runs_max: int = RUNS_MAX,
) -> SearchResult:
    """Look for a schedule of the program under which `wanted` holds on the model."""
    survey = model.survey
    if survey is None or runs_max <= RUNS_FIRST:
        return _enumerate(program, model, wanted, runs_max)
    first = _enumerate(program, model, wanted, RUNS_FIRST)
    if first.found is not None or first.complete:
        return first
    explored = _explore(program, model, survey, wanted, runs_max)
    return explored or _enumerate(program, model, wanted, runs_max)


def _explore(
    program: Program,
    model: Model,
    surveyed: Callable[[Program, int, int], Any],
    wanted: Callable[[Run], bool],
    runs_max: int,
) -> SearchResult | None:
    """The same by exploring bound after bound; None when the program cannot be explored."""
    bound = max(PREEMPTIONS_MIN, len(program.schedule))
    steps, states, runs = runs_max * STEPS_EACH, 0, RUNS_FIRST
    seen: set[tuple[Preemption, ...]] = set()
    for preemptions in range(PREEMPTIONS_MIN, bound + 1):
        survey = surveyed(program, preemptions, steps)
        if survey is None:
            return None
        steps, states = steps - survey.steps, states + survey.states
        shown = [*survey.rules.values(), *(o.schedule for o in survey.outcomes.values())]
        schedules = [each for each in dict.fromkeys(shown) if each not in seen]
        for schedule in sorted(schedules, key=len):
            seen.add(schedule)
            runs += 1
            if wanted(execute(model, replace(program, schedule=schedule))):
                return SearchResult(schedule, runs, bound, complete=False, states=states)
        if not survey.complete:
            return SearchResult(None, runs, bound, complete=False, states=states)
    return SearchResult(None, runs, bound, complete=True, states=states)


def _enumerate(
    program: Program, model: Model, wanted: Callable[[Run], bool], runs_max: int
) -> SearchResult:
    """The same by running one schedule after the other."""
    bound = max(PREEMPTIONS_MIN, len(program.schedule))
    others = {a.name: [b.name for b in program.actors if b is not a] for a in program.actors}
    idle = {(a.name, i) for a in program.actors for i, op in enumerate(a.ops) if op.name == "nop"}
    extended: dict[tuple[Boundary, ...], int] = {}  # a run's steps -> where its extensions start
    runs = 0
    first: list[tuple[Preemption, ...]] = [()]
    if program.schedule:
        first.append(program.schedule)  # most likely to do it: tried first
    levels: list[list[tuple[Preemption, ...]]] = [first, *([] for _ in range(bound + 1))]
    seen: set[tuple[tuple[Preemption, ...], bool]] = set()
    for depth in range(bound + 1):
        for schedule in levels[depth]:
            if (schedule, len(schedule) == depth) in seen:
                continue
            if runs >= runs_max:
                return SearchResult(None, runs, bound, complete=False)
            seen.add((schedule, len(schedule) == depth))
            runs += 1
            log = _Boundaries(idle)
            run = execute(model, replace(program, schedule=schedule), recorder=log)
            if wanted(run):
                return SearchResult(schedule, runs, bound, complete=False)
            if len(schedule) != depth or depth == bound or run.void:
                continue  # the program's own schedule, tried early, has its turn at its depth
            levels[depth + 1] += _extensions(schedule, log, others, extended)
    return SearchResult(None, runs, bound, complete=True)


def _extensions(
    schedule: tuple[Preemption, ...],
    log: _Boundaries,
    others: dict[str, list[str]],
    extended: dict[tuple[Boundary, ...], int],
) -> list[tuple[Preemption, ...]]:
    """Schedules with one more preemption, after the last one this run took."""
    steps = tuple(log.passed)
    start, end = log.since, extended.get(steps, len(steps))
    extended[steps] = min(start, end)
    used = {(p.actor, p.op, p.label, p.occurrence) for p in schedule}
    return [
        (*schedule, Preemption(*boundary, to))
        for boundary in steps[start:end]
        if boundary not in used and boundary[:2] not in log.idle
        for to in others[boundary[0]]
    ]

"""This is the scheduler: it runs one Program on one model, and says how that ended.

Actors take turns op by op, round-robin.  A preemption of the Program's Schedule makes another
actor run when an actor is about to take a named step; whoever blocks or has to try again also
gives up its turn.  Nothing here is random, and nothing looks at a clock: the same plan on the
same model is the same run, step for step.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from fuzz.actors import Result, result_text, start_op
from fuzz.digest import state_digest
from fuzz.overlay import OverlayError, line_in_overlay
from fuzz.vocabulary import SETUP, Op, Preemption, Program
from reference.kvm import Kvm
from reference.observer import Observer
from reference.primitives import Task, Want
from reference.srcu import WantWakeUp
from reference.state import Vcpu

STEPS_MAX: Final = 20_000
RETRIES_BEFORE_DIGEST: Final = 3
BEGIN: Final = "begin"  # the label before an op's first step
RESUME: Final = "resume"  # no step: an op goes on after others have run


class HarnessError(Exception):
    """Our own code failed: never a finding.  Says where, so that it can be reported."""


class End(Enum):
    """Every way in which a run can end."""

    FINISHED = "finished"
    DEADLOCK = "deadlock"
    LIVELOCK = "livelock"
    BUDGET = "step budget used up"


class Recorder(Protocol):
    """Gets every step after it was taken."""

    def step(self, kvm: Kvm, actor: str, op: int, label: str) -> None:
        """One step of an actor's op, named by the label it started at, is done."""


After = Callable[[Kvm, str, int], None]  # the model, an actor, its op that has just ended
Points = dict[str, dict[int, Preemption]]  # label -> occurrence -> what happens; of one op


@dataclass(frozen=True, slots=True)
class Plan:
    """A Program made ready to run: ops and preemption points per actor."""

    program: Program
    points: tuple[tuple[Points | None, ...], ...]

    @classmethod
    def of(cls, program: Program) -> Plan:
        """Group the schedule by the op it preempts."""
        by_op: dict[tuple[str, int], Points] = {}
        for p in program.schedule:
            by_op.setdefault((p.actor, p.op), {}).setdefault(p.label, {})[p.occurrence] = p
        points = tuple(
            tuple(by_op.get((actor.name, i)) for i in range(len(actor.ops)))
            for actor in program.actors
        )
        return cls(program, points)


@dataclass(frozen=True, slots=True)
class Where:
    """When and where in a run something happened."""

    step: int
    actor: str
    op: int
    label: str

    def __str__(self) -> str:
        return f"step {self.step}, {self.actor}[{self.op}] at {self.label}"


@dataclass(slots=True)
class Run:
    """What happened on one side."""

    kvm: Kvm
    end: End = End.FINISHED
    steps: int = 0
    results: dict[tuple[str, int], str] = field(default_factory=dict)
    taken: list[Preemption] = field(default_factory=list)  # in the order they were met
    void: list[Preemption] = field(default_factory=list)  # met, but the target could not run
    where: dict[tuple[str, str], Where] = field(default_factory=dict)  # of each broken rule
    stuck: tuple[str, ...] = ()  # "actor at label: waits for", when it did not finish
    site: str = ""  # labels of those who are stuck, for the fingerprint

    def stale(self, program: Program) -> list[Preemption]:
        """Preemptions whose step was never reached."""
        return [p for p in program.schedule if p not in self.taken]


class _Actor:
    """Where one actor is."""

    __slots__ = (
        "counts", "end", "gen", "label", "name", "op", "ops", "points", "result", "retries",
        "task", "vcpu", "want",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        index: int,
        ops: tuple[Op, ...],
        points: tuple[Points | None, ...],
        vcpu: Vcpu | None,
    ) -> None:
        self.name = name
        self.ops = ops
        self.points = points
        self.vcpu = vcpu
        self.task = Task(name, index)
        self.op = 0
        self.end = len(ops)
        self.gen: Generator[str | Want, None, Result] | None = None
        self.label = BEGIN
        self.want: Want | None = None
        self.counts: dict[str, int] = {}  # of the labels that its op may be preempted at
        self.retries = 0
        self.result: Result = 0


def waiting_in_a_circle(kvm: Kvm) -> list[Task]:
    """The tasks of one circle in which each waits for what the next one holds; empty if none."""
    for start in kvm.waiting:
        path: list[Task] = []
        task: Task | None = start
        while task is not None and task in kvm.waiting and task not in path:
            path.append(task)
            task = next(iter(kvm.waiting[task].holders(kvm)), None)
        if task is not None and task in path:
            return path[path.index(task) :]
    return []


class Execution:
    """One run of one plan on one freshly made model."""

    def __init__(
        self,
        model: type[Kvm],
        plan: Plan,
        watch: Observer,
        recorder: Recorder | None = None,
        steps_max: int = STEPS_MAX,
    ) -> None:
        program = plan.program
        self.kvm = kvm = model(program.profile, program.vm, program.vcpus, program.frames, watch)
        watch.attach(kvm)
        self.watch = watch
        self.run_ = Run(kvm)
        kvm.cpu.on_report = self._note
        self.now: _Actor | None = None
        self.recorder = recorder
        self.steps_max = steps_max
        self.seen: set[tuple[str, int, bytes]] = set()
        self.setup = _Actor(SETUP, -1, program.setup, (None,) * len(program.setup), None)
        self.actors = []
        self.by_name: dict[str, _Actor] = {}
        for index, (actor, points) in enumerate(zip(program.actors, plan.points, strict=True)):
            vcpu = kvm.vcpus[int(actor.name[4:])] if actor.name.startswith("vcpu") else None
            state = _Actor(actor.name, index, actor.ops, points, vcpu)
            if vcpu is not None:
                vcpu.task = state.task
            self.actors.append(state)
            self.by_name[actor.name] = state
        self.ring = self.actors * 2

    def run(self, order: Sequence[str] | None = None, after: After | None = None) -> Run:
        """Run the setup alone, then the actors, to whatever end they come to.

        order: names of actors; each stands for one whole op of that actor, with nobody else in
        between, and nothing else is run: also the setup's ops are then asked for.  An op that
        waits for another one is a deadlock.  after: is told of each op of an order.
        """
        run = self.run_
        try:
            if order is None:
                self._take_turns()
            else:
                self._in_order(order, after)
        except HarnessError:
            raise
        except Exception as error:
            at = self.now if self.now is not None else self.setup
            where = f"{at.name}[{at.op}] at {at.label}"
            line = line_in_overlay(type(self.kvm), error)
            if line:
                raise OverlayError(f"{line}:1: {error!r} while {where} runs it") from error
            raise HarnessError(f"{type(error).__name__} in {where}: {error}") from error
        if run.end is End.FINISHED and order is None:
            left = [a for a in self.actors if a.op < len(a.ops)]
            if left:
                self._stuck(End.DEADLOCK, left)
            else:
                self.watch.finished()
        # Whoever keeps the run needs no more of this; and without circles, whoever does not is
        # spared the garbage collector.
        self.kvm.cpu.on_report = None
        self.watch.detach()
        return run

    def _take_turns(self) -> None:
        run = self.run_
        while run.end is End.FINISHED and self.setup.op < len(self.setup.ops):
            self._turn(self.setup)
            if self.setup.want is not None and not self.setup.want.ready(self.kvm):
                self._stuck(End.DEADLOCK, [self.setup])
        actor = self._next_after(-1)
        while actor is not None and run.end is End.FINISHED:
            target = self._at_turn(actor) or self._turn(actor)
            actor = target if target is not None else self._next_after(actor.task.index)

    def _in_order(self, order: Sequence[str], after: After | None) -> None:
        run = self.run_
        for name in order:
            actor = self.setup if name == SETUP else self.by_name[name]
            op = actor.op
            while run.end is End.FINISHED and actor.op == op:
                self._turn(actor)
                if actor.want is not None and not actor.want.ready(self.kvm):
                    self._stuck(End.DEADLOCK, [actor])
            if after is not None:
                after(self.kvm, name, op)
            if run.end is not End.FINISHED:
                return

    def _next_after(self, index: int) -> _Actor | None:
        """The next actor in turn that can run; the one at `index` comes last."""
        for actor in self.ring[index + 1 : index + 1 + len(self.actors)]:
            if self._runnable(actor):
                return actor
        return None

    def _runnable(self, actor: _Actor) -> bool:
        return actor.op < actor.end and (actor.want is None or actor.want.ready(self.kvm))

    def _at_turn(self, actor: _Actor) -> _Actor | None:
        """Whom the schedule lets run instead of an actor whose turn comes, if anybody."""
        points = actor.points[actor.op]
        if points is None:
            return None
        label = RESUME if actor.gen is not None or actor.counts else BEGIN
        return self._preempted(actor, label, points[label]) if label in points else None

    def _turn(self, actor: _Actor) -> _Actor | None:
        """Let one actor run until its op ends, it is preempted, or it has to wait.

        Returns who goes on, when the schedule says so; None for the next in turn.
        """
        kvm, run, recorder, steps_max = self.kvm, self.run_, self.recorder, self.steps_max
        kvm.cpu.current = actor.task
        self.now = actor
        points = actor.points[actor.op]
        gen = actor.gen
        if gen is None:
            kvm.busy.add(actor.task)
            begun = start_op(kvm, actor.task, actor.vcpu, actor.ops[actor.op])
            if isinstance(begun, int | str):
                return self._op_done(actor, begun)
            gen = actor.gen = begun
        elif actor.want is not None:
            actor.want = None
            kvm.waiting.pop(actor.task, None)
        try:
            while True:
                stop = next(gen)
                run.steps += 1
                if recorder is not None:
                    recorder.step(kvm, actor.name, actor.op, actor.label)
                if run.steps > steps_max:
                    run.end = End.BUDGET
                    return None
                if isinstance(stop, str):
                    actor.label = stop
                    if points is not None and stop in points:
                        target = self._preempted(actor, stop, points[stop])
                        if target is not None:
                            return target
                    continue
                actor.label = label = stop.label
                if points is not None and label in points:
                    target = self._preempted(actor, label, points[label])
                    if target is not None:
                        actor.want = kvm.waiting[actor.task] = stop
                        return target
                if stop.gives_up_turn:
                    return self._retry(actor)
                if not stop.ready(kvm):
                    actor.want = kvm.waiting[actor.task] = stop
                    return None
        except StopIteration as done:
            return self._op_done(actor, done.value)

    def _op_done(self, actor: _Actor, result: Result) -> _Actor | None:
        """An op's generator is exhausted: keep its result, and run its task work if any."""
        kvm, run, task = self.kvm, self.run_, actor.task
        run.results.setdefault((actor.name, actor.op), result_text(result))
        if task.task_work:  # on the way to user space, in the same step
            actor.gen = kvm.task_work_run()  # type: ignore[assignment]
            return self._turn(actor)
        run.steps += 1
        if self.recorder is not None:
            self.recorder.step(kvm, actor.name, actor.op, actor.label)
        if task.held or task.srcu_depth:
            self._left_with_locks(actor)
        kvm.busy.discard(task)
        actor.gen = None
        actor.op += 1
        actor.label = BEGIN
        actor.counts.clear()
        actor.retries = 0
        return None

    def _left_with_locks(self, actor: _Actor) -> None:
        """An op ended with a lock held (lockdep: "returning to user space with locks held")."""
        names = [lock.name for lock in actor.task.held]
        names += ["srcu"] if actor.task.srcu_depth else []
        site = "return with " + "+".join(sorted(set(names)))
        self.kvm.report("lockdep", site, f"{actor.name}[{actor.op}] ends holding {names}")

    def _preempted(self, actor: _Actor, label: str, points: dict[int, Preemption]) -> _Actor | None:
        """Whom the schedule lets run instead at this boundary, if anybody.

        points: what happens at this step, by how often the op has come to it.
        """
        count = actor.counts[label] = actor.counts.get(label, 0) + 1
        preemption = points.get(count)
        if preemption is None:
            return None
        self.run_.taken.append(preemption)
        target = self.by_name[preemption.to]
        if self._runnable(target):
            return target
        self.run_.void.append(preemption)
        return None

    def _retry(self, actor: _Actor) -> _Actor | None:
        """The actor starts over; the others go first.  A state that comes back is a livelock."""
        actor.retries += 1
        if actor.retries > RETRIES_BEFORE_DIGEST:
            places = "|".join(f"{a.op}:{a.label}:{self._due(a)}" for a in self.actors)
            key = (actor.name, actor.op, places.encode() + state_digest(self.kvm))
            if key in self.seen:
                left = [a for a in (self.setup, *self.actors) if a.op < len(a.ops)]
                # Whoever spins may only be waiting for tasks that wait for each other.
                circle = waiting_in_a_circle(self.kvm)
                self._stuck(End.DEADLOCK if circle else End.LIVELOCK, left)
            self.seen.add(key)
        return None

    def _due(self, actor: _Actor) -> list[int]:
        """How far the running op is towards its preemptions: they change what comes."""
        points = actor.points[actor.op] if actor.op < actor.end else None
        return [min(actor.counts.get(at, 0), max(when)) for at, when in (points or {}).items()]

    def _note(self, rule: str, site: str, text: str) -> None:
        """A rule was just broken: keep where that was."""
        if self.now is not None:
            at = self.now
            self.run_.where[rule, site] = Where(self.run_.steps, at.name, at.op, at.label)

    def _stuck(self, end: End, actors: list[_Actor]) -> None:
        """Nothing goes on: say who is where, and what for."""
        run = self.run_
        run.end = end
        run.stuck = tuple(
            f"{a.name}[{a.op}] at {a.label}"
            + (f": waits for {a.want.on(self.kvm)}" if a.want is not None else "")
            for a in actors
        )
        circle = waiting_in_a_circle(self.kvm)
        run.site = "+".join(
            sorted(
                {a.label for a in actors if a.gen is not None and (a.task in circle or not circle)}
            )
        )
        if any(
            isinstance(a.want, WantWakeUp) and not self.kvm.mn_active_invalidate_count
            for a in actors
        ):
            self.kvm.report("missed-wakeup", run.site, "; ".join(run.stuck))
        else:
            self.kvm.report(end.value, run.site, "; ".join(run.stuck))

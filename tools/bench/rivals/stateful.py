"""Hypothesis' stateful testing: rules add ops and preemptions, and the end of each example runs it.

Ops are drawn in the world that the ops before them left, as everywhere; how many of them, whose,
and in which order is up to Hypothesis.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from fuzz.codec import draw_setup
from fuzz.draws import draw_op, op_table
from fuzz.judge import compare
from fuzz.labels import STEP_LABELS
from fuzz.tracker import ByteReader, World
from fuzz.twins import Twins
from fuzz.vocabulary import Actor, Op, Preemption, Program
from tools.bench.rivals.rival import Stage

ACTORS: Final = ("vmm0", "vcpu0", "vcpu1", "vmm1", "kthread0", "kthread1")
EXAMPLES: Final = 1 << 30  # the referee ends it
BYTES: Final = st.binary(min_size=24, max_size=24)
NUMBERS: Final = st.integers(0, 255)


def machine(stage: Stage) -> type[RuleBasedStateMachine]:
    """The state machine of a program under construction."""
    profiles, most = stage.task.parsed_profiles, stage.task.ops[1]
    twins = Twins(*stage.models)

    class Construction(RuleBasedStateMachine):
        """Adds to a program; the end of an example runs it."""

        def __init__(self) -> None:
            super().__init__()
            self.program: Program | None = None
            self.ops: dict[str, list[Op]] = {}
            self.points: dict[tuple[str, int, str], Preemption] = {}

        @initialize(profile=st.sampled_from(profiles), place=NUMBERS, private=NUMBERS, data=BYTES)
        def layout(self, profile: object, place: int, private: int, data: bytes) -> None:
            assert profile in profiles
            mmu = profiles[profiles.index(profile)]
            vm = "sw-protected" if private >= 240 and mmu.has("sw_protected_vm") else "default"
            self.world = World(mmu, vm, ByteReader(data * 2))
            setup = draw_setup(self.world, place % 248)
            self.program = Program(mmu, setup, vm=vm)
            self.ops = {}

        @rule(name=st.sampled_from(ACTORS), data=BYTES)
        def op(self, name: str, data: bytes) -> None:
            program = self.program
            if program is None or sum(map(len, self.ops.values())) >= most:
                return
            self.world.reader = ByteReader(data)
            kind = name.rstrip("0123456789")
            table = op_table(kind, program.profile, program.vm)
            self.ops.setdefault(name, []).append(draw_op(self.world, table))

        @rule(who=NUMBERS, at=NUMBERS, label=NUMBERS, to=NUMBERS)
        def preempt(self, who: int, at: int, label: int, to: int) -> None:
            names = list(self.ops)
            if len(names) < 2:
                return
            name = names[who % len(names)]
            number = at % len(self.ops[name])
            labels = STEP_LABELS.get(self.ops[name][number].name)
            others = [other for other in names if other != name]
            if labels:
                point = (name, number, labels[label % len(labels)])
                self.points[point] = Preemption(*point, 1, others[to % len(others)])

        def teardown(self) -> None:
            if self.program is None or not self.ops:
                return
            if stage.referee.begin is None:
                stage.referee.start()
            program = _finished(self.program, self.ops, tuple(self.points.values()))
            ours, theirs = twins.run(program)
            stage.referee.ran(1)
            stage.referee.look(program, compare(program, stage.models[1], ours, theirs))

    return Construction


def _finished(
    program: Program, ops: dict[str, list[Op]], schedule: tuple[Preemption, ...]
) -> Program:
    actors = tuple(Actor(name, tuple(done)) for name, done in ops.items())
    vcpus = max([1, *(int(name[4:]) + 1 for name in ops if name.startswith("vcpu"))])
    return replace(program, actors=actors, schedule=schedule, vcpus=vcpus)


def run(stage: Stage) -> None:
    """Run examples until the referee ends it."""
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=2 * stage.task.ops[1],
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    case = machine(stage)
    stage.referee.start()
    seed(stage.task.seed)(case)
    run_state_machine_as_test(case, settings=chosen)

"""Strategies: what they choose, and that each run under one is the run of an ordinary Schedule."""

from __future__ import annotations

import ctypes
import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.codec import random_program
from fuzz.execution import RESUME, End, Run
from fuzz.judge import suspicious
from fuzz.overlay import load_model
from fuzz.port.lockstep import lockstep
from fuzz.port.outcome import outcome_text
from fuzz.port.pair import STRATEGIES, Point
from fuzz.search import execute, oracles_for
from fuzz.strategies.driven import SWITCHES_MAX, Driven, drive
from fuzz.strategies.named import NAMES, make_strategy
from fuzz.strategies.pct import Pct
from fuzz.strategies.replay import Replay
from fuzz.strategies.strategy import Chance, Place, Strategy
from fuzz.strategies.windows import Windows
from fuzz.text import format_program, load, parse
from fuzz.twins import Twins
from fuzz.vocabulary import Actor, Op, Preemption, Program
from reference.features import Profile
from reference.kvm import Kvm
from tests.ports import port_of
from tests.strategies import decoded_programs

SEED = load_model("seed")
STOCK = load_model("stock")
NOPS = Program(
    Profile("v7.2", "x86-tdp"),
    actors=tuple(Actor(name, (Op("nop"),) * 4) for name in ("vmm0", "vcpu0", "kthread0")),
)
RACE = "corpora/windows/memory_failure_during_fault.prog"


class Log:
    """Keeps every step."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int, str]] = []

    def step(self, kvm: Kvm, actor: str, op: int, label: str) -> None:
        self.steps.append((actor, op, label))


def driven(program: Program, strategy: Strategy) -> tuple[Run, Log]:
    log = Log()
    return Driven(SEED.kvm, program, strategy, oracles_for(SEED), log).run(), log


def programs(count: int, seed: int = 7) -> list[Program]:
    rng = random.Random(seed)
    return [replace(random_program(rng, None, 3, 12), schedule=()) for _ in range(count)]


def place(runnable: list[int], actor: int = 0) -> Place:
    model: Any = None
    return Place(model, actor=actor, runnable=runnable)


@given(decoded_programs(), st.sampled_from(NAMES), st.integers(0, 1 << 64), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_a_run_under_a_strategy_is_the_run_of_an_ordinary_schedule(
    program: Program, name: str, seed: int, depth: int
) -> None:
    run, log = driven(program, make_strategy(name, seed, depth))
    scheduled = parse(format_program(replace(program, schedule=tuple(run.taken))))
    again = Log()
    replayed = execute(SEED, scheduled, recorder=again)
    assert log.steps == again.steps
    assert outcome_text(scheduled, replayed) == outcome_text(scheduled, run)
    assert not replayed.void
    assert not replayed.stale(scheduled)


@given(decoded_programs())
@settings(max_examples=40, deadline=None)
def test_replay_as_a_strategy_takes_what_the_schedule_takes(program: Program) -> None:
    run, log = driven(program, Replay(program))
    again = Log()
    replayed = execute(SEED, program, recorder=again)
    assert log.steps == again.steps
    assert run.taken == [p for p in replayed.taken if p not in replayed.void]


def test_the_same_seed_makes_the_same_choices_and_another_seed_others() -> None:
    for name in ("walk", "pct", "windows"):
        one, two, other = (
            [driven(p, strategy)[0].taken for p in programs(20)]
            for strategy in (make_strategy(name, 1), make_strategy(name, 1), make_strategy(name, 2))
        )
        assert one == two
        assert one != other


def test_round_robin_is_the_program_without_a_schedule() -> None:
    for program in programs(20):
        run, log = driven(program, make_strategy("round-robin", 0))
        plain = Log()
        execute(SEED, program, recorder=plain)
        assert not run.taken
        assert log.steps == plain.steps


def test_a_random_walk_comes_to_every_order_of_ops() -> None:
    walk = make_strategy("walk", 3)
    two = replace(NOPS, actors=tuple(Actor(a.name, a.ops[:2]) for a in NOPS.actors))
    orders = {tuple((a, op) for a, op, _ in driven(two, walk)[1].steps) for _ in range(1500)}
    assert len(orders) == 90  # 6! / (2! 2! 2!)


def test_an_op_can_be_passed_over_although_it_was_begun() -> None:
    program = replace(load(RACE), schedule=())
    walk = make_strategy("walk", 1)
    labels = {p.label for _ in range(200) for p in driven(program, walk)[0].taken}
    assert RESUME in labels


def test_pct_runs_the_highest_that_can_and_whoever_gives_up_comes_last() -> None:
    pct = Pct(Chance(5), depth=1)
    pct.begin(NOPS)
    first = pct.choose(place([0, 1, 2]))
    assert {pct.choose(place([0, 1, 2])) for _ in range(50)} == {first}
    second = pct.choose(place([i for i in range(3) if i != first]))
    pct.gave_up(first)
    assert pct.choose(place([0, 1, 2])) == second
    pct.gave_up(second)
    assert pct.choose(place([first, second])) == first


def test_pct_of_depth_d_changes_its_mind_less_than_d_times() -> None:
    for depth in (1, 2, 4):
        pct = Pct(Chance(depth), depth)
        changes = []
        for _ in range(60):
            pct.begin(NOPS)
            chosen = [pct.choose(place([0, 1, 2])) for _ in range(64)]
            changes.append(sum(a != b for a, b in pairwise(chosen)))
        assert max(changes) == depth - 1


def test_every_order_of_priorities_is_as_likely() -> None:
    pct, firsts = Pct(Chance(9), 1), Counter[int]()
    for _ in range(900):
        pct.begin(NOPS)
        firsts[pct.choose(place([0, 1, 2]))] += 1
    assert all(240 < firsts[actor] < 360 for actor in range(3))


def test_windows_lets_ops_in_that_were_rarely_there_and_nobody_in_where_no_window_is_open() -> None:
    windows = Windows(Chance(1))
    assert not any(driven(NOPS, windows)[0].taken for _ in range(50))
    program = replace(load(RACE), schedule=())
    taken = [driven(program, windows)[0].taken for _ in range(100)]
    assert any(taken)
    assert sum(windows.entered.values()) == sum(map(len, taken))
    assert sum(map(bool, taken[50:])) < sum(map(bool, taken[:50]))


def test_a_run_makes_so_many_switches_and_then_takes_turns() -> None:
    class Away:
        """Always somebody else."""

        def begin(self, program: Program) -> None:
            """Nothing."""

        def choose(self, place: Place) -> int:
            """Whoever it would not be."""
            return next((a for a in place.runnable if a != place.actor), place.actor)

        def gave_up(self, actor: int) -> None:
            """Nothing."""

    many = replace(NOPS, actors=tuple(Actor(a.name, (Op("nop"),) * 200) for a in NOPS.actors))
    run, _ = driven(many, Away())
    assert run.end is End.FINISHED
    assert len(run.taken) == SWITCHES_MAX


def test_the_reference_follows_what_the_patched_side_was_driven_to() -> None:
    twins = Twins(STOCK, SEED)
    for program in programs(60):
        scheduled, ours, theirs = twins.drive(program, make_strategy("walk", 4))
        again = suspicious(scheduled, STOCK, SEED)
        if again is None:
            assert not ours.kvm.violations
            assert not theirs.kvm.violations
        else:
            assert ours.kvm.violations.keys() == again.reference.kvm.violations.keys()
            assert theirs.kvm.violations.keys() == again.patched.kvm.violations.keys()
    assert drive(SEED, NOPS, make_strategy("walk", 1))[0].schedule


@pytest.mark.parametrize("name", STRATEGIES)
def test_c_makes_the_same_choices(name: str) -> None:
    port = port_of("seed")
    run = port.library.gmemdiff_drive
    run.restype = ctypes.POINTER(Point)
    run.argtypes = [ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_uint32,
                    ctypes.c_void_p]  # fmt: skip
    labels = list(port.labels)
    switches = 0
    for seed, program in enumerate(programs(150)):
        strategy, count = make_strategy(name, seed), ctypes.c_uint32()
        for _ in range(2):  # the second run knows how long the first was
            scheduled, ours = drive(SEED, program, strategy)
        port.load(program)
        made = run(STRATEGIES.index(name), 3, seed, 2, ctypes.byref(count))[: count.value]
        names = [actor.name for actor in program.actors]
        assert [
            Preemption(names[p.actor], p.op, labels[p.label], p.occurrence, names[p.to])
            for p in made
        ] == ours.taken
        port.load(scheduled)
        port.run()
        assert port.outcome() == outcome_text(scheduled, ours)
        switches += count.value
    assert bool(switches) == (name != "round-robin")


def test_python_and_c_are_in_step_where_begun_ops_are_passed_over() -> None:
    port, resumed = port_of("seed"), 0
    for program in programs(80, seed=11):
        scheduled, _ = drive(SEED, program, make_strategy("walk", resumed))
        resumed += sum(p.label == RESUME for p in scheduled.schedule)
        assert lockstep(scheduled, SEED, port) is None
    assert resumed

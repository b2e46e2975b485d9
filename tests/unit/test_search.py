"""The bounded search: what it finds, and that its count is honest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from fuzz.execution import BEGIN, Execution, Plan, Run
from fuzz.invariants import Oracles
from fuzz.judge import PATCHED_ONLY, UNSETTLED, judge
from fuzz.overlay import Model, load_model
from fuzz.port.runner import on_port
from fuzz.search import execute, search
from fuzz.text import load, parse
from fuzz.vocabulary import SETUP, Preemption, Program
from reference.kvm import Kvm
from tests.ports import port_of

CORPORA = Path(__file__).parents[2] / "corpora"
STOCK = load_model("stock")
RACE = parse(
    """gmemdiff 1
profile: v7.2 x86-tdp
setup:
  mmap hva=A len=1p share=private
  user_write hva=A value=1
vmm0:
  user_write hva=A value=2
vmm1:
  user_read hva=A
"""
)

DELETION = parse(
    """gmemdiff 1
profile: v7.2 arm64
setup:
  mmap hva=A len=1p share=private
  user_write hva=A value=1
  set_region slot=0 size=1p hva=A
vcpu0:
  read gfn=0
vmm0:
  set_region slot=0 size=0p
"""
)
PREFETCH = parse(
    """gmemdiff 1
profile: v7.2 x86-tdp
setup:
  mmap hva=A len=1p share=private
  set_region slot=0 size=1p hva=A
vcpu0:
  read gfn=0
vmm0:
  nop
  munmap hva=A len=1p
"""
)


def reads(value: str) -> Callable[[Run], bool]:
    def wanted(run: Run) -> bool:
        return run.results["vmm1", 0] == value

    return wanted


class Log:
    """A recorder that keeps which steps there are."""

    def __init__(self) -> None:
        self.steps: dict[tuple[str, int, str], int] = {}

    def step(self, kvm: Kvm, actor: str, op: int, label: str) -> None:
        if actor != SETUP:
            self.steps[actor, op, label] = self.steps.get((actor, op, label), 0) + 1


Outcome = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]


def outcome(run: Run) -> Outcome:
    return tuple(sorted(run.results.values())), tuple(run.kvm.violations)


def outcomes_by_brute_force(program: Program, model: Model) -> set[Outcome]:
    """Every set of at most two preemptions at steps that any run was seen to take."""
    names = [actor.name for actor in program.actors]
    known: dict[tuple[str, int, str], int] = {}
    found: set[Outcome] = set()
    size = -1
    while size != len(known):  # until no run shows a new step
        size = len(known)
        points = [
            Preemption(actor, op, label, nth, to)
            for (actor, op, label), count in known.items()
            for nth in range(1, 2 if label == BEGIN else count + 1)
            for to in names
            if to != actor
        ]
        for schedule in [(), *((p,) for p in points), *combinations(points, 2)]:
            log = Log()
            plan = Plan.of(replace(program, schedule=schedule))
            found.add(outcome(Execution(model.kvm, plan, Oracles(False), log).run()))
            for key, count in log.steps.items():
                known[key] = max(known.get(key, 0), count)
    return found


def outcomes_by_search(program: Program, model: Model) -> set[Outcome]:
    found: set[Outcome] = set()

    def note(run: Run) -> bool:
        found.add(outcome(run))
        return False

    assert search(program, model, note, runs_max=100_000).complete
    return found


def test_an_outcome_of_another_order_is_found_with_the_schedule_that_gives_it() -> None:
    late = search(RACE, STOCK, reads("2"))
    assert late.found == ()
    early = search(RACE, STOCK, reads("1"))
    assert early.found
    again = execute(STOCK, replace(RACE, schedule=early.found))
    assert again.results["vmm1", 0] == "1"


def test_an_outcome_that_no_order_gives_is_not_found_and_the_search_says_it_was_complete() -> None:
    answer = search(RACE, STOCK, reads("3"))
    assert answer.found is None
    assert answer.complete
    assert str(answer).startswith(f"not found in all {answer.runs} schedules of up to 2")


@pytest.mark.parametrize("program", [RACE, DELETION, PREFETCH], ids=["race", "deletion", "nops"])
@pytest.mark.parametrize("model", ["stock", "mutants/no_stale_check", "mutants/no_srcu_wait"])
def test_the_search_sees_every_outcome_that_brute_force_sees(program: Program, model: str) -> None:
    assert outcomes_by_search(program, load_model(model)) == outcomes_by_brute_force(
        program, load_model(model)
    )


def test_a_search_cut_short_says_so() -> None:
    answer = search(RACE, STOCK, reads("3"), runs_max=3)
    assert not answer.complete
    assert answer.runs == 3
    assert "the first 3" in str(answer)


def test_the_programs_own_schedule_is_tried_early() -> None:
    own = (Preemption("vmm0", 0, "user_access.mmu", 1, "vmm1"),)
    answer = search(replace(RACE, schedule=own), STOCK, reads("1"))
    assert answer.found == own
    assert answer.runs == 2


RETRIES = "mutants/retry_gives_up"  # shows with three preemptions and with no fewer


def test_what_takes_three_preemptions_is_settled_where_the_model_can_be_explored() -> None:
    program = load(CORPORA / "mutants/retry_gives_up.prog")
    models = [on_port(load_model(name), port_of(name)) for name in ("stock", RETRIES)]
    blind = [replace(model, survey=None) for model in models]
    sides = {b.side for b in judge(program, models[0], models[1], 2_000).broken}
    assert sides == {PATCHED_ONLY}
    assert {b.side for b in judge(program, blind[0], blind[1], 2_000).broken} == {UNSETTLED}


def test_exploring_finds_a_schedule_that_running_one_after_the_other_is_too_slow_for() -> None:
    program = replace(load(CORPORA / "mutants/retry_gives_up.prog"), schedule=())
    model = on_port(load_model(RETRIES), port_of(RETRIES))
    three = replace(program, schedule=load(CORPORA / "mutants/retry_gives_up.prog").schedule)

    def wanted(run: Run) -> bool:
        return any(rule == "stale-install" for rule, _ in run.kvm.violations)

    assert search(program, model, wanted, 2_000).complete  # of two preemptions
    answer = search(renamed(three), model, wanted, 2_000)
    assert answer.found is not None
    assert wanted(execute(model, replace(program, schedule=answer.found)))


def renamed(program: Program) -> Program:
    """As many preemptions, at steps that are never passed: only the bound is left of them."""
    moved = [replace(p, occurrence=9 + i) for i, p in enumerate(program.schedule)]
    return replace(program, schedule=tuple(moved))

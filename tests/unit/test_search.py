"""The bounded search: what it finds, and that its count is honest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fuzz.execution import BEGIN, Run
from fuzz.overlay import load_model
from fuzz.search import execute, search
from fuzz.text import parse
from fuzz.vocabulary import Preemption, Program

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


def reads(value: str) -> Callable[[Run], bool]:
    def wanted(run: Run) -> bool:
        return run.results["vmm1", 0] == value

    return wanted


def schedules_by_hand(program: Program) -> set[tuple[str, ...]]:
    """Results of every schedule of up to two preemptions, tried one by one."""
    labels = (BEGIN, "user_access.mmu")
    points = [
        Preemption(actor, 0, label, 1, to)
        for actor, to in (("vmm0", "vmm1"), ("vmm1", "vmm0"))
        for label in labels
    ]
    found = set()
    for first in [None, *points]:
        for second in [None, *points]:
            schedule = tuple(p for p in (first, second) if p is not None)
            run = execute(STOCK, replace(program, schedule=schedule))
            found.add(tuple(run.results.values()))
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


def test_the_search_sees_every_outcome_that_trying_by_hand_sees() -> None:
    seen = set()

    def note(run: Run) -> bool:
        seen.add(tuple(run.results.values()))
        return False

    assert search(RACE, STOCK, note).complete
    assert seen == schedules_by_hand(RACE)


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

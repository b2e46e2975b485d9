"""The referee: whose clock runs when, what counts, and how a race ends."""

from __future__ import annotations

from typing import NoReturn

import pytest

from fuzz.execution import HarnessError
from fuzz.finding import Kind
from fuzz.judge import PATCHED_ONLY, Judgement, suspicious
from fuzz.overlay import Model, load_model
from fuzz.text import load
from fuzz.vocabulary import Program
from tools.bench.referee import Judge, Referee
from tools.bench.task import Outcome, Task

STOCK, BAD = load_model("stock"), load_model("mutants/no_seq_bump")
PROGRAM = load("corpora/mutants/no_seq_bump.prog")
KIND = Kind("a-rule", "a site", PATCHED_ONLY)


class OverError(Exception):
    """The race has ended."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


def end(outcome: Outcome) -> NoReturn:
    raise OverError(outcome)


class Clock:
    """A clock that somebody sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def shown(program: Program = PROGRAM, models: tuple[Model, Model] = (STOCK, BAD)) -> Judgement:
    judgement = suspicious(program, *models)
    assert judgement is not None
    return judgement


def outcome_of(referee: Referee, judgement: Judgement | None) -> Outcome:
    with pytest.raises(OverError) as over:
        referee.look(PROGRAM, judgement)
    return over.value.outcome


def test_the_judges_time_is_not_the_rivals() -> None:
    clock = Clock()

    def slow(program: Program, judgement: Judgement) -> Kind | None:
        clock.now += 50
        return None

    referee = Referee(10.0, slow, end, clock)
    referee.start()
    clock.now += 3
    referee.look(PROGRAM, shown())
    assert referee.spent() == 3
    referee.ran(1)
    clock.now += 7
    with pytest.raises(OverError) as over:
        referee.ran(4)
    assert over.value.outcome == Outcome(False, 10.0, executions=5, vain=1)


def test_time_before_the_start_does_not_count() -> None:
    clock = Clock()
    referee = Referee(1.0, lambda p, j: None, end, clock)
    clock.now += 500
    referee.start()
    referee.ran(1)
    assert referee.spent() == 0


def test_what_holds_ends_the_race_with_the_time_until_it_was_shown() -> None:
    clock = Clock()

    def holds(program: Program, judgement: Judgement) -> Kind:
        clock.now += 50
        return KIND

    referee = Referee(10.0, holds, end, clock)
    referee.start()
    referee.ran(7)
    clock.now += 2
    outcome = outcome_of(referee, shown())
    assert (outcome.detected, outcome.seconds, outcome.executions) == (True, 2.0, 7)
    assert outcome.kind == "patched-only a-rule at a site"
    assert "gmemdiff 1\n" in outcome.program


def test_what_comes_after_the_limit_does_not_count() -> None:
    clock = Clock()
    referee = Referee(1.0, lambda p, j: KIND, end, clock)
    referee.start()
    clock.now += 1
    referee.look(PROGRAM, shown())
    with pytest.raises(OverError) as over:
        referee.ran(0)
    assert not over.value.outcome.detected


def test_nothing_to_look_at_is_no_detection() -> None:
    referee = Referee(1.0, lambda p, j: KIND, end, Clock())
    referee.start()
    referee.look(PROGRAM, None)
    assert referee.vain == 0


def test_our_own_error_is_told_and_is_no_detection() -> None:
    def broken(program: Program, judgement: Judgement) -> Kind:
        raise HarnessError("ours")

    referee = Referee(1.0, broken, end, Clock())
    referee.start()
    outcome = outcome_of(referee, shown())
    assert not outcome.detected
    assert outcome.error == "ours"


def test_the_judge_lets_a_mistake_pass_as_one_and_nothing_else() -> None:
    found = Judge(STOCK, BAD, ())(PROGRAM, shown())
    assert found is not None
    assert found.side == PATCHED_ONLY


def test_what_both_sides_can_do_is_no_detection() -> None:
    program = load("corpora/findings/gpc_hva_no_slot__v72.prog")
    both = shown(program, (STOCK, STOCK))
    assert Judge(STOCK, STOCK, ())(program, both) is None


def test_tasks_and_outcomes_read_back_as_they_were_written() -> None:
    task = Task("random", "no_seq_bump", "stock", ("v7.2 x86-tdp",), 3, 1.5, (2, 8))
    assert Task.from_json(task.to_json()) == task
    assert task.model == "mutants/no_seq_bump"
    assert str(task.parsed_profiles[0]) == "v7.2 x86-tdp"
    outcome = Outcome(True, 0.25, 10, 2, "kind", "text")
    assert Outcome.from_json(outcome.to_json()) == outcome

"""The race: every task once, results that are kept, and how cells and totals are added up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.bench.race import Board, Results, cell, race, start_child, total
from tools.bench.task import Outcome, Task
from tools.bench.words import as_json, lines


def task(rival: str, mutant: str = "m1", seed: int = 0) -> Task:
    return Task(rival, mutant, "stock", ("v7.2 x86-tdp",), seed, 10.0)


def found(seconds: float) -> Outcome:
    return Outcome(True, seconds, 5)


NOTHING = Outcome(False, 10.0, 500)
# A fake rival is as fast as this says, with seeds 0, 1, 2; None: it finds nothing.
FAKES: dict[tuple[str, str], tuple[float | None, ...]] = {
    ("guided-c", "m1"): (1.0, 2.0, None),
    ("guided-c", "m2"): (0.5, 0.25, 0.125),
    ("walk-c", "m1"): (None, None, 3.0),
    ("walk-c", "m2"): (0.0, 0.0, 0.0),
    ("random", "m1"): (4.0, 4.0, 4.0),
    ("random", "m2"): (None, None, None),
}
IN_PYTHON = ("guided", "random", "walk", "pct", "windows", "stateful", "bytes")
TASKS = [task(rival, mutant, seed) for seed in range(3) for rival, mutant in FAKES]


def fake(asked: Task) -> Outcome:
    seconds = FAKES[asked.rival, asked.mutant][asked.seed]
    return NOTHING if seconds is None else found(seconds)


def board() -> Board:
    results = Results()
    assert list(race(TASKS, results, fake)) == TASKS
    return Board.of(TASKS, results, frozenset({"m1"}))


def test_a_cell_is_the_median_and_who_found_nothing_took_the_limit() -> None:
    cells = board().cells
    assert (cells["m1"]["guided-c"].median, cells["m1"]["guided-c"].detected) == (2.0, 2)
    assert (cells["m1"]["walk-c"].median, cells["m1"]["walk-c"].censored) == (10.0, True)
    assert cells["m2"]["guided-c"].median == 0.25
    assert [str(cells["m1"][rival]) for rival in ("guided-c", "walk-c", "random")] == [
        "2.00*", ">10", "4.00",
    ]  # fmt: skip


def test_totals_are_sums_of_medians_with_the_limit_for_what_was_not_found() -> None:
    hard, others = board().totals(True), board().totals(False)
    assert {r: t and (t.seconds, t.detected, t.mutants) for r, t in hard.items()} == {
        "guided-c": (2.0, 1, 1), "walk-c": (10.0, 0, 1), "random": (4.0, 1, 1),
    }  # fmt: skip
    assert others["random"] is not None
    assert (others["random"].seconds, others["random"].detected) == (10.0, 0)


def test_a_rival_that_did_not_run_on_all_mutants_has_no_total() -> None:
    tasks = [each for each in TASKS if (each.rival, each.mutant) != ("walk-c", "m1")]
    results = Results()
    list(race(tasks, results, fake))
    assert Board.of(tasks, results, frozenset({"m1"})).totals(True)["walk-c"] is None
    assert total([]) is None


def test_a_failed_run_is_told_and_not_counted() -> None:
    failed = Outcome(False, 10.0, error="killed")
    one = cell([found(1.0), failed], 10.0)
    assert (one.median, one.detected, one.seeds, one.errors) == (1.0, 1, 1, ("killed",))
    none = cell([failed], 10.0)
    assert str(none) == "-"
    assert total([none]) is None


def test_the_table_says_who_won_and_by_how_much() -> None:
    text = "\n".join(lines(board(), {"m1": "a mistake", "m2": "another"}))
    assert "hard ones in C: guided-c 2.0 s, the best rival walk-c 10.0 s: 0.20 of it" in text
    assert "m1: a mistake" in text
    assert "another" not in text
    data = as_json(board())
    assert data["mutants"]["m1"]["cells"]["walk-c"]["median"] == 10.0
    assert data["totals"]["hard"]["guided-c"] == {"seconds": 2.0, "detected": 1, "mutants": 1}


def test_results_are_kept_and_not_run_again(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    list(race(TASKS[:4], Results.load(path), fake))
    asked: list[Task] = []

    def counted(each: Task) -> Outcome:
        asked.append(each)
        return fake(each)

    results = Results.load(path)
    list(race(TASKS, results, counted))
    assert asked == TASKS[4:]
    assert results.done == Results.load(path).done


def test_results_that_are_none_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text('{"task": 1}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"results\.jsonl:1:1: is no result"):
        Results.load(path)


@pytest.mark.slow
@pytest.mark.parametrize("rival", IN_PYTHON)
def test_every_rival_finds_an_easy_mistake(rival: str) -> None:
    asked = Task(rival, "no_seq_bump", "stock", ("v7.2 x86-tdp",), 1, 20.0)
    outcome = start_child(asked)
    assert (outcome.error, outcome.detected) == ("", True)
    assert outcome.seconds < 20.0
    assert "patched-only" in outcome.kind


@pytest.mark.slow
def test_a_child_that_cannot_start_is_an_error_and_no_result() -> None:
    outcome = start_child(task("random", "no_such_mutant"))
    assert not outcome.detected
    assert "no_such_mutant" in outcome.error

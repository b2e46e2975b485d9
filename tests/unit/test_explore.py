"""gmemdiff explore: what it proves, what it prints, and how it goes on after it was stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from fuzz.judge import judge
from fuzz.overlay import load_model
from fuzz.text import parse
from reference.features import Profile
from tests.ports import needs_compiler
from tools.cli import main
from tools.explore.many import Task, Totals, explore_all
from tools.explore.programs import ProgramClass

CORPORA: Final = Path(__file__).parents[2] / "corpora"
STALE: Final = str(CORPORA / "findings" / "prefetch_direct__stale_leaf.prog")
RACE: Final = str(CORPORA / "findings" / "punch_versus_memory_failure__deadlock.prog")
DIRECT: Final = Profile("v7.2", "x86-direct")


@pytest.fixture(autouse=True)
def _compiler() -> None:
    needs_compiler()


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, object]]:
    code = main(["explore", *words, "--json"])
    data: dict[str, object] = json.loads(capsys.readouterr().out)
    return code, data


def test_a_counterexample_replays_with_the_same_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explore", STALE, "-k", "2", "-o", str(tmp_path)]) == 1
    assert "patched-only stale-spte" in capsys.readouterr().out
    written = [path for path in tmp_path.iterdir() if path.name.startswith("stale-spte")]
    program = parse(written[0].read_text(encoding="utf-8"))
    found = judge(program, load_model("stock"), load_model("seed"))
    assert "patched-only stale-spte" in found.lines


def test_a_deadlock_that_needs_a_preemption_is_found_with_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, data = told(capsys, RACE, "-k", "2")
    assert code == 1
    assert data["complete"]
    found = data["found"]
    assert isinstance(found, list)
    assert [(f["side"], f["rule"], f["preemptions"]) for f in found] == [("both", "deadlock", 1)]


def test_the_same_model_on_both_sides_differs_in_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = str(CORPORA / "windows" / "close_during_fault.prog")
    code, data = told(capsys, path, "-k", "2", "--patched", "stock")
    assert (code, data["found"], data["complete"]) == (0, [], True)


def test_out_of_time_is_inconclusive_and_a_checkpoint_goes_on_to_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, path = tmp_path / "kept.json", str(CORPORA / "windows" / "close_during_fault.prog")
    words = (path, "-k", "3", "--checkpoint", str(kept))
    code, _ = told(capsys, *words, "--memory", "1")
    assert code in (0, 6)
    code, data = told(capsys, *words)
    assert (code, data["complete"]) == (0, True)
    _, plain = told(capsys, path, "-k", "3")
    sides, others = data["sides"], plain["sides"]
    assert isinstance(sides, dict)
    assert isinstance(others, dict)
    for name in ("reference", "patched"):
        assert sides[name]["outcomes"] == others[name]["outcomes"]


def test_a_checkpoint_of_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.json"
    assert main(["explore", RACE, "-k", "1", "--checkpoint", str(kept)]) == 1
    assert main(["explore", RACE, "-k", "2", "--checkpoint", str(kept)]) == 2
    assert "another exploration" in capsys.readouterr().err
    kept.write_text("{", encoding="utf-8")
    assert main(["explore", RACE, "--checkpoint", str(kept)]) == 2


@pytest.mark.parametrize(
    "words", [(), ("--all-programs",), ("--all-programs", "ops=0", "slots=1"),
              ("--all-programs", "ops=1", "pages=1"), (STALE, "ops=2")],
)  # fmt: skip
def test_a_wrong_command_line_is_bad_input(words: tuple[str, ...]) -> None:
    assert main(["explore", *words]) == 2


@pytest.mark.parametrize(("ops", "slots"), [(1, 1), (2, 1), (2, 2)])
def test_a_class_has_as_many_programs_as_it_counts_and_none_twice(ops: int, slots: int) -> None:
    for actors in (1, 2):
        all_of_them = ProgramClass(DIRECT, ops, slots, actors=actors)
        programs = list(all_of_them.programs())
        assert len(programs) == len(set(programs)) == all_of_them.count()
        assert all(len(program.actors) >= actors for program in programs)


def test_a_sample_is_drawn_from_the_class_and_tells_that_it_is_not_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    programs = ProgramClass(DIRECT, 2, 2, actors=2)
    assert set(programs.drawn(300, 0)) <= set(programs.programs())
    assert programs.drawn(5, 0) == programs.drawn(5, 0) != programs.drawn(5, 1)
    words = ("--all-programs", "ops=2", "slots=2", "actors=2", "--sample", "20", "-k", "1")
    assert main(["explore", *words, "-j", "1"]) == 6
    told_of = capsys.readouterr().out
    assert "20 of " in told_of
    assert "the class takes about" in told_of


def test_a_class_that_was_stopped_goes_on_and_comes_to_the_same(tmp_path: Path) -> None:
    task = Task(ProgramClass(DIRECT, 2, 1), "stock", "seed", 1, 1 << 28)
    *_, (whole, complete) = explore_all(task, 1, None, None)
    assert complete
    kept = tmp_path / "kept.json"
    steps = explore_all(task, 1, None, kept)
    next(steps)
    some, complete = next(steps)
    steps.close()
    assert not complete
    assert 0 < some.programs < whole.programs
    *_, (again, complete) = explore_all(task, 1, None, kept)
    assert complete

    def shown(totals: Totals) -> object:
        data = totals.to_json()
        return {**data, "seconds": 0, "items": sorted(data["items"])}

    assert shown(again) == shown(whole)
    assert ("patched-only", "stale-spte", "gmem-only prefetched leaf") in whole.items

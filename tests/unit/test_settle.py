"""Exploring settles what a search leaves open, and says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from fuzz.judge import UNSETTLED, Judgement, Verdict, judge, run_both
from fuzz.overlay import load_model
from fuzz.text import parse
from tests.ports import needs_compiler
from tests.unit.test_judge import DRIFT
from tools import exits
from tools.cli import main
from tools.explore.settle import Settler, is_open

FINDINGS: Final = Path(__file__).parents[2] / "corpora" / "findings"
BOTH_RULE: Final = FINDINGS / "punch_versus_memory_failure__deadlock.prog"
PATCHED_ONLY_RULE: Final = FINDINGS / "gpc_gmem_slot__v72.prog"


@pytest.fixture(autouse=True)
def _compiler() -> None:
    needs_compiler()


def judged(text: str, seconds: float = 60, patched: str = "seed") -> tuple[Judgement, Judgement]:
    """What the judge says after two schedules or none, and what becomes of it."""
    models = load_model("stock"), load_model(patched)
    found = judge(parse(text), *models, 0)
    return found, Settler(seconds).settle(found, *models)


def test_a_rule_that_only_the_patch_breaks_is_the_patchs_once_the_reference_is_explored() -> None:
    found, settled = judged(PATCHED_ONLY_RULE.read_text(encoding="utf-8"))
    assert found.lines == ("unsettled stale-gpc",)
    assert settled.lines == ("patched-only stale-gpc",)
    assert "all explored" in settled.broken[0].evidence


def test_a_rule_that_the_reference_breaks_under_another_schedule_is_of_both() -> None:
    models = load_model("stock"), load_model("seed")
    program = replace(parse(BOTH_RULE.read_text(encoding="utf-8")), schedule=())
    _, theirs = run_both(program, *models)
    found = judge(parse(BOTH_RULE.read_text(encoding="utf-8")), *models)
    assert not theirs.kvm.violations
    unsettled = [replace(b, side=UNSETTLED, evidence="") for b in found.broken]
    settled = Settler().settle(replace(found, program=program, broken=unsettled), *models)
    assert settled.lines == ("both deadlock",)
    assert settled.broken[0].evidence == "found by exploring, with 1 preemption"


def test_a_difference_that_the_reference_gives_under_another_schedule_is_none() -> None:
    found, settled = judged(DRIFT)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert settled.verdict is Verdict.AGREE
    assert "found by exploring" in settled.evidence


def test_without_time_or_without_a_port_it_stays_open() -> None:
    found, settled = judged(DRIFT, seconds=0)
    assert settled is found
    assert is_open(settled)


def test_run_settles_what_its_budget_leaves_open_and_its_exit_code_follows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "drift.prog"
    path.write_text(DRIFT, encoding="utf-8")
    words = ("run", str(path), "--budget", "0")
    assert main([*words, "--settle", "0"]) == exits.INCONCLUSIVE
    capsys.readouterr()
    assert main([*words]) == exits.CLEAN
    assert "found by exploring" in capsys.readouterr().out
    rule = ("run", str(PATCHED_ONLY_RULE), "--budget", "0")
    assert main([*rule]) == exits.FINDING
    assert "patched-only stale-gpc" in capsys.readouterr().out

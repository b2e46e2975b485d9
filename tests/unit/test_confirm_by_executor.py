"""Findings of nested guests, confirmed by what the lab's executor saw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reference.features import Profile
from tools.cases import Models
from tools.lab import by_executor
from tools.lab.case import DONE, LAB, MARKER, OOPS, TIMEOUT, CaseResult, Observation
from tools.lab.confirm import plan_for, verdict_of
from tools.lab.confirmation import CONFIRMED, DISAGREES, NOT_REPRODUCED
from tools.lab.export.errors import NotExpressibleError
from tools.lab.export.plan import Plan
from tools.lab.export.subject import load_subject

FINDINGS = Path(__file__).parents[2] / "corpora" / "findings"
TDP = Profile("v7.2", "x86-tdp")


def plan_of(name: str) -> Plan:
    """The plan of a finding that has no reproducer in C."""
    subject = load_subject(str(FINDINGS / f"{name}.prog"), Models())
    assert subject is not None
    plan, text, remark = plan_for(subject, TDP)
    assert (text, remark) == ("", "")
    return plan


def as_the_model_says(plan: Plan, side: int, read: str = "0", damage: str = "0") -> CaseResult:
    """What a kernel does that is as the model of a side; the probes' results are given."""
    seen = [
        Observation(turn.actor, turn.index, said.result or "", {"pages_4k": said.pages_4k})
        for turn, said in zip(plan.order, plan.sides[side].turns, strict=True)
    ]
    for at, op in enumerate(by_executor.case_of(plan, "x").probes):
        result = {"grab": "2048", "read": read, "write": "0", "damage": damage}[op.name]
        seen.append(Observation(LAB, at, result))
    return CaseResult("x", DONE, (tuple(seen),))


def test_a_stale_nested_leaf_is_probed_through_a_nested_guest() -> None:
    plan = plan_of("prefetch_nested__stale_leaf")
    case = by_executor.case_of(plan, "x")
    assert [op.name for op in case.probes] == ["grab", "read", "write", "damage"]
    assert case.probes[1].args == (1, 1, 0)  # gfn 1, nested
    assert [turn.actor for turn in case.order[:4]] == ["setup"] * 4
    assert not {turn.op.name for turn in case.order} & {"nop"}


def test_kernels_that_do_as_their_models_say_confirm_it() -> None:
    plan = plan_of("prefetch_nested__stale_leaf")
    stock = by_executor.kernel_run(plan, [as_the_model_says(plan, 0)] * 3, "7.2.13", False, "tdp")
    stale = as_the_model_says(plan, 1, str(MARKER), "1")
    patched = by_executor.kernel_run(plan, [stale] * 3, "7.2.13", True, "tdp")
    assert (stock.hits, stock.attempts, stock.evidence) == (0, 3, ())
    assert (patched.hits, patched.attempts) == (3, 3)
    assert stock.trace == patched.trace == (3 * len(plan.order), 3 * len(plan.order))
    assert any("what a stranger wrote" in text for text in patched.evidence)
    assert "in 3 of 3: a guest's write shows in the stranger's memory" in patched.evidence
    assert verdict_of(plan.kind.side, stock, patched).verdict == CONFIRMED
    assert verdict_of(plan.kind.side, stock, stock).verdict == NOT_REPRODUCED
    assert verdict_of(plan.kind.side, patched, patched).verdict == DISAGREES


def test_what_only_the_stock_kernel_shows_is_told_by_a_steps_result() -> None:
    plan = plan_of("prefetch_nested__cured")
    runs = [
        by_executor.kernel_run(plan, [as_the_model_says(plan, side)], "7.2.13", bool(side), "tdp")
        for side in (0, 1)
    ]
    assert [run.hits for run in runs] == [1, 0]
    assert verdict_of(plan.kind.side, runs[0], runs[1]).verdict == CONFIRMED


def test_attempts_that_did_not_end_count_for_nothing_and_are_told() -> None:
    plan = plan_of("prefetch_nested__stale_leaf")
    stuck = CaseResult("x", TIMEOUT, (), "killed after its deadline")
    good = as_the_model_says(plan, 0)
    run = by_executor.kernel_run(plan, [good, stuck], "7.2.13", False, "tdp")
    assert (run.attempts, run.hits) == (1, 0)
    assert run.trouble == "timeout: killed after its deadline"
    warned = replace(good, status=OOPS, log="WARNING: of something else")
    assert by_executor.kernel_run(plan, [warned], "7.2.13", False, "tdp").attempts == 1


def test_what_the_executor_cannot_ask_either_stays_not_expressible() -> None:
    for name in ("prefetch_direct__ksm", "binding_not_stored__v72"):
        subject = load_subject(str(FINDINGS / f"{name}.prog"), Models())
        assert subject is not None
        with pytest.raises(NotExpressibleError):
            plan_for(subject, subject.finding.program.profile)

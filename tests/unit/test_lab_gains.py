"""What a patch saves, counted: the workloads and the counting, without a kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from fuzz.execution import Execution, Plan
from fuzz.overlay import Model, load_model
from fuzz.text import parse
from reference.features import Profile
from reference.observer import Observer
from tools.lab import express
from tools.lab.case import DONE, OOPS, THREADS, BootResult, Case, CaseResult, Observation
from tools.lab.errors import LabError
from tools.lab.gains import workloads
from tools.lab.gains.measure import (
    RETRIES,
    Row,
    Span,
    compare,
    kernel_counts,
    model_counts,
    on_kernel,
    spans,
)
from tools.lab.gains.workloads import GMEM_PAGES, ORDINARY_PAGES, ROUNDS, WORKLOADS

TDP = Profile("v7.2", "x86-tdp")
STOCK = load_model("stock")
SEED = load_model("seed")
PAGES = GMEM_PAGES + ORDINARY_PAGES
STATS = {
    "pages_4k": 40,
    "pf_fixed": 7,
    "tlb_flush": 3,
    "remote_tlb_flush": 1,
    "remote_tlb_flush_requests": 2,
    "pf_taken": 20,
    "pf_emulate": 4,
    "pf_spurious": 1,
}


class Stand:
    """A kernel that is a model in truth; as threads it takes turns."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def run(self, cases: Sequence[Case]) -> list[BootResult]:
        results = [
            CaseResult(case.name, DONE, (self._attempt(case),) * case.repeat) for case in cases
        ]
        return [BootResult("7.2.0-test", False, "tdp", 1.0, 2.0, tuple(results))]

    def _attempt(self, case: Case) -> tuple[Observation, ...]:
        execution = Execution(self.model.kvm, Plan.of(case.program), Observer())
        kvm = execution.run([turn.actor for turn in case.order]).kvm
        stats = {
            "pages_4k": kvm.pages_4k,
            "pf_fixed": kvm.pf_fixed,
            "pf_taken": kvm.pf_fixed + kvm.fault_retries,
            "pf_emulate": 0,
            "pf_spurious": 0,
            "tlb_flush": kvm.tlb_flush,
            "remote_tlb_flush": 0,
            "remote_tlb_flush_requests": kvm.remote_tlb_flush,
        }
        return (Observation("lab", 0, "0", stats),)


def standing(model: Model) -> Callable[[int], Stand]:
    return lambda cpus: Stand(model)


def turns(name: str) -> Case:
    (workload,) = workloads.chosen([name])
    return workloads.in_turns(workload, TDP)


@pytest.mark.parametrize("mmu", ["tdp", "direct", "shadow"])
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda each: each.name)
def test_a_real_kernel_can_be_asked_for_every_workload(
    workload: workloads.Workload, mmu: str
) -> None:
    profile = Profile("v7.2", f"x86-{mmu}")
    for case in (workloads.in_turns(workload, profile), workloads.at_once(workload, profile, 1)):
        assert express.reasons(case.program) == ()
        ops = sum(len(actor.ops) for actor in case.program.actors) + len(case.program.setup)
        assert len(case.order) == ops
        assert ops + len(case.probes) <= express.OPS_MAX


def test_in_turns_the_guest_touches_everything_before_and_after_the_vmms_calls() -> None:
    names = [turn.actor for turn in turns("madvise").order if turn.actor != "setup"]
    assert names[:PAGES] == ["vcpu0"] * PAGES
    assert names[PAGES : PAGES + 2] == ["vmm0"] * 2
    assert names[-PAGES:] == ["vcpu0"] * PAGES
    assert names.count("vcpu0") == ROUNDS * PAGES


@pytest.mark.parametrize("name", ["mprotect", "madvise", "munmap"])
def test_the_patch_saves_every_fault_and_flush_that_the_user_mapping_causes(name: str) -> None:
    (stock,) = model_counts(turns(name), STOCK)
    (patched,) = model_counts(turns(name), SEED)
    assert stock["pf_fixed"] == PAGES + (ROUNDS - 1) * GMEM_PAGES
    assert patched["pf_fixed"] == PAGES
    assert stock["remote_tlb_flush_requests"] == ROUNDS - 1
    assert patched["remote_tlb_flush_requests"] == 0


def test_it_saves_nothing_of_an_ordinary_slot() -> None:
    (stock,) = model_counts(turns("ordinary"), STOCK)
    assert [stock] == model_counts(turns("ordinary"), SEED)
    assert stock["pf_fixed"] == PAGES + (ROUNDS - 1) * ORDINARY_PAGES


def test_at_once_the_patched_side_is_certain_and_the_other_is_not() -> None:
    (workload,) = workloads.chosen(["madvise"])
    case = workloads.at_once(workload, TDP, 3)
    assert case.mode == THREADS
    patched = spans(model_counts(case, SEED))
    assert patched["pf_fixed"] == Span(PAGES, PAGES)
    assert patched[RETRIES] == Span(0, 0)
    stock = spans(model_counts(case, STOCK))
    assert stock["pf_fixed"].least == PAGES < stock["pf_fixed"].most
    assert stock[RETRIES].most > 0


def test_a_fault_that_came_to_nothing_is_a_retry() -> None:
    seen = Observation("vcpu0", 0, "0", {**STATS, "pf_taken": 0}), Observation("lab", 0, "0", STATS)
    (counts,) = kernel_counts(CaseResult("one", DONE, (seen,)))
    assert counts[RETRIES] == 20 - 7 - 4 - 1
    assert counts["remote_tlb_flush"] == 1


def test_what_did_not_end_and_a_kernel_without_the_statistics_are_errors() -> None:
    seen = (Observation("lab", 0, "0", {"pages_4k": 1}),)
    with pytest.raises(LabError, match="one: oops: it burns"):
        kernel_counts(CaseResult("one", OOPS, (seen,), "it burns"))
    with pytest.raises(LabError, match="no statistic 'pf_fixed'"):
        kernel_counts(CaseResult("one", DONE, (seen,)))


def test_a_row_is_compared_where_the_model_is_certain() -> None:
    row = Row("w", "c", Span(1, 5), Span(1, 9), Span(4, 4), Span(4, 4))
    assert row.compared == 1
    assert row.disagreements == ()
    assert replace(row, patched=Span(4, 5)).disagreements == ("patched",)
    assert replace(row, stock_model=Span(2, 2)).disagreements == ("stock",)
    assert replace(row, patched=None, stock=None).compared == 0


def test_kernels_that_do_as_their_models_say_have_no_disagreement() -> None:
    cases = [turns("madvise"), turns("madvise")]
    stock, patched = on_kernel(cases, standing(STOCK)), on_kernel(cases, standing(SEED))
    rows = compare(cases, stock, patched, (STOCK, SEED))
    assert {row.workload for row in rows} == {"madvise, in turns"}
    assert [row for row in rows if row.disagreements] == []
    assert sum(row.compared for row in rows) == 2 * 5
    swapped = compare(cases, patched, stock, (STOCK, SEED))
    wrong = [row.counter for row in swapped if row.disagreements]
    assert wrong == ["pf_fixed", "remote_tlb_flush_requests", "tlb_flush"]


def test_a_program_of_ones_own_takes_turns_op_by_op() -> None:
    program = parse(
        "gmemdiff 1\nprofile: v6.18 x86-direct\nsetup:\n  create_gmem fd=gmem0 size=4p\n"
        "vcpu0:\n  read gfn=0\n  read gfn=1\nvmm0:\n  munmap hva=A len=4p\n"
    )
    case = workloads.own_case("own", program, TDP)
    assert [turn.actor for turn in case.order] == ["setup", "vcpu0", "vmm0", "vcpu0"]
    assert case.program.profile == TDP

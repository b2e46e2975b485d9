"""A finding counts as confirmed only by what is tied to its rule, and on the sides it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.folder import save
from reference.features import Profile
from tools.campaign.layout import Layout
from tools.campaign.records.listing import Listing
from tools.cases import Models
from tools.cli import main
from tools.lab import confirmation
from tools.lab.confirm import Wish, confirm, plan_for, verdict_of, verdict_without
from tools.lab.confirmation import (
    CONFIRMED,
    DISAGREES,
    NOT_EXPRESSIBLE,
    NOT_REPRODUCED,
    NOT_RUN,
    Confirmation,
    KernelRun,
    KernelVerdict,
    digest,
)
from tools.lab.export.bundle import files_of, reproducer_of
from tools.lab.export.errors import NotExpressibleError
from tools.lab.export.plan import Plan
from tools.lab.export.render import expected_output
from tools.lab.export.subject import Subject, load_subject
from tools.lab.outputs import kernel_run, read
from tools.lab.programs import Output

FINDINGS = Path(__file__).parents[2] / "corpora" / "findings"
STALE_LEAF = FINDINGS / "prefetch_direct__stale_leaf.prog"


def subject_of(path: Path) -> Subject:
    """A corpus program as a finding."""
    subject = load_subject(str(path), Models())
    assert subject is not None
    return subject


def plan_of(path: Path) -> Plan:
    """How it is shown."""
    return reproducer_of(subject_of(path)).plan


def printed(plan: Plan, side: int, attempts: int = 3) -> tuple[str, ...]:
    """What a kernel prints that does as the model of a side says, in every attempt."""
    lines = expected_output(plan, "finding", side).splitlines()
    steps = [line for line in lines if " => " in line]
    rest = [line.replace("# broken", f"# broken in {attempts} of {attempts} attempts")
            for line in lines if " => " not in line]  # fmt: skip
    return (*rest[:3], *(steps * attempts), *rest[3:])


def run(hits: int, attempts: int = 5, trouble: str = "") -> KernelRun:
    """A run with nothing but its counts."""
    return KernelRun("7.2.13", False, "direct", attempts, hits, (), (0, 0), (), trouble)


def test_a_kernel_that_does_as_the_models_say_confirms_with_its_whole_trace() -> None:
    plan = plan_of(STALE_LEAF)
    runs = [
        kernel_run(
            plan, Output("x", printed(plan, side), f"exit {side}"), "7.2", bool(side), "direct", 3
        )
        for side in (0, 1)
    ]
    assert [run.hits for run in runs] == [0, 3]
    assert [run.trace for run in runs] == [(18, 18), (18, 18)]
    assert not runs[0].evidence
    assert runs[1].evidence[0].startswith("broken in 3 of 3: after vmm0 munmap, no leaf maps")
    assert verdict_of("patched-only", runs[0], runs[1]).verdict == CONFIRMED


def test_a_test_that_is_not_about_the_rule_confirms_nothing() -> None:
    plan = plan_of(STALE_LEAF)
    lines = [line for line in printed(plan, 0) if not line.startswith("ok 4")]
    lines.append("not ok 4 the kernel's log is clean # broken in 3 of 3 attempts")
    found = kernel_run(plan, Output("x", tuple(lines), "exit 1"), "7.2", True, "direct", 3)
    assert found.hits == 0


@pytest.mark.parametrize(
    ("side", "stock", "patched", "verdict"),
    [
        ("patched-only", 0, 5, CONFIRMED),
        ("patched-only", 0, 1, CONFIRMED),
        ("patched-only", 5, 5, DISAGREES),
        ("patched-only", 5, 0, DISAGREES),
        ("patched-only", 0, 0, NOT_REPRODUCED),
        ("unsettled", 0, 5, CONFIRMED),
        ("both", 5, 5, CONFIRMED),
        ("both", 0, 5, DISAGREES),
        ("both", 0, 0, NOT_REPRODUCED),
        ("reference-only", 5, 0, CONFIRMED),
    ],
)
def test_the_verdict_needs_the_sides_that_the_finding_names(
    side: str, stock: int, patched: int, verdict: str
) -> None:
    assert verdict_of(side, run(stock), run(patched)).verdict == verdict


def test_a_kernel_that_could_not_be_asked_confirms_nothing() -> None:
    told = verdict_of("patched-only", run(0, 0, "skipped: needs two NUMA nodes"), run(5))
    assert told.verdict == NOT_RUN
    assert "two NUMA nodes" in told.text


def test_a_skip_of_the_reproducer_is_no_attempt() -> None:
    plan = plan_of(STALE_LEAF)
    lines = ("TAP version 13", "1..0 # SKIP /dev/kvm: No such file or directory")
    found = kernel_run(plan, Output("x", lines, "exit 4"), "7.2", True, "direct", 3)
    assert (found.attempts, found.hits) == (0, 0)
    assert found.trouble == "skipped: /dev/kvm: No such file or directory"


def test_an_output_that_breaks_off_is_no_attempt() -> None:
    plan = plan_of(STALE_LEAF)
    lines = printed(plan, 1)[:7]
    found = kernel_run(plan, Output("x", lines, "oops", "Oops: 0000"), "7.2", True, "direct", 3)
    assert (found.attempts, found.hits) == (0, 0)
    assert found.trouble == "oops: Oops: 0000"


def test_a_hang_is_what_a_deadlock_is_about() -> None:
    plan = plan_of(FINDINGS / "punch_versus_memory_failure__deadlock.prog")
    output = Output("x", ("TAP version 13", "1..2"), "hang", "the machine hangs")
    assert kernel_run(plan, output, "7.2", False, "tdp", 300).hits == 1


def test_a_step_that_came_out_otherwise_is_counted() -> None:
    plan = plan_of(STALE_LEAF)
    lines = [line.replace("leaves 2", "leaves 1") for line in printed(plan, 0)]
    found = kernel_run(plan, Output("x", tuple(lines), "exit 0"), "7.2", False, "direct", 3)
    assert found.trace == (15, 18)


def test_a_comment_that_is_no_step_is_none() -> None:
    assert not read(["# kernel 7.2; two-dimensional paging 1, tdp_mmu 0"]).steps


def test_another_patched_model_needs_the_patch_of_that_model(tmp_path: Path) -> None:
    text = STALE_LEAF.read_text().replace(
        "profile: v7.2 x86-direct", "profile: v7.2 x86-direct\npatched: stock"
    )
    path = tmp_path / "other.prog"
    path.write_text("\n".join(line for line in text.splitlines() if "expect" not in line) + "\n")
    subject = subject_of(path)
    (answer,) = confirm([subject], Wish(), lambda text: None)
    assert answer.summary.startswith(NOT_EXPRESSIBLE)
    assert "--patch" in answer.summary


def test_without_a_patched_kernel_the_stock_one_confirms_what_both_sides_do() -> None:
    missing = "patched: not found: linux-headers"
    both = verdict_without("both", "6.18", [run(5)], missing)
    assert both.verdict == CONFIRMED
    assert both.text.endswith("stock 5 of 5 attempts; not run on patched: not found: linux-headers")
    assert verdict_without("both", "6.18", [run(0)], missing).verdict == NOT_RUN
    assert verdict_without("patched-only", "6.18", [run(0)], missing).verdict == NOT_RUN
    assert verdict_without("both", "6.18", [], missing).text == f"not run on 6.18 {missing}"


def test_what_cannot_be_expressed_is_told_without_a_kernel(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = FINDINGS / "binding_not_stored__v72.prog"
    assert main(["confirm", str(path)]) == 4
    told = capsys.readouterr().out
    assert "not expressible: fail_next" in told
    assert "1 finding: 1 not expressible" in told


def test_nothing_to_confirm_is_said() -> None:
    assert main(["confirm"]) == 5


def a_confirmation(subject: Subject) -> Confirmation:
    """As if two kernels had been asked."""
    plan = reproducer_of(subject).plan
    runs = tuple(
        kernel_run(
            plan, Output("x", printed(plan, side), "exit 1"), "7.2.13", bool(side), "direct", 3
        )
        for side in (0, 1)
    )
    verdict = verdict_of("patched-only", runs[0], runs[1])
    program = subject.finding.program
    return Confirmation(subject.finding.fingerprint, digest(program), runs, (verdict,))


def test_a_confirmation_is_kept_and_read_back_until_its_program_is_replaced(
    tmp_path: Path,
) -> None:
    subject = subject_of(STALE_LEAF)
    told = a_confirmation(subject)
    confirmation.save(told, tmp_path)
    assert confirmation.load(tmp_path, subject.finding.program) == told
    assert confirmation.load(tmp_path, "another program") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "runs": 3}'])
def test_a_confirmation_that_cannot_be_read_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / confirmation.FILE).write_text(text)
    assert confirmation.load(tmp_path, "p") is None


def test_status_show_and_the_bundle_tell_what_real_kernels_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = subject_of(STALE_LEAF)
    layout = Layout(tmp_path)
    folder = save(subject.finding, layout.findings).parent
    told = a_confirmation(subject)
    confirmation.save(told, folder)
    (view,) = Listing(layout).read({})
    assert view.kernels.startswith("confirmed on 7.2.13 direct: stock 0 of 3 attempts")
    assert main(["show", str(folder / "program.prog")]) == 0
    assert f"on real kernels: {told.summary}" in capsys.readouterr().out
    files = files_of(reproducer_of(subject), told)
    assert "stock    0 of 3 attempts" in files["report-draft.txt"]
    assert "patched  3 of 3 attempts" in files["report-draft.txt"]
    assert "observed-7.2.13-patched.txt" in files


def test_the_summary_of_several_kernels_has_them_all() -> None:
    verdicts = (KernelVerdict("7.2", CONFIRMED, "one"), KernelVerdict("7.3", NOT_RUN, "two"))
    assert Confirmation("f", "p", (), verdicts).summary == "one; two"
    assert Confirmation("f", "p").summary == NOT_RUN


@pytest.mark.parametrize(("function", "hits"), [("mmu_set_spte", 3), ("kfree", 0)])
def test_a_warning_counts_only_when_it_comes_from_the_function_of_the_finding(
    function: str, hits: int
) -> None:
    path = str(FINDINGS / "prefetch_direct__pfn_changes.prog")
    subject = load_subject(path, Models(), "warn")
    assert subject is not None
    plan = reproducer_of(subject).plan
    log = f"# log: WARNING: arch/x86/kvm/mmu/mmu.c:1 at {function}+0x1/0x2 [kvm]"
    lines = (*printed(plan, 1), log)
    found = kernel_run(plan, Output("x", lines, "exit 1"), "7.2", True, "direct", 3)
    assert found.hits == hits


def test_a_kernel_is_asked_where_its_model_does_not_show_the_finding() -> None:
    subject = subject_of(FINDINGS / "gpc_gmem_slot__v72.prog")
    plan, text, remark = plan_for(subject, Profile("v7.3", "x86-tdp"))
    assert plan.program.profile == Profile("v7.2", "x86-tdp")
    assert "TEST_CACHE" in text
    assert remark == "the model of v7.3 x86-tdp says it is not there"
    with pytest.raises(NotExpressibleError):
        plan_for(subject_of(STALE_LEAF), Profile("v7.2", "x86-tdp"))


@pytest.mark.parametrize(
    ("stock", "patched", "verdict"),
    [(3, 2, CONFIRMED), (3, 0, CONFIRMED), (0, 2, NOT_REPRODUCED), (0, 0, NOT_REPRODUCED)],
)
def test_a_race_of_both_sides_is_confirmed_by_the_stock_kernel(
    stock: int, patched: int, verdict: str
) -> None:
    assert verdict_of("both", run(stock), run(patched), race=True).verdict == verdict


def test_a_race_of_the_patch_alone_is_not_confirmed_when_the_stock_kernel_shows_it() -> None:
    assert verdict_of("patched-only", run(1), run(5), race=True).verdict == DISAGREES

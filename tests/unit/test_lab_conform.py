"""Conformance without a kernel: a model stands in for it, or another one that is wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from fuzz.execution import Execution, Plan
from fuzz.overlay import Model, load_model
from fuzz.text import format_program, load, parse
from fuzz.vocabulary import OPS, Op, Program
from reference.features import Profile
from reference.observer import Observer
from tools.lab import express
from tools.lab.case import DONE, OOPS, SKIPPED, BootResult, Case, CaseResult, Observation
from tools.lab.conform import table
from tools.lab.conform.compare import Verdict, compare
from tools.lab.conform.draw import OPS_MAX, OPS_MIN, random_cases
from tools.lab.conform.limits import LimitError, Limits, Where, parse_limits, shipped_limits
from tools.lab.conform.observe import ModelRun, observe, profile_of
from tools.lab.conform.remember import Remembering
from tools.lab.conform.session import Session, able, corpus_cases
from tools.lab.conform.shrink import round_robin, without
from tools.lab.shelf import Shelf

TDP = Profile("v7.2", "x86-tdp")
DIRECT = Profile("v7.2", "x86-direct")
CORPORA = Path(__file__).parents[2] / "corpora"
STOCK = load_model("stock")
SEED = load_model("seed")


class Stand:
    """A kernel of the lab that is a model in truth."""

    def __init__(self, model: Model, profile: Profile = TDP) -> None:
        self.model = model
        self.profile = profile
        self.runs = 0

    def run(self, cases: Sequence[Case]) -> list[BootResult]:
        self.runs += 1
        results = [
            CaseResult(
                case.name, DONE, (tuple(observe(case, self.model, self.profile).observations),)
            )
            for case in cases
        ]
        return [BootResult("7.2.0-test", False, "tdp", 1.0, 2.0, tuple(results))]


def cases_of(count: int = 30, seed: int = 1, profile: Profile = TDP) -> list[Case]:
    return list(random_cases(seed, count, profile, able()))


def program(text: str) -> Program:
    return parse("gmemdiff 1\nprofile: v7.2 x86-tdp\n" + text)


SMALL = program(
    "setup:\n  create_gmem fd=gmem0 size=4p\n"
    "  mmap hva=A len=4p fd=gmem0 share=shared\n"
    "  set_region slot=0 size=4p hva=A flags=GUEST_MEMFD fd=gmem0\n"
    "vcpu0:\n  write gfn=0 value=7\n  read gfn=0\nvmm0:\n  munmap hva=A len=4p\n"
)


def small_case() -> Case:
    return express.serial_cases("small", SMALL)[0]


def answered(case: Case, *changes: tuple[int, dict[str, int] | str]) -> CaseResult:
    """What the model says, but for these results (text) or counters (added) of ops."""
    seen = list(observe(case, STOCK, TDP).observations)
    for at, change in changes:
        if isinstance(change, str):
            seen[at] = replace(seen[at], result=change)
        else:
            for later in range(at, len(seen)):
                stats = dict(seen[later].stats)
                for name, more in change.items():
                    stats[name] += more
                seen[later] = replace(seen[later], stats=stats)
    return CaseResult(case.name, DONE, (tuple(seen),))


def test_the_same_seed_draws_the_same_programs_and_another_seed_others() -> None:
    assert cases_of(5) == cases_of(5)
    assert cases_of(5) != cases_of(5, seed=2)


@pytest.mark.parametrize("mmu", ["x86-tdp", "x86-direct", "x86-shadow"])
def test_every_drawn_program_can_be_asked_for_on_a_kernel(mmu: str) -> None:
    for case in cases_of(60, profile=Profile("v7.3", mmu)):
        assert express.reasons(case.program) == ()
        assert case.program.schedule == ()


def test_drawn_programs_have_the_promised_number_of_ops_each_in_the_order_once() -> None:
    for case in cases_of(60):
        count = sum(len(actor.ops) for actor in case.program.actors)
        assert OPS_MIN <= count <= OPS_MAX
        assert len(case.order) == count + len(case.program.setup)
        assert {(t.actor, t.index) for t in case.order} == {
            (name, at)
            for name, ops in [("setup", case.program.setup)]
            + [(actor.name, actor.ops) for actor in case.program.actors]
            for at in range(len(ops))
        }


def test_drawn_programs_are_programs_that_can_be_written_and_read_back() -> None:
    for case in cases_of(20):
        assert parse(format_program(case.program)) == case.program


def test_many_ops_of_the_language_are_drawn() -> None:
    drawn = {turn.op.name for case in cases_of(200) for turn in case.order}
    assert {"read", "write", "munmap", "madvise", "fallocate", "set_region", "pre_fault"} <= drawn
    assert drawn <= express.EXECUTED


def test_an_order_runs_whole_ops_one_after_the_other() -> None:
    done: list[tuple[str, int]] = []
    run = Execution(STOCK.kvm, Plan.of(SMALL), Observer()).run(
        ["setup"] * 3 + ["vcpu0", "vmm0", "vcpu0"], lambda kvm, actor, op: done.append((actor, op))
    )
    assert done[3:] == [("vcpu0", 0), ("vmm0", 0), ("vcpu0", 1)]
    assert run.results["vcpu0", 1] == "7"


def test_observations_have_results_and_counters_after_each_op() -> None:
    seen = observe(small_case(), STOCK, TDP).observations
    assert [each.result for each in seen][3:] == ["0", "0", "7"]
    assert [each.stats["pages_4k"] for each in seen][3:] == [1, 0, 1]


@pytest.mark.parametrize(
    ("release", "mmu", "profile"),
    [
        ("7.2.12+deb13-cloud-amd64", "tdp", TDP),
        ("7.3.4", "shadow", Profile("v7.3", "x86-shadow")),
        ("7.10.1", "arm64", Profile("v7.3", "arm64")),
        ("6.12", "direct", Profile("v6.18", "x86-direct")),
    ],
)
def test_a_kernel_release_stands_for_a_profile(release: str, mmu: str, profile: Profile) -> None:
    assert profile_of(release, mmu) == profile


def compared(theirs: CaseResult, limits: Limits | None = None) -> list[tuple[str, str, str]]:
    case = small_case()
    ours = observe(case, STOCK, TDP)
    found = compare(case, ours, theirs, limits or Limits(), Where(TDP))
    return [
        (case.order[v.at].op.name, v.about, v.verdict.value)
        for v in found.values
        if v.verdict is not Verdict.SAME
    ]


def test_a_kernel_that_says_what_the_model_says_differs_nowhere() -> None:
    assert compared(answered(small_case())) == []


def test_a_result_that_differs_ends_the_comparison() -> None:
    theirs = answered(small_case(), (3, "EFAULT"), (5, "9"))
    assert compared(theirs) == [("write", "result", "differs")]


def test_a_counter_counts_by_its_change_so_that_one_difference_is_told_once() -> None:
    theirs = answered(small_case(), (3, {"pf_fixed": 1}))
    assert compared(theirs) == [("write", "pf_fixed", "differs")]


def test_the_first_op_only_says_where_the_counters_start() -> None:
    assert compared(answered(small_case(), (0, {"tlb_flush": 3}))) == []


def test_an_op_that_never_came_back_is_a_difference_that_says_why() -> None:
    case = small_case()
    seen = answered(case).attempts[0][:4]
    theirs = CaseResult(case.name, OOPS, (seen,), "BUG: at mmu.c\nmore")
    found = compare(case, observe(case, STOCK, TDP), theirs, Limits(), Where(TDP))
    first = found.first_difference
    assert first is not None
    assert (first.at, first.kernel) == (4, "oops: BUG: at mmu.c")


def test_a_warning_of_the_kernel_alone_is_a_difference_and_of_both_is_none() -> None:
    case = small_case()
    ours = observe(case, STOCK, TDP)
    theirs = replace(answered(case), status=OOPS, log="WARNING: at mmu.c")
    alone = compare(case, ours, theirs, Limits(), Where(TDP))
    assert alone.first_difference is not None
    both = compare(
        case, ModelRun(ours.observations, "", ("mmu_set_spte",)), theirs, Limits(), Where(TDP)
    )
    assert both.first_difference is None


def test_a_case_that_did_not_run_is_compared_nowhere_and_says_why() -> None:
    case = small_case()
    theirs = CaseResult(case.name, SKIPPED, log="no such VM type")
    found = compare(case, observe(case, STOCK, TDP), theirs, Limits(), Where(TDP))
    assert (found.values, found.skipped) == ((), "no such VM type")


ONE = """
[[limit]]
name = "one"
reason = "for this test"
ops = ["write"]
about = ["result"]
values = 'gfn=0'
kernel = "EFAULT"
"""


def test_a_limit_makes_a_difference_known_where_its_conditions_hold_and_nowhere_else() -> None:
    limits = parse_limits(ONE, "x")
    assert compared(answered(small_case(), (3, "EFAULT")), limits) == [("write", "result", "limit")]
    assert compared(answered(small_case(), (3, "EINVAL")), limits)[0][2] == "differs"
    elsewhere = parse_limits(ONE + 'mmus = ["x86-shadow"]\n', "x")
    assert compared(answered(small_case(), (3, "EFAULT")), elsewhere)[0][2] == "differs"
    later = parse_limits(ONE + "before = '^munmap'\n", "x")
    assert compared(answered(small_case(), (3, "EFAULT")), later)[0][2] == "differs"


def test_a_limit_that_spoils_ends_the_comparison() -> None:
    limits = parse_limits(ONE + "spoils = true\n", "x")
    theirs = answered(small_case(), (3, "EFAULT"), (5, "9"))
    assert compared(theirs, limits) == [("write", "result", "limit")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[limit]]\n", "needs a name"),
        ('[[limit]]\nname = "a"\n', "needs a reason"),
        ('[[limit]]\nname = "a"\nreason = "b"\n', "ops must be a list"),
        (ONE.replace('"write"', '"wriet"'), "'wriet' is not one of"),
        (ONE + 'colour = "red"\n', "colour is not one of"),
        (ONE.replace("'gfn=0'", "'('"), "is no regular expression"),
        (ONE + ONE, "two limits are called one"),
        ("[[limit", "limits.toml:"),
    ],
)
def test_a_wrong_file_of_limits_gets_one_line_that_says_what(text: str, says: str) -> None:
    with pytest.raises(LimitError) as error:
        parse_limits(text, "limits.toml")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_every_shipped_limit_speaks_of_single_values_and_gives_a_reason() -> None:
    for limit in shipped_limits().known:
        assert len(limit.reason) > 20
        narrowed = (limit.values.pattern, limit.model.pattern, limit.kernel.pattern, limit.before)
        assert narrowed != ("", ".*", ".*", None), f"{limit.name} is a blanket"


def test_a_model_conforms_to_itself() -> None:
    session = Session(Stand(STOCK), STOCK, TDP, Limits())
    assert session.run(cases_of(40)) == []
    tally = session.tally
    assert (tally.programs, tally.whole) == (40, 40)
    assert tally.total(Verdict.SAME) > 1000
    assert tally.total(Verdict.DIFFERS) == 0


def test_what_another_model_does_differently_is_found_made_small_and_can_be_run_again() -> None:
    """The patched kernel against the stock model: munmap() leaves the leaves."""
    session = Session(Stand(SEED), STOCK, TDP, Limits())
    differ = session.run(cases_of(60))
    assert differ
    for comparison in differ:
        first = comparison.first_difference
        assert first is not None
        again = round_robin(comparison.case)
        assert parse(format_program(again)) == again
        order = [(t.actor, t.op) for t in express.serial_cases("x", again)[0].order]
        assert [each for each in order if each[1] != Op("nop")] == [
            (t.actor, t.op) for t in comparison.case.order if t.op != Op("nop")
        ]
    smallest = min(differ, key=lambda each: len(each.case.order))
    assert len(smallest.case.order) <= 5


def test_nothing_more_can_be_left_out_of_what_was_made_small() -> None:
    bench = Stand(SEED)
    session = Session(bench, STOCK, TDP, Limits())
    for comparison in session.run(cases_of(40))[:3]:
        for at in range(len(comparison.case.order)):
            fewer = without(comparison.case, [at])
            first = session.look([fewer])[0].first_difference
            old = comparison.first_difference
            assert old is not None
            kind = comparison.case.order[old.at].op.name, old.about
            assert first is None or (fewer.order[first.at].op.name, first.about) != kind


class Moody(Stand):
    """Flushes once more the first time it is asked."""

    def run(self, cases: Sequence[Case]) -> list[BootResult]:
        boots = super().run(cases)
        if self.runs > 1:
            return boots
        change = {"remote_tlb_flush_requests": 1}
        results = tuple(
            replace(each, attempts=(_added(each.attempts[0], change),)) for each in boots[0].results
        )
        return [replace(boots[0], results=results)]


def _added(seen: tuple[Observation, ...], change: dict[str, int]) -> tuple[Observation, ...]:
    last = seen[-1]
    stats = {name: value + change.get(name, 0) for name, value in last.stats.items()}
    return (*seen[:-1], replace(last, stats=stats))


def test_flushes_that_a_kernel_does_only_sometimes_are_counted_as_unsteady() -> None:
    session = Session(Moody(STOCK), STOCK, TDP, Limits())
    assert session.run(cases_of(10)) == []
    assert session.tally.unsteady == 10


def test_answers_of_a_kernel_are_kept_and_belong_to_the_cases(tmp_path: Path) -> None:
    bench = Stand(STOCK)
    shelf = Shelf(tmp_path)
    cases = cases_of(100)
    first = Remembering(bench, "k", shelf).run(cases)
    again = Remembering(bench, "k", shelf)
    assert [b.results for b in again.run(cases)] == [b.results for b in first]
    assert (bench.runs, again.remembered) == (1, 100)
    Remembering(bench, "another", shelf).run(cases)
    Remembering(bench, "k", shelf, fresh=True).run(cases)
    Remembering(bench, "k", shelf).run(cases_of(100, seed=2))
    assert bench.runs == 4


def test_corpus_programs_become_cases_or_say_why_not() -> None:
    files = [
        "lab/lab_notes_table.prog",
        "errno/gmem_mmap_eperm.prog",
    ]
    programs = [(name, load(CORPORA / name)) for name in files]
    fails = program("vmm0:\n  fail_next what=folio\n")
    arm = replace(SMALL, profile=Profile("v7.2", "arm64"))
    cases, cannot = corpus_cases([*programs, ("f", fails), ("arm", arm)], DIRECT)
    assert [case.name for case in cases] == files
    assert {case.program.profile for case in cases} == {DIRECT}
    assert "on demand" in cannot["f"]
    assert "architecture" in cannot["arm"]


def test_the_table_has_a_row_for_every_op_and_marks_what_was_never_compared() -> None:
    session = Session(Stand(STOCK), STOCK, TDP, Limits())
    session.run(cases_of(20))
    out = io.StringIO()
    Console(file=out, width=120).print(table.by_op([session.tally]))
    rows = {
        line.split()[0]: line.split()[1:]
        for line in out.getvalue().splitlines()[2:]
        if line.strip()
    }
    assert set(OPS) <= set(rows)
    assert rows["fail_next"] == ["-"]
    results = session.tally.cell("read", counters=False)[Verdict.SAME]
    assert rows["read"][0].startswith(f"{results}+")
    assert "fail_next: because" in table.never_compared([session.tally], {"fail_next": "because"})


def test_differences_show_in_the_table_the_summary_and_the_json() -> None:
    session = Session(Stand(SEED), STOCK, TDP, Limits(), shrinks=False)
    assert session.run(cases_of(40))
    differs = session.tally.total(Verdict.DIFFERS)
    out = io.StringIO()
    Console(file=out, width=120).print(table.by_value([session.tally]))
    assert "!" in out.getvalue()
    assert f"{differs} without" in table.summary(session.tally)
    data = json.loads(json.dumps(session.tally.data()))
    assert sum(row["differs"] for row in data["values"]) == differs

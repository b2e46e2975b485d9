"""The C engine of a campaign: what it counts, what it hands to Python, and when the two differ."""

from __future__ import annotations

import ctypes
import json
import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from junitparser import JUnitXml

from fuzz.codec import random_program
from fuzz.finding import Kind, kinds_of
from fuzz.folder import PROGRAM, findings_in
from fuzz.folder import load as load_finding
from fuzz.harness import Harness, Look
from fuzz.judge import BOTH
from fuzz.overlay import load_model
from fuzz.port import engine as module
from fuzz.port.engine import OnDrift, PortHarness
from fuzz.port.finding import VERDICT, drift_finding
from fuzz.port.library import Port
from fuzz.port.lockstep import Drift
from fuzz.port.models import patch_model
from fuzz.port.pair import PAIRS_MAX, Pair
from fuzz.rules import PORT_DRIFT
from fuzz.text import load, parse
from fuzz.vocabulary import Program
from tests.ports import built, edited, port_of
from tests.unit import campaigns, samples
from tests.unit.campaigns import NOW
from tools import cli, exits
from tools.campaign.accept import Accepted
from tools.campaign.child.ledger import Ledger
from tools.campaign.layout import Layout
from tools.report.gather import gather
from tools.report.junit import to_junit
from tools.report.sarif import to_sarif

CORPORA: Final = Path(__file__).parents[2] / "corpora"
STOCK, SEED = load_model("stock"), load_model("seed")
STALE: Final = parse(samples.STALE)
AGREE: Final = parse(samples.AGREE)
EEXIST: Final = load(CORPORA / "errno" / "region_gfn_overlap_eexist.prog")
HIDDEN: Final = replace(load(CORPORA / "findings" / "gpc_gmem_slot__pte_changes.prog"), schedule=())
AGAINST: Final = Kind("stale-spte", "gmem-only prefetched leaf", "patched-only")


class Drifts(list[tuple[Program, Drift]]):
    """What on_drift was told."""

    def __call__(self, program: Program, drift: Drift) -> None:
        self.append((program, drift))


@pytest.fixture
def told() -> Drifts:
    return Drifts()


@cache  # probes in two models take a second
def shared() -> PortHarness:
    """The one harness of all tests here."""
    return PortHarness(STOCK, SEED, Pair(port_of("stock"), port_of("seed")))


@cache
def in_python() -> Harness:
    """A harness that runs Python alone."""
    return Harness(STOCK, SEED)


def harness_of(reference: Port, told: OnDrift | None = None) -> PortHarness:
    """The harness, fresh, with this reference port."""
    harness = shared()
    harness.pair = Pair(reference, port_of("seed"))
    harness.on_drift = told
    harness.executions = harness.steps = 0
    harness.recent.clear()
    harness.numbers.clear()
    return harness


@pytest.fixture
def harness(told: Drifts) -> PortHarness:
    """A harness over the two models of a campaign, which has seen nothing yet."""
    return harness_of(port_of("stock"), told)


def planted() -> Port:
    """The stock port, which here returns an error of another name."""
    return built(edited("kvm_main.c", "return -EEXIST;", "return -EEXIST - 1;"))


def fresh(number: int) -> Program:
    """Another program each time."""
    return random_program(random.Random(f"fresh {number}"), ops_min=6, ops_max=12)


def looked(harness: Harness, program: Program) -> list[tuple[Program, Look]]:
    """All looks at a program."""
    return list(harness.looks(program))


def kinds(looks: list[tuple[Program, Look]]) -> set[Kind]:
    """The kinds that were seen."""
    found = [look.judgement for _, look in looks if look.judgement is not None]
    return {kind for judgement in found for kind in kinds_of(judgement)}


def test_every_schedule_and_every_step_of_both_sides_is_counted(
    harness: PortHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCHEDULES", 1)
    monkeypatch.setattr(module, "SCHEDULES_MAX", 1)
    ours, theirs = in_python().run(AGREE).sides
    looked(harness, AGREE)
    assert (harness.executions, harness.steps) == (1, ours.steps + theirs.steps)
    monkeypatch.setattr(module, "SCHEDULES", 50)
    monkeypatch.setattr(module, "SCHEDULES_MAX", 50)
    looked(harness, AGREE)
    assert harness.executions == 51
    assert harness.steps > 25 * (ours.steps + theirs.steps)


def test_a_look_is_what_python_says_of_the_same_program(harness: PortHarness) -> None:
    looks = looked(harness, STALE)
    assert AGAINST in kinds(looks)
    for program, look in looks:
        expected = in_python().run(program)
        assert look.features == expected.features
        assert look.windows == expected.windows
        assert kinds([(program, look)]) == kinds([(program, expected)])


def test_a_finding_that_takes_a_schedule_comes_from_a_program_that_has_none(
    harness: PortHarness, told: Drifts
) -> None:
    assert in_python().run(HIDDEN).judgement is None
    looks = [look for _ in range(5) for look in looked(harness, HIDDEN)]
    assert ("stale-gpc", "patched-only") in {(kind.rule, kind.side) for kind in kinds(looks)}
    assert told == []


def test_of_what_is_only_new_one_is_looked_at_and_the_rest_is_remembered(
    harness: PortHarness,
) -> None:
    for number in range(100):  # until a program shows C more than one new thing
        harness.recent.clear()
        calm = [look for _, look in looked(harness, fresh(number)) if look.judgement is None]
        assert len(calm) <= module.FRESH_MAX
        if len(harness.recent) > module.FRESH_MAX:
            return
    raise AssertionError("nothing was new")


def test_a_program_beyond_the_limits_of_the_port_runs_in_python(harness: PortHarness) -> None:
    large = replace(STALE, setup=STALE.setup + parse(samples.AGREE).actors[0].ops[:1] * 128)
    looks = looked(harness, large)
    assert [program for program, _ in looks] == [large]
    assert AGAINST in kinds(looks)
    assert harness.executions == 1


@pytest.mark.slow
def test_a_program_beyond_the_limits_is_left_out_when_the_patch_exists_in_c_only(
    tmp_path: Path,
) -> None:
    port_of("seed")
    seed = Path(__file__).parents[2] / "patched" / "c" / "seed.patch"
    model = patch_model(str(seed))
    harness = PortHarness(STOCK, model, Pair(port_of("stock"), port_of("seed")))
    large = replace(STALE, setup=STALE.setup + parse(samples.AGREE).actors[0].ops[:1] * 128)
    assert looked(harness, large) == []
    assert AGAINST in kinds(looked(harness, STALE))


def test_libfuzzer_is_given_the_pairs_of_steps_that_c_saw(harness: PortHarness) -> None:
    regions = harness.native()
    assert (regions[0].start, regions[0].size) == (harness.pair.pairs, PAIRS_MAX)
    looked(harness, STALE)
    assert sum(ctypes.string_at(regions[0].start, PAIRS_MAX)) > 0


# Python and C differ.


def test_a_difference_between_python_and_c_is_told_with_the_program(told: Drifts) -> None:
    harness = harness_of(planted(), told)
    looked(harness, EEXIST)
    assert told
    program, drift = told[0]
    assert drift.model == "stock"
    assert "EEXIST" in drift.python
    assert "EEXIST" not in drift.c
    assert in_python().run(program).judgement is None  # neither side of Python is wrong


@pytest.mark.slow
def test_a_difference_is_told_of_the_patched_side_as_well(told: Drifts) -> None:
    harness = PortHarness(STOCK, STOCK, Pair(port_of("stock"), planted()), told)
    looked(harness, EEXIST)
    assert told
    assert "EEXIST" not in told[0][1].c


def test_without_a_difference_nothing_is_told(harness: PortHarness, told: Drifts) -> None:
    for program in (STALE, AGREE, EEXIST):
        looked(harness, program)
    assert told == []


@pytest.fixture
def drifted(tmp_path: Path, told: Drifts) -> Layout:
    """A campaign directory whose ledger was told of a difference."""
    layout = campaigns.make(tmp_path / "c")
    harness = harness_of(planted())
    ledger = Ledger(layout, 0, SEED)
    ledger.begin(harness, lambda programs: None)
    harness.on_drift = ledger.drifted
    looked(harness, EEXIST)
    return layout


def test_a_difference_becomes_a_finding_of_its_own_kind_and_reads_back(drifted: Layout) -> None:
    (folder,) = findings_in(drifted.findings)
    finding = load_finding(folder)
    assert (finding.kind.rule, finding.kind.side) == (PORT_DRIFT.slug, BOTH)
    assert finding.lines == ("both port-drift",)
    assert finding.verdict == VERDICT
    assert "Python and C differ" in finding.broken[0].text
    assert load(folder / PROGRAM).expect == ("both port-drift",)


def test_the_same_difference_is_one_finding_however_often_it_is_told(
    drifted: Layout, told: Drifts
) -> None:
    harness = harness_of(planted(), told)
    ledger = Ledger(drifted, 0, SEED)
    ledger.begin(harness, lambda programs: None)
    looked(harness, EEXIST)
    for program, drift in told:
        ledger.drifted(program, drift)
    assert len(list(findings_in(drifted.findings))) == 1


@pytest.mark.slow
def test_a_difference_is_listed_and_every_report_can_show_it(
    drifted: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(drifted.root)
    assert cli.main(["status", "-w", root]) == exits.CLEAN
    assert "port-drift" in capsys.readouterr().out
    campaign = gather(drifted.root, Accepted(), NOW)
    (entry,) = campaign.failing
    assert entry.finding is not None
    junit = JUnitXml.fromstring(to_junit(campaign).encode())
    assert [case.name for suite in junit for case in suite if "port-drift" in case.name]
    (run,) = json.loads(to_sarif(campaign, "1.2.3"))["runs"]
    assert [result["ruleId"] for result in run["results"]] == [PORT_DRIFT.slug]
    page = tmp_path / "page.html"
    assert cli.main(["report", "-w", root, "-o", str(page), "--check"]) == exits.FINDING
    assert "Python and C differ" in page.read_text(encoding="utf-8")


def test_a_step_that_differs_names_the_finding_and_the_outcome_does_so_too() -> None:
    at_step = Drift("seed", 7, "vmm0[1] do_munmap.x\nstate", "vmm0[1] do_munmap.y\nstate")
    at_end = Drift("stock", 0, "end finished", "end deadlock")
    sites = [drift_finding(AGREE, each, (STOCK, SEED)).kind.site for each in (at_step, at_end)]
    assert sites == ["seed: do_munmap.x", "stock: the outcome"]

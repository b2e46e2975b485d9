"""Feedback only listens; it sees who met whom, and where (test_determinism.py: always the same)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from fuzz.codec import random_program
from fuzz.execution import Execution, Plan, Run
from fuzz.feedback import Feature, Feedback
from fuzz.harness import COUNTERS, Harness
from fuzz.overlay import load_model
from fuzz.probes import PROBES_MAX
from fuzz.search import execute
from fuzz.text import load, parse
from fuzz.vocabulary import Program
from reference.features import PROFILES, Profile

ROOT = Path(__file__).parents[2]
STOCK = load_model("stock")
SEED = load_model("seed")

HEAD = """\
gmemdiff 1
profile: v7.2 x86-tdp
geometry: vcpus=2
setup:
  mmap hva=A len=8p share=private
  set_region slot=0 size=8p hva=A
"""


def listened(program: Program) -> tuple[Run, set[Feature]]:
    """A run on the reference, and its features."""
    features: set[Feature] = set()
    plan = Plan.of(program)
    watch = Feedback(False, program, features)
    watch.execution = Execution(STOCK.kvm, plan, watch, recorder=watch)
    return watch.execution.run(), features


def meets(actors: str) -> set[Feature]:
    """What met what in a program of these actors."""
    _, features = listened(parse(HEAD + actors))
    return {feature[1:] for feature in features if feature[0] == "meet"}


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_listening_changes_neither_what_happens_nor_what_is_broken(profile: Profile) -> None:
    rng = random.Random(str(profile))
    for _ in range(8):
        program = random_program(rng, profile, 6, 14)
        plain, (heard, _) = execute(STOCK, program), listened(program)
        assert plain.results == heard.results
        assert (plain.end, plain.steps, plain.stuck) == (heard.end, heard.steps, heard.stuck)
        assert plain.kvm.violations == heard.kvm.violations
        assert plain.where == heard.where


def test_two_actors_in_a_row_on_one_lock_meet() -> None:
    found = meets("vmm0:\n  mprotect hva=A len=1p prot=READ\nvmm1:\n  munmap hva=A len=1p\n")
    locked = [(one, two) for what, one, two in found if what == "mmap_lock"]
    assert len(locked) == 1
    assert locked[0][0].endswith(".mmap_lock")
    assert locked[0][1] == "do_munmap.mmap_lock"


def test_one_actor_alone_meets_nobody() -> None:
    ops = "  mprotect hva=A len=1p prot=READ\n  munmap hva=A len=1p\n"
    assert meets(f"vmm0:\n{ops}") == set()


def test_what_setup_did_is_no_meeting() -> None:
    assert meets("vcpu0:\n  read gfn=0\n") == set()


def test_two_vcpus_that_fault_on_one_page_meet_there_and_on_two_pages_do_not() -> None:
    point = "schedule:\n  vcpu0[0] at kvm_tdp_mmu_map.install#1 -> vcpu1\n"
    same = meets("vcpu0:\n  write gfn=0 value=1\nvcpu1:\n  write gfn=0 value=2\n" + point)
    apart = meets("vcpu0:\n  write gfn=0 value=1\nvcpu1:\n  write gfn=1 value=2\n" + point)
    assert {what for what, _, _ in same} >= {"gfn", "page"}
    assert {what for what, _, _ in apart} & {"gfn", "page"} == set()


def test_who_ran_while_another_stood_somewhere_is_a_feature() -> None:
    point = "schedule:\n  vcpu0[0] at kvm_mmu_faultin_pfn.mmu_seq#1 -> vmm0\n"
    program = HEAD + "vcpu0:\n  read gfn=0\nvmm0:\n  munmap hva=A len=8p\n"
    parked = ("parked", "kvm_mmu_faultin_pfn.mmu_seq", "vmm")
    assert parked in listened(parse(program + point))[1]
    assert parked not in listened(parse(program))[1]


def test_an_actor_that_waits_for_its_turn_between_two_ops_is_not_parked() -> None:
    _, features = listened(parse(HEAD + "vcpu0:\n  nop\n  nop\nvmm0:\n  nop\n  nop\n"))
    assert {feature for feature in features if feature[0] == "parked"} == set()


@pytest.fixture(scope="module")
def harness() -> Harness:
    """Both sides with probes, which take a while to make."""
    return Harness(STOCK, SEED)


@pytest.fixture(autouse=True)
def _forget(request: pytest.FixtureRequest) -> None:
    """No test sees the features and counters of another one."""
    if "harness" in request.fixturenames:
        shared: Harness = request.getfixturevalue("harness")
        shared.numbers.clear()
        shared.counters[:] = bytes(COUNTERS)


def test_the_harness_says_what_the_quick_look_says(harness: Harness) -> None:
    program = load(ROOT / "corpora" / "findings" / "prefetch_direct__stale_leaf.prog")
    look = harness.run(program)
    assert look.judgement is not None
    kinds = {feature[1:] for feature in look.features if feature[0] == "kind"}
    assert ("stale-spte", "gmem-only prefetched leaf", "patched-only") in kinds
    agreed = harness.run(parse(HEAD + "vcpu0:\n  read gfn=0\n"))
    assert agreed.judgement is None
    assert not {feature for feature in agreed.features if feature[0] == "kind"}


def test_each_feature_has_a_counter_of_its_own_behind_those_of_the_lines(harness: Harness) -> None:
    program = parse(HEAD + "vcpu0:\n  write gfn=0 value=1\nvmm0:\n  munmap hva=A len=8p\n")
    look = harness.run(program)
    on = {at for at in range(2 * PROBES_MAX, COUNTERS) if harness.counters[at]}
    assert on == set(range(2 * PROBES_MAX, 2 * PROBES_MAX + len(look.features)))
    harness.counters[:] = bytes(COUNTERS)
    harness.run(program)
    assert on == {at for at in range(2 * PROBES_MAX, COUNTERS) if harness.counters[at]}


def test_features_beyond_the_last_counter_share_it(harness: Harness) -> None:
    harness.numbers.update({("filler", str(n)): 0 for n in range(COUNTERS)})
    harness.run(parse(HEAD + "vcpu0:\n  write gfn=0 value=1\nvmm0:\n  munmap hva=A len=8p\n"))
    assert len(harness.counters) == COUNTERS
    assert harness.counters[-1] == 1

"""One run for two sides: only where nobody could tell."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from fuzz.codec import random_program
from fuzz.harness import Harness
from fuzz.judge import Judgement, compare, run_both
from fuzz.overlay import load_model
from fuzz.probes import PROBES_MAX
from fuzz.text import parse
from fuzz.twins import Twins
from fuzz.vocabulary import Program

STOCK = load_model("stock")
SEED = load_model("seed")
HEADER = "gmemdiff 1\nprofile: v7.2 x86-tdp\n"
GMEM_SLOT = """setup:
  create_gmem fd=gmem0 size=4p
  mmap hva=A len=4p fd=gmem0 share=shared
  set_region slot=0 size=4p hva=A flags=GUEST_MEMFD fd=gmem0
  mmap hva=B len=4p share=private
"""


def programs(count: int) -> list[Program]:
    rng = random.Random(7)
    return [random_program(rng, None, 2, 12) for _ in range(count)]


def words(judgement: Judgement | None) -> object:
    """All that a judgement says."""
    if judgement is None:
        return None
    return judgement.verdict, judgement.broken, judgement.differing, judgement.evidence


def test_one_run_says_what_two_runs_say() -> None:
    twins = Twins(STOCK, SEED)
    saved = 0
    for program in programs(120):
        ours, theirs = twins.run(program)
        saved += ours is theirs
        both = run_both(program, STOCK, SEED)
        assert words(compare(program, SEED, ours, theirs)) == words(compare(program, SEED, *both))
        for one, other in zip((ours, theirs), both, strict=True):
            assert (one.steps, one.end, one.results) == (other.steps, other.end, other.results)
            assert (one.taken, one.void, one.where) == (other.taken, other.void, other.where)
    assert 20 < saved < 100


def test_a_campaign_counts_the_same_with_one_run_as_with_two() -> None:
    one, two = Harness(STOCK, SEED), Harness(STOCK, replace(SEED, pure=False))
    for program in programs(60):
        looks = []
        for harness in (one, two):
            harness.counters[:] = bytes(len(harness.counters))
            looks.append(harness.run(program))
        assert one.counters[: 2 * PROBES_MAX] == two.counters[: 2 * PROBES_MAX]
        assert looks[0].features == looks[1].features
        assert words(looks[0].judgement) == words(looks[1].judgement)


def test_a_slot_that_the_patch_skips_needs_both_runs() -> None:
    twins = Twins(STOCK, SEED)
    ours, theirs = twins.run(parse(HEADER + GMEM_SLOT + "vmm0:\n  munmap hva=A len=4p\n"))
    assert ours is not theirs
    ours, theirs = twins.run(parse(HEADER + GMEM_SLOT + "vmm0:\n  munmap hva=B len=4p\n"))
    assert ours is theirs


def test_a_model_that_does_not_say_it_only_looks_is_run_on_both_sides() -> None:
    assert Twins(STOCK, SEED).asked == ("kvm_for_each_memslot_in_hva_range",)
    assert Twins(STOCK, load_model("mutants/no_flush")).asked == ()
    assert Twins(STOCK, load_model("mutants/seed_break")).asked == ()


def test_the_reference_against_itself_is_run_twice() -> None:
    ours, theirs = Twins(STOCK, STOCK).run(parse(HEADER + "vmm0:\n  nop\n"))
    assert ours is not theirs


@pytest.mark.parametrize(
    ("body", "same"),
    [
        ("return vcpu.requests != 0", True),
        ("return False", False),
    ],
)
def test_a_yes_or_no_question_is_put_to_both(tmp_path: Path, body: str, same: bool) -> None:
    overlay = tmp_path / "entry.py"
    overlay.write_text(f"PURE = True\n\n\ndef kvm_vcpu_exit_request(kvm, vcpu):\n    {body}\n")
    text = (
        HEADER
        + GMEM_SLOT
        + "vcpu0:\n  read gfn=0\n  read gfn=1\nvmm0:\n  nop\n  munmap hva=A len=4p\n"
        + "schedule:\n  vcpu0[1] at vcpu_enter_guest.mode#1 -> vmm0\n"
    )
    ours, theirs = Twins(STOCK, load_model(str(overlay))).run(parse(text))
    assert (ours is theirs) == same

"""The shrinker: what it gives is small, well-formed, the same finding, and the same every time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings

from fuzz import edit
from fuzz.codec import random_program
from fuzz.finding import kind_of
from fuzz.judge import Judgement, suspicious
from fuzz.overlay import Model, load_model
from fuzz.shrink.predicates import Shows
from fuzz.shrink.runner import passes_for, shrink
from fuzz.text import format_program, parse, validate
from fuzz.vocabulary import Program
from reference.features import Profile
from tests.strategies import decoded_programs

STOCK = load_model("stock")


def first_hit(model: Model, rule: str, profile: Profile) -> Judgement:
    """The first random program that breaks a rule on the patched side alone, as one finding."""
    rng = random.Random(11)
    for _ in range(20_000):
        program = random_program(rng, profile, ops_min=8, ops_max=16)
        found = suspicious(program, STOCK, model)
        for broken in found.broken if found is not None else ():
            if (broken.rule, broken.side) == (rule, "patched-only"):
                assert found is not None
                return Judgement(program, found.reference, found.patched, broken=[broken])
    raise AssertionError(f"no program breaks {rule} on {model.name}")


MINIMA = {
    ("mutants/delete_without_flush", "deleted-slot-spte"): """\
setup:
  mmap hva=A len=1p share=private
  set_region slot=0 size=1p hva=A
vcpu0:
  read gfn=0
vmm0:
  set_region slot=0 size=0p
""",
    ("mutants/no_clearing", "unzeroed"): """\
setup:
  create_gmem fd=gmem0 size=1p
  set_region slot=0 size=1p flags=GUEST_MEMFD fd=gmem0
vcpu0:
  read gfn=0
""",
    ("mutants/generation_stuck", "generation"): """\
setup:
  set_region slot=0 size=1p
  set_region slot=0 size=0p
""",
    ("mutants/gmem_mapped_readonly", "gmem-permission"): """\
setup:
  create_gmem fd=gmem0 size=1p
  set_region slot=0 size=1p flags=GUEST_MEMFD fd=gmem0
vcpu0:
  read gfn=0
""",
}


@pytest.mark.parametrize(("model", "rule"), MINIMA)
def test_a_random_hit_shrinks_to_no_more_ops_than_this(model: str, rule: str) -> None:
    patched = load_model(model)
    hit = first_hit(patched, rule, Profile("v7.2", "x86-tdp"))
    small = shrink(hit.program, Shows([kind_of(hit.broken[0])], STOCK, patched)).program
    best = parse(f"gmemdiff 1\nprofile: v7.2 x86-tdp\n{MINIMA[model, rule]}")
    assert edit.size(small)[:2] <= edit.size(best)[:2], format_program(small)


def test_shrinking_again_changes_nothing_and_gives_the_same_each_time() -> None:
    patched = load_model("mutants/no_flush")
    hit = first_hit(patched, "stale-spte", Profile("v7.2", "x86-tdp"))
    still = Shows([kind_of(hit.broken[0])], STOCK, patched)
    once = shrink(hit.program, still)
    assert once.minimal
    assert shrink(hit.program, still).program == once.program
    assert shrink(once.program, still).program == once.program
    again = suspicious(once.program, STOCK, patched)
    assert again is not None
    assert ("stale-spte", "patched-only") in {(b.rule, b.side) for b in again.broken}


@settings(max_examples=150, deadline=None)
@given(decoded_programs())
def test_every_candidate_of_every_pass_is_smaller_and_well_formed(program: Program) -> None:
    for one_pass in passes_for():
        for number, candidate in enumerate(one_pass(program)):
            if number > 20:
                break
            assert edit.size(candidate) < edit.size(program), one_pass.__name__
            names = {actor.name for actor in candidate.actors}
            assert all({p.actor, p.to} <= names for p in candidate.schedule)
            if candidate.actors:
                validate(candidate)


def test_the_attempts_are_bounded_and_it_says_when_they_ran_out() -> None:
    patched = load_model("mutants/no_flush")
    hit = first_hit(patched, "stale-spte", Profile("v7.2", "x86-tdp"))
    short = shrink(hit.program, Shows([kind_of(hit.broken[0])], STOCK, patched), attempts_max=5)
    assert not short.minimal
    assert sum(short.attempts.values()) == 5

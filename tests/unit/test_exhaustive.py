"""Bounded exhaustive exploration comes to what plain enumeration of all schedules comes to."""

from __future__ import annotations

import ctypes
import random
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fuzz.codec import random_program
from fuzz.execution import Run
from fuzz.outcome import final_state
from fuzz.overlay import load_model
from fuzz.port.build import ported_others
from fuzz.port.exhaustive import Survey
from fuzz.schedules import every_schedule
from fuzz.search import boundaries, execute
from fuzz.text import parse
from fuzz.vocabulary import Program
from reference.features import PROFILES
from tests.ports import explorer_of

RUNS_MAX: Final = 1500  # of a plain enumeration in a test


def in_order(value: Any) -> str:
    """A value's text, whatever the order of insertion."""
    return (
        repr(sorted(value.items() if isinstance(value, dict) else value))
        if isinstance(value, dict | frozenset)
        else repr(value)
    )


def shown(run: Run) -> Any:
    """All of a run that anybody can see, as something to compare."""
    final = sorted((name, in_order(value)) for name, value in final_state(run.kvm).items())
    results = tuple(sorted(run.results.items()))
    return run.end, frozenset(run.kvm.violations), results, tuple(final)


def plainly(program: Program, model: str, preemptions: int) -> tuple[dict[Any, int], int]:
    """Each outcome with the fewest preemptions that reach it, and how many schedules there are."""
    fewest: dict[Any, int] = {}
    count = 0
    for schedule, run in every_schedule(program, load_model(model), preemptions):
        fewest.setdefault(shown(run), len(schedule))
        count += 1
    return fewest, count


def replayed(program: Program, model: str, survey: Survey) -> dict[Any, int]:
    """The outcomes of an exploration, each run again in Python."""
    fewest: dict[Any, int] = {}
    for outcome in survey.outcomes.values():
        run = execute(load_model(model), replace(program, schedule=outcome.schedule))
        assert not run.void
        assert len(run.taken) == len(outcome.schedule)
        assert run.end.value == outcome.end
        key = shown(run)
        fewest[key] = min(len(outcome.schedule), fewest.get(key, 99))
    return fewest


def agree(program: Program, model: str, preemptions: int) -> None:
    """Exploring, reduced or not, and enumerating reach the same with the same fewest preemptions.

    Without the reduction, the schedules are those that were enumerated.
    """
    plain, schedules = plainly(program, model, preemptions)
    rules: dict[Any, int] = {}
    for outcome, k in plain.items():
        for rule in outcome[1]:
            rules[rule] = min(rules.get(rule, k), k)
    for reduced in (True, False):
        survey = explorer_of(model).explore(program, preemptions, reduced=reduced)
        assert survey.complete
        assert replayed(program, model, survey) == plain
        assert fewest_of(survey)[1] == rules
    assert survey.schedules == schedules
    assert not survey.left_out


def fewest_of(survey: Survey) -> tuple[dict[Any, int], dict[Any, int]]:
    """How many preemptions each outcome, and each broken rule, takes."""
    return (
        {key: len(outcome.schedule) for key, outcome in survey.outcomes.items()},
        {rule: len(schedule) for rule, schedule in survey.rules.items()},
    )


def reduction_loses_nothing(program: Program, model: str, preemptions: int) -> int:
    """With and without the reduction, the same is reached; returns how much was left out."""
    engine = explorer_of(model)
    library = engine.port.library
    library.gmemdiff_exhaust_check(ctypes.c_bool(True))
    try:
        reduced = engine.explore(program, preemptions)
        library.gmemdiff_exhaust_check(ctypes.c_bool(False))
        whole = engine.explore(program, preemptions, reduced=False)
    finally:
        library.gmemdiff_exhaust_check(ctypes.c_bool(False))
    assert reduced.complete
    assert whole.complete
    assert fewest_of(reduced) == fewest_of(whole)
    assert reduced.acted == whole.acted
    assert reduced.schedules <= whole.schedules
    return reduced.left_out


@st.composite
def small_programs(draw: st.DrawFn, preemptions: int) -> Program:
    """Random programs of a few ops, with few enough schedules to enumerate."""
    rng = draw(st.randoms(use_true_random=False))
    profile = draw(st.sampled_from(PROFILES))
    program = replace(random_program(rng, profile, 2, 6), schedule=())
    places = len(boundaries(program, load_model("seed"))) * (len(program.actors) - 1)
    assume(places**preemptions < RUNS_MAX)
    assume(len(program.actors) > 1)
    return program


PAGE_ONE = parse(
    """gmemdiff 1
profile: v6.18 x86-tdp
setup:
  create_gmem fd=gmem0 size=10p
  mmap hva=A len=10p fd=gmem0 share=shared
  set_region slot=0 gpa=16p size=10p hva=A flags=GUEST_MEMFD fd=gmem0
vmm0:
  set_region slot=0 size=0p
  set_region slot=0 gpa=16p size=10p hva=A flags=GUEST_MEMFD fd=gmem0
vcpu0:
  read gfn=17
"""
)


RACE = parse(
    """gmemdiff 1
profile: v7.2 x86-direct
setup:
  create_gmem fd=gmem0 size=8p
  mmap hva=A len=8p share=private
  set_region slot=0 size=8p hva=A flags=GUEST_MEMFD fd=gmem0
  user_write hva=A+1p value=1
vcpu0:
  write gfn=0 value=7
vmm0:
  munmap hva=A len=8p
  set_region slot=0 size=0p
kthread0:
  reclaim hva=A+1p
"""
)


def test_an_empty_page_cache_is_told_from_one_that_holds_page_one_with_nothing_in_it() -> None:
    survey = explorer_of("seed").explore(PAGE_ONE, 2)
    caches = {
        repr(final_state(execute(load_model("seed"), replace(PAGE_ONE, schedule=o.schedule)).kvm))
        for o in survey.outcomes.values()
    }
    assert any("gmem0': {}" in cache for cache in caches)
    assert any("gmem0': {1: 0}" in cache for cache in caches)
    assert len({o.final for o in survey.outcomes.values()}) == len(caches)


SETTINGS: Final = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


@given(program=small_programs(preemptions=1))
@settings(SETTINGS, max_examples=10)
def test_one_preemption_is_explored_as_it_is_enumerated(program: Program) -> None:
    for model in ("stock", "seed"):
        agree(program, model, 1)


def test_nothing_is_lost_by_the_reduction_on_programs_too_large_to_enumerate() -> None:
    rng = random.Random(4)
    left_out = 0
    for _ in range(8):
        program = replace(random_program(rng, rng.choice(PROFILES), 2, 5), schedule=())
        for model in ("stock", "seed"):
            left_out += reduction_loses_nothing(program, model, 2)
    assert left_out


@pytest.mark.slow
@pytest.mark.parametrize("model", ported_others()[::12])
def test_nothing_is_lost_by_the_reduction_on_other_models(model: str) -> None:
    rng = random.Random(model)
    for _ in range(6):
        program = replace(random_program(rng, rng.choice(PROFILES), 2, 6), schedule=())
        reduction_loses_nothing(program, model, 2)


@pytest.mark.slow
@given(program=small_programs(preemptions=2))
@settings(SETTINGS, max_examples=60)
def test_two_preemptions_are_explored_as_they_are_enumerated(program: Program) -> None:
    agree(program, "seed", 2)


@pytest.mark.slow
@given(program=small_programs(preemptions=3))
@settings(SETTINGS, max_examples=60)
def test_three_preemptions_are_explored_as_they_are_enumerated(program: Program) -> None:
    agree(program, "stock", 3)


@pytest.mark.parametrize("reduced", [True, False])
def test_a_search_that_was_stopped_within_a_bound_goes_on_where_it_was(reduced: bool) -> None:
    engine = explorer_of("seed")
    whole = engine.explore(RACE, 3, reduced=reduced)
    so_far = engine.explore(RACE, 3, lambda _: False, steps_at_once=300, reduced=reduced)
    assert so_far.preemptions == 3
    assert not (reduced and so_far.units)  # it has only learnt which words are shared
    sessions = 1
    while not so_far.complete:
        assert sessions < 1000
        units = so_far.units
        more = engine.explore(
            RACE, 3, lambda s, units=units: s.units <= units,  # type: ignore[misc]
            units=units, steps_at_once=2000, reduced=reduced,
        )  # fmt: skip
        more.add(so_far)
        assert more.complete or more.units > units
        so_far, sessions = more, sessions + 1
    assert sessions > 2
    assert fewest_of(so_far) == fewest_of(whole)
    assert so_far.skipped

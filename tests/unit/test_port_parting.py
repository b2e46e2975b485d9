"""Programs whose sides take different steps: that is seen, told, and worth more schedules."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

import pytest

from fuzz.codec import random_program
from fuzz.port.library import Port
from fuzz.port.pair import Explored, Pair, Why
from fuzz.text import parse
from fuzz.vocabulary import Program
from reference.features import Profile
from tests.ports import port_of
from tests.unit.test_port_pair import anew

TDP: Final = Profile("v7.2", "x86-tdp")
MUTANT: Final = "gpc_unlisted_first"  # other steps than stock, whenever a cache is deactivated
SCHEDULES: Final = 100


def program(vcpu_op: str) -> Program:
    return parse(
        f"""gmemdiff 1
profile: v7.2 x86-tdp
setup:
  mmap hva=A len=4p share=private
  set_region slot=0 size=4p hva=A
  user_write hva=A value=1
vcpu0:
  gpc_activate gpc=0 gpa=0p
  {vcpu_op}
vmm0:
  nop
  madvise hva=A len=1p advice=DONTNEED
"""
    )


DEACTIVATES: Final = program("gpc_deactivate gpc=0")
READS: Final = program("gpc_read gpc=0")


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """Stock and a mutant, loaded anew: nobody has seen anything yet."""
    patched = port_of(f"mutants/{MUTANT}")
    return Pair(anew(port_of("stock"), tmp_path), anew(patched, tmp_path))


def seen_many_that_do_not(pair: Pair) -> None:
    """Explore programs without caches, so that partings come to tell something."""
    rng, left = Random(1), 40
    while left:
        each = random_program(rng, TDP, 2, 6)
        if not any(op.name.startswith("gpc") for actor in each.actors for op in actor.ops):
            pair.explore_by("walk", 3, each, 1, 5)
            left -= 1


def parted(explored: Explored) -> list[Program]:
    return [found.program for found in explored.found if found.why & Why.PARTED]


def test_runs_that_take_other_steps_on_one_side_are_counted(pair: Pair) -> None:
    assert pair.explore(DEACTIVATES, 1, SCHEDULES).parted > 0
    assert pair.explore(READS, 1, SCHEDULES, 0).parted < SCHEDULES


def test_a_program_that_cannot_reach_the_patch_never_parts(pair: Pair) -> None:
    without = parse(
        "gmemdiff 1\nprofile: v7.2 x86-tdp\nsetup:\n  mmap hva=A len=1p share=private\n"
        "vmm0:\n  user_write hva=A value=1\nvmm1:\n  user_read hva=A\n"
    )
    assert pair.explore(without, 1, SCHEDULES).parted == 0


def test_parting_says_nothing_before_enough_programs_were_seen(pair: Pair) -> None:
    explored = pair.explore(DEACTIVATES, 1, SCHEDULES)
    assert not explored.telling
    assert not parted(explored)


def test_where_few_programs_part_one_that_does_is_told(pair: Pair) -> None:
    seen_many_that_do_not(pair)
    explored = pair.explore(DEACTIVATES, 1, SCHEDULES)
    assert explored.telling
    assert parted(explored)
    assert parted(pair.explore_by("walk", 3, DEACTIVATES, 2, 5))


def test_where_few_programs_part_one_that_does_gets_more_schedules(pair: Pair) -> None:
    seen_many_that_do_not(pair)
    assert pair.explore(DEACTIVATES, 1, SCHEDULES).runs > SCHEDULES


def test_the_same_parting_is_worth_less_each_time(pair: Pair) -> None:
    seen_many_that_do_not(pair)
    runs = [pair.explore(DEACTIVATES, 1, SCHEDULES).runs for _ in range(8)]
    assert runs[-1] < runs[0]


def test_where_all_programs_part_none_is_told(pair: Pair) -> None:
    for seed in range(60):
        pair.explore_by("walk", 3, DEACTIVATES, seed, 5)
    explored = pair.explore(DEACTIVATES, 1, SCHEDULES)
    assert not explored.telling
    assert not parted(explored)


def test_what_parted_in_c_takes_other_steps_when_it_is_run_again(pair: Pair) -> None:
    seen_many_that_do_not(pair)
    for each in parted(pair.explore(DEACTIVATES, 1, SCHEDULES)):
        names = [_steps(port, each) for port in (pair.reference, pair.patched)]
        assert names[0] != names[1]


def _steps(port: Port, program: Program) -> list[str]:
    port.load(program)
    port.run(traced=True)
    return [step.name for step in port.trace()]


def test_a_random_program_in_which_the_patch_does_not_act_gets_few_schedules(pair: Pair) -> None:
    assert pair.explore_by("walk", 3, READS, 1, 50, 10).runs == 10
    assert pair.explore_by("walk", 3, DEACTIVATES, 1, 50, 10).runs == 50

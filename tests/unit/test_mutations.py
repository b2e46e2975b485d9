"""Mutations and crossover: always a valid Program, always the same one, never more than asked."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.codec import random_program
from fuzz.mutation.around import insert_setup, punch_seen, shift_view
from fuzz.mutation.crossover import splice
from fuzz.mutation.mutator import Mutator
from fuzz.mutation.schedule import add_preemption, move_preemption
from fuzz.mutation.subject import ACTORS_MAX, PREEMPTIONS_MAX, SETUP_MAX, Mutation, Subject
from fuzz.mutation.table import MUTATIONS
from fuzz.overlay import load_model
from fuzz.search import Boundary, boundaries
from fuzz.text import parse, validate
from fuzz.vocabulary import Op, Program
from reference.features import PROFILES, Profile
from tests.strategies import decoded_programs, profiles

SEED = load_model("seed")
EVERY: Sequence[Mutation] = sorted(set(MUTATIONS), key=lambda mutation: mutation.__name__)
X86 = Profile("v7.2", "x86-tdp")

TWO = parse(
    """\
gmemdiff 1
profile: v7.2 x86-tdp
setup:
  mmap hva=A len=8p share=private
  set_region slot=0 size=8p hva=A
vcpu0:
  read gfn=0
  read gfn=1
  read gfn=2
vmm0:
  munmap hva=A len=1p
  munmap hva=A+1p len=1p
schedule:
  vcpu0[1] at hva_to_pfn.fast#1 -> vmm0
  vmm0[1] at unmap_vmas.zap_ptes#1 -> vcpu0
"""
)


def passed(program: Program) -> Sequence[Boundary]:
    """The steps a program passes."""
    return boundaries(program, SEED)


def count(program: Program) -> int:
    """Ops of all actors."""
    return sum(len(actor.ops) for actor in program.actors)


def preempted(program: Program) -> list[tuple[str, Op, str, str]]:
    """Actor, preempted op, step and target of each preemption."""
    ops = {actor.name: actor.ops for actor in program.actors}
    return [(p.actor, ops[p.actor][p.op], p.label, p.to) for p in program.schedule]


@settings(max_examples=60, deadline=None)
@given(
    decoded_programs(),
    st.integers(0, 1 << 32),
    st.lists(st.sampled_from(EVERY), min_size=1, max_size=12),
    st.lists(profiles(), min_size=1, max_size=3, unique=True),
)
def test_any_sequence_of_mutations_gives_programs_that_read_back(
    program: Program, seed: int, chosen: list[Mutation], allowed: list[Profile]
) -> None:
    program = replace(program, profile=allowed[0], vm="default")
    rng = random.Random(seed)
    places = passed(program)
    for mutation in chosen:
        changed = mutation(Subject(program, rng, allowed, places))
        if changed is None:
            continue
        validate(changed)
        assert changed.profile in allowed
        assert len(changed.actors) <= max(ACTORS_MAX, len(program.actors))
        assert len(changed.schedule) <= max(PREEMPTIONS_MAX, len(program.schedule))
        assert len(changed.setup) <= max(SETUP_MAX, len(program.setup))
        program = changed


@settings(max_examples=60, deadline=None)
@given(
    decoded_programs(), decoded_programs(), st.integers(0, 1 << 32), st.integers(1, 24), profiles()
)
def test_children_keep_to_the_profiles_and_sizes_asked_for(
    one: Program, two: Program, seed: int, ops_max: int, profile: Profile
) -> None:
    allowed = sorted({one.profile, profile}, key=str)
    mutator = Mutator(allowed, 1, ops_max, passed)
    for child in (
        mutator.mutate(one, random.Random(seed)),
        mutator.cross(one, two, random.Random(seed)),
        mutator.fresh(random.Random(seed)),
    ):
        validate(child)
        assert child.profile in allowed
        assert count(child) <= ops_max


@settings(max_examples=30, deadline=None)
@given(decoded_programs(), decoded_programs(), st.integers(0, 1 << 32))
def test_the_same_seed_gives_the_same_child(one: Program, two: Program, seed: int) -> None:
    mutator = Mutator(PROFILES, 2, 12, passed)
    children = [mutator.mutate(one, random.Random(seed)) for _ in range(2)]
    assert children[0] == children[1]
    children = [mutator.cross(one, two, random.Random(seed)) for _ in range(2)]
    assert children[0] == children[1]


def test_another_seed_gives_another_child() -> None:
    mutator = Mutator(PROFILES, 2, 12, passed)
    assert len({mutator.mutate(TWO, random.Random(seed)) for seed in range(40)}) > 30


@pytest.mark.parametrize("mutation", EVERY, ids=lambda mutation: str(mutation.__name__))
def test_each_mutation_applies_to_some_program_and_changes_it(mutation: Mutation) -> None:
    rng = random.Random(mutation.__name__)
    for _ in range(60):
        program = random_program(rng, ops_min=4, ops_max=12)
        changed = mutation(Subject(program, rng, PROFILES, passed(program)))
        if changed is not None and changed != program:
            return
    pytest.fail(f"{mutation.__name__} changed none of 60 programs")


@pytest.mark.parametrize("mutation", EVERY, ids=lambda mutation: str(mutation.__name__))
def test_each_mutation_stands_an_empty_program(mutation: Mutation) -> None:
    rng = random.Random(1)
    changed = mutation(Subject(Program(X86), rng, PROFILES, ()))
    if changed is not None:
        validate(changed)


def test_a_program_of_another_profile_is_not_changed_but_replaced() -> None:
    mutator = Mutator((X86,), 2, 4, passed)
    other = replace(TWO, profile=Profile("v7.2", "arm64"))
    for seed in range(10):
        child = mutator.mutate(other, random.Random(seed))
        assert child == mutator.fresh(random.Random(seed))


def test_without_a_program_there_is_a_fresh_one() -> None:
    mutator = Mutator((X86,), 3, 3, passed)
    child = mutator.mutate(None, random.Random(5))
    assert (child.profile, count(child)) == (X86, 3)


def test_most_new_preemptions_are_at_steps_that_the_program_passes() -> None:
    places = set(passed(TWO))
    rng = random.Random(6)
    hit = 0
    for _ in range(200):
        changed = add_preemption(Subject(TWO, rng, PROFILES, passed(TWO)))
        if changed is not None:
            new = changed.schedule[-1]
            assert new.to != new.actor
            hit += (new.actor, new.op, new.label, new.occurrence) in places
    assert hit > 150


def test_a_moved_preemption_stays_in_its_op() -> None:
    rng = random.Random(7)
    moved = [move_preemption(Subject(TWO, rng, PROFILES, passed(TWO))) for _ in range(60)]
    changed = [each for each in moved if each is not None]
    assert changed
    for each in changed:
        assert [(p.actor, p.op) for p in each.schedule] == [("vcpu0", 1), ("vmm0", 1)]


def test_the_setup_does_not_grow_for_ever() -> None:
    program, rng = TWO, random.Random(8)
    for _ in range(200):
        program = insert_setup(Subject(program, rng, PROFILES, ())) or program
    assert len(program.setup) == SETUP_MAX


@settings(max_examples=100, deadline=None)
@given(decoded_programs(), decoded_programs(), st.integers(0, 1 << 32))
def test_a_splice_is_a_valid_program_on_the_first_ones_ground(
    one: Program, two: Program, seed: int
) -> None:
    child = splice(one, two, random.Random(seed))
    validate(child)
    assert (child.profile, child.vm, child.setup) == (one.profile, one.vm, one.setup)
    assert len(child.actors) <= max(ACTORS_MAX, len(one.actors))


@settings(max_examples=100, deadline=None)
@given(decoded_programs(), decoded_programs(), st.integers(0, 1 << 32))
def test_a_splice_keeps_preemptions_on_the_ops_that_they_had(
    one: Program, two: Program, seed: int
) -> None:
    known = preempted(one) + preempted(two)
    assert all(point in known for point in preempted(splice(one, two, random.Random(seed))))


def test_a_splice_takes_from_both() -> None:
    other = replace(TWO, actors=tuple(replace(a, ops=(Op("nop"),) * 3) for a in TWO.actors))
    mixed = 0
    for seed in range(40):
        names = {op.name for a in splice(TWO, other, random.Random(seed)).actors for op in a.ops}
        mixed += "nop" in names and len(names) > 1
    assert mixed > 10


def test_findings_are_mutated_too_while_there_are_some() -> None:
    mutator = Mutator((X86,), 3, 3, passed)
    mutator.found = [TWO]
    one = random_program(random.Random(5), X86, 3, 3)
    rng = random.Random(1)
    children = [mutator.mutate(one, rng) for _ in range(200)]
    assert sum(child.setup == TWO.setup for child in children) > 5
    assert sum(child.setup == one.setup for child in children) > 5


GMEM = parse(
    """\
gmemdiff 1
profile: v7.2 x86-tdp
setup:
  create_gmem fd=gmem0 size=8p
  set_region slot=0 size=8p hva=A flags=GUEST_MEMFD fd=gmem0
vcpu0:
  read gfn=0
vmm0:
  nop
"""
)


def test_a_view_can_show_the_file_of_its_slot_at_another_offset() -> None:
    """Nothing in KVM checks that the user address of a gmem slot shows the slot's own pages."""
    offsets = set()
    for seed in range(40):
        changed = shift_view(Subject(GMEM, random.Random(seed), [X86], ()))
        if changed is not None:
            (view,) = [op for op in changed.setup if op.name == "mmap"]
            offsets.add(view.args[3] // 4096)
            assert view.args[:3] == (GMEM.setup[1].args[3], 8 * 4096, 0)
            validate(changed)
    assert offsets == {1, 2}, "before its start a file has no pages"


def test_a_punch_is_aimed_at_a_page_that_is_mapped() -> None:
    """Whatever else the VMM does, the page that it frees is one that a user address shows."""
    shifted = next(
        changed
        for seed in range(40)
        if (changed := shift_view(Subject(GMEM, random.Random(seed), [X86], ())))
    )
    (view,) = [op for op in shifted.setup if op.name == "mmap"]
    first = view.args[3] // 4096
    for seed in range(40):
        changed = punch_seen(Subject(shifted, random.Random(seed), [X86], ()))
        assert changed is not None
        (punch,) = [op for a in changed.actors for op in a.ops if op.name == "fallocate"]
        assert first <= punch.args[2] // 4096 < first + 8
    assert punch_seen(Subject(GMEM, random.Random(0), [X86], ())) is None, "nothing is mapped"

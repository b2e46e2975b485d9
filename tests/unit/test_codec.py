"""Bytes to Program: total, deterministic, and dense."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.codec import BYTES_PER_OP, LAYOUTS, OPS_MAX, OPS_MIN, decode, random_program
from fuzz.draws import DRAWS, op_table
from fuzz.labels import STEP_LABELS
from fuzz.text import format_program, parse, validate
from fuzz.tracker import ByteReader, World
from fuzz.vocabulary import FAILURES, OPS, PAGE, VMS, Op, Program
from reference.features import PROFILES, Profile
from tests.strategies import decoded_programs, profiles

TDP = Profile("v7.2", "x86-tdp")
ARM = Profile("v7.2", "arm64")
RUNS = 400


def some_programs(profile: Profile | None = None) -> list[Program]:
    rng = random.Random(1)
    return [random_program(rng, profile) for _ in range(RUNS)]


def actor_ops(program: Program) -> list[Op]:
    return [op for actor in program.actors for op in actor.ops]


def arg_of(op: Op, name: str) -> int:
    names = [arg.name for arg in OPS[op.name].args]
    return op.args[names.index(name)]


@given(st.binary(max_size=300))
def test_any_bytes_give_a_valid_program(data: bytes) -> None:
    program = decode(data)
    validate(program)
    assert parse(format_program(program)) == program


@given(st.binary(max_size=100))
def test_the_same_bytes_give_the_same_program(data: bytes) -> None:
    assert decode(data) == decode(bytes(data))


@given(st.binary(max_size=100), profiles(), st.integers(0, 40))
def test_profile_and_number_of_ops_can_be_forced(data: bytes, profile: Profile, ops: int) -> None:
    program = decode(data, profile, ops)
    validate(program)
    assert program.profile == profile
    assert len(actor_ops(program)) == ops


@given(st.binary(max_size=300))
def test_the_length_of_the_data_gives_the_number_of_ops(data: bytes) -> None:
    count = len(actor_ops(decode(data)))
    assert count == max(OPS_MIN, min(OPS_MAX, len(data) // BYTES_PER_OP))


def test_no_bytes_give_the_simplest_program() -> None:
    program = decode(b"")
    assert [actor.name for actor in program.actors] == ["vmm0", "vcpu0"]
    assert program.schedule == ()
    assert (program.vm, program.vcpus, len(program.setup)) == ("default", 1, 3)


@given(decoded_programs())
def test_a_preemption_names_a_label_of_its_op(program: Program) -> None:
    ops = {actor.name: actor.ops for actor in program.actors}
    places = [(at.actor, at.op, at.label, at.occurrence) for at in program.schedule]
    assert len(set(places)) == len(places)
    for at in program.schedule:
        assert at.label in STEP_LABELS[ops[at.actor][at.op].name]
        assert at.to in ops
        assert at.to != at.actor


@given(decoded_programs())
def test_the_address_space_is_torn_down_last(program: Program) -> None:
    for actor in program.actors:
        assert "exit_mm" not in [op.name for op in actor.ops[:-1]]


def test_setup_ops_do_not_depend_on_what_follows() -> None:
    data = bytes(range(1, 200))
    assert decode(data, ops=0).setup == decode(data, ops=9).setup


def test_random_programs_depend_on_the_seed_alone() -> None:
    first = random_program(random.Random(7))
    assert first == random_program(random.Random(7))
    assert first != random_program(random.Random(8))


def test_random_programs_keep_to_their_limits() -> None:
    rng = random.Random(2)
    programs = [random_program(rng, ARM, ops_min=3, ops_max=5) for _ in range(50)]
    assert {len(actor_ops(program)) for program in programs} == {3, 4, 5}
    assert {program.profile for program in programs} == {ARM}


def test_every_profile_layout_and_actor_count_is_drawn() -> None:
    programs = some_programs()
    assert {program.profile for program in programs} == set(PROFILES)
    assert {program.vm for program in programs} == set(VMS)
    assert {program.vcpus for program in programs} == {1, 2}
    assert {len(program.schedule) for program in programs} == {0, 1, 2, 3, 4}
    kinds = Counter(actor.kind for program in programs for actor in program.actors)
    assert min(kinds.values()) > RUNS // 2
    assert len(set(LAYOUTS)) == 9


def test_every_op_is_drawn() -> None:
    rng = random.Random(3)
    names = {op.name for _ in range(1500) for op in actor_ops(random_program(rng))}
    assert set(OPS) - names == set()
    assert set(DRAWS) == set(OPS)


def test_accesses_mostly_hit_a_slot() -> None:
    """Density: the guest page was given to a slot by an op somewhere in the program."""
    hits = total = 0
    for program in some_programs(TDP):
        slots = []
        for op in (*program.setup, *actor_ops(program)):
            if op.name in ("set_region", "set_region1") and arg_of(op, "size"):
                start = arg_of(op, "gpa") // PAGE
                slots.append(range(start, start + arg_of(op, "size") // PAGE))
        for op in actor_ops(program):
            if op.name in ("read", "write"):
                total += 1
                hits += any(arg_of(op, "gfn") in slot for slot in slots)
    assert hits > total * 9 // 10


def test_about_one_op_in_sixteen_is_hostile() -> None:
    """Measured on descriptors: no other choice than a hostile one gives a negative number."""
    fds = [
        arg_of(op, "fd")
        for program in some_programs(TDP)
        for op in actor_ops(program)
        if op.name in ("fallocate", "gmem_failure")
    ]
    bad = sum(fd < 0 for fd in fds)
    assert 0 < bad < len(fds) // 10


def test_ops_that_a_profile_lacks_are_rare() -> None:
    ops = [op.name for program in some_programs(ARM) for op in actor_ops(program)]
    lacking = [name for name in ops if name.startswith("gpc_") or name == "pre_fault"]
    assert len(lacking) < len(ops) // 20
    assert {program.vm for program in some_programs(ARM)} == {"default"}


@pytest.mark.parametrize("profile", PROFILES, ids=str)
@pytest.mark.parametrize("kind", ["vmm", "vcpu", "kthread"])
def test_one_byte_reaches_every_op_of_a_kind(profile: Profile, kind: str) -> None:
    for vm in VMS:
        table = op_table(kind, profile, vm)
        assert set(table) == {name for name, spec in OPS.items() if kind in spec.actors}
        assert {table[byte * len(table) >> 8] for byte in range(256)} == set(table)


def test_values_written_are_small_and_distinct() -> None:
    world = World(TDP, "default", ByteReader(b""))
    values = [world.fresh_value() for _ in range(255)]
    assert sorted(values) == list(range(1, 256))
    assert world.fresh_value() == 1


def test_the_reader_gives_zeros_after_its_end() -> None:
    reader = ByteReader(b"\x07")
    assert [reader.byte(), reader.byte(), reader.pick((5, 6)), reader.page(9)] == [7, 0, 5, 0]


def test_the_tracker_cuts_mappings_as_munmap_does() -> None:
    world = World(TDP, "default", ByteReader(b""))
    world.did_mmap((10 * PAGE, 8 * PAGE, 0, 2 * PAGE, 3, 1))
    world.did_munmap((12 * PAGE, 2 * PAGE))
    assert [(a.page, a.pages, a.offset) for a in world.areas] == [(10, 2, 2), (14, 4, 6)]
    world.did_mprotect((14 * PAGE, PAGE, 1))
    assert [(a.page, a.pages, a.prot) for a in world.areas] == [(10, 2, 3), (15, 3, 3), (14, 1, 1)]
    world.did_mremap((15 * PAGE, 3 * PAGE, 3 * PAGE, 40 * PAGE))
    assert [(a.page, a.pages, a.offset) for a in world.areas] == [
        (10, 2, 2),
        (14, 1, 6),
        (40, 3, 7),
    ]
    world.did_mremap((40 * PAGE, 3 * PAGE, PAGE, 0))
    assert [(a.page, a.pages) for a in world.areas] == [(10, 2), (14, 1), (40, 1)]


def test_the_tracker_remembers_deleted_slots() -> None:
    world = World(TDP, "default", ByteReader(b""))
    args = (1, 0, 4 * PAGE, 64 * PAGE, 0, -1, 0, 0)
    world.did_set_region(args)
    made = world.regions[0]
    world.did_set_region((1, 0, 0, 0, 0, -1, 0, 0))
    assert (world.regions, world.graves) == ([], [made])
    world.did_set_region(made.args())
    assert (world.regions, world.graves) == ([made], [])


def test_some_setups_have_an_allocation_that_fails_before_or_after_the_slots() -> None:
    places: Counter[str] = Counter()
    for program in some_programs(TDP):
        names = [op.name for op in program.setup]
        if "fail_next" in names:
            places["early" if names.index("fail_next") == 0 else "late"] += 1
    assert set(places) == {"early", "late"}
    assert RUNS / 32 < places.total() < RUNS / 8


def test_some_programs_have_a_guest_memfd_slot_of_smm_and_use_it_in_smm() -> None:
    slots = uses = 0
    for program in some_programs(TDP):
        made = [op for op in program.setup if op.name == "set_region" and arg_of(op, "as")]
        if not any(arg_of(op, "fd") >= 0 for op in made):
            continue
        slots += 1
        accesses = [op for op in actor_ops(program) if op.name in ("read", "write")]
        uses += any(arg_of(op, "smm") for op in accesses)
    assert slots
    assert uses


def test_a_slot_that_found_no_memory_is_tried_again() -> None:
    world = World(TDP, "default", ByteReader(b""))
    world.did_fail_next((FAILURES.index("metadata"),))
    slot = (0, 0, 8 * PAGE, 64 * PAGE, 0, -1, 0, 0)
    world.did_set_region(slot)
    assert [region.args() for region in world.graves] == [slot]
    assert not world.regions
    world.did_set_region(slot)
    assert [region.args() for region in world.regions] == [slot]

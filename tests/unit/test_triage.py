"""Triage: what a program shows is settled, made small and kept once; what it met is handed on."""

from __future__ import annotations

from dataclasses import replace

import pytest

import fuzz.triage
from fuzz import edit
from fuzz.execution import HarnessError
from fuzz.finding import Finding, Kind, kinds_of
from fuzz.judge import BOTH, PATCHED_ONLY, UNSETTLED, judge, suspicious
from fuzz.overlay import Model, load_model
from fuzz.reduce import Task, reduce
from fuzz.shrink.predicates import Shows
from fuzz.text import parse
from fuzz.triage import DRIFT_LOOKS, DRIFT_STRIDE, Memory, Triage, replayed, shows_on
from fuzz.vocabulary import Program
from reference.features import Profile
from tests.unit import samples

STOCK, SEED = load_model("stock"), load_model("seed")
STALE_SPTE = Kind("stale-spte", "gmem-only prefetched leaf", PATCHED_ONLY)
GMEM_BACKING = Kind("gmem-backing", "prefetched leaf", BOTH)


def follow(triage: Triage, program: Program, seen_as: Kind) -> fuzz.triage.FollowUp:
    return triage.follow(program, seen_as, triage.first_look(program))


@pytest.fixture(name="made", scope="module")
def _made() -> fuzz.triage.FollowUp:
    return follow(Triage(STOCK, SEED, 2000), parse(samples.STALE), STALE_SPTE)


def test_a_new_kind_becomes_a_finding_that_is_small_replayed_and_knows_its_profiles(
    made: fuzz.triage.FollowUp,
) -> None:
    assert made.kind == STALE_SPTE
    assert made.finding is not None
    assert made.finding.replayed == "1 of 1"
    assert made.finding.shows_on == ("v6.18 x86-direct", "v7.2 x86-direct", "v7.3 x86-direct")
    assert edit.size(made.finding.program)[0] == 6
    assert made.finding.ops_before == 7


def test_what_else_a_shrink_showed_is_handed_on_with_a_program_that_shows_it(
    made: fuzz.triage.FollowUp,
) -> None:
    others = dict(made.others)
    assert GMEM_BACKING in others
    for kind, program in others.items():
        again = suspicious(program, STOCK, SEED)
        assert again is not None
        assert kind in kinds_of(again)


def test_a_kept_kind_makes_no_second_finding() -> None:
    triage = Triage(STOCK, SEED, 2000)
    program = parse(samples.STALE)
    first = triage.first_look(program)
    assert triage.follow(program, STALE_SPTE, first).finding is not None
    assert STALE_SPTE in triage.memory.same
    again = triage.follow(program, STALE_SPTE, first)
    assert (again.kind, again.finding) == (STALE_SPTE, None)


def test_triage_of_the_same_program_gives_the_same_finding() -> None:
    program = parse(samples.STALE)
    made = [follow(Triage(STOCK, SEED, 500), program, GMEM_BACKING) for _ in range(2)]
    assert made[0] == made[1]
    assert made[0].finding is not None


def test_what_another_schedule_of_the_reference_does_too_is_no_finding() -> None:
    triage = Triage(STOCK, SEED, 500)
    none = follow(triage, parse(samples.STALE), Kind("equivalence", "final gpc", PATCHED_ONLY))
    assert (none.kind, none.finding) == (None, None)
    assert sum(triage.memory.vain.values()) == 1


def test_drift_is_looked_at_a_few_times_and_then_now_and_then() -> None:
    memory, looks = Memory(), 0
    for _ in range(DRIFT_LOOKS + 10 * DRIFT_STRIDE):
        if memory.worth(STALE_SPTE):
            looks += 1
            memory.vain[STALE_SPTE] += 1
    assert DRIFT_LOOKS + 8 <= looks <= DRIFT_LOOKS + 12


def test_what_is_known_reads_back_and_comes_in_order() -> None:
    memory = Memory(same={STALE_SPTE, GMEM_BACKING})
    memory.vain[GMEM_BACKING] = 3
    data = memory.to_json()
    assert data["kinds"] == sorted(data["kinds"])
    again = Memory.from_json(data)
    assert (again.same, again.vain) == (memory.same, memory.vain)


@pytest.mark.parametrize(
    "data", [None, [], {}, {"format": 2}, {"format": 1}, {"format": 1, "kinds": [1], "vain": []}]
)
def test_what_is_no_list_of_known_kinds_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match=r"format|kinds"):
        Memory.from_json(data)


def test_others_are_handed_on_once() -> None:
    memory = Memory(same={STALE_SPTE})
    program = parse(samples.STALE)
    assert memory.new([(STALE_SPTE, program), (GMEM_BACKING, program)]) == [(GMEM_BACKING, program)]
    assert memory.new([(GMEM_BACKING, program)]) == []


def test_a_text_that_does_not_show_its_finding_is_our_mistake(
    made: fuzz.triage.FollowUp,
) -> None:
    assert made.finding is not None
    wrong = replace(made.finding, program=parse(samples.AGREE))
    with pytest.raises(HarnessError, match="shows nothing when it is replayed"):
        replayed(wrong, STOCK, SEED)


def test_a_vm_type_that_a_profile_lacks_is_no_profile_it_shows_on() -> None:
    program = replace(parse(samples.AGREE), vm="sw-protected")
    assert shows_on(program, STALE_SPTE, STOCK, SEED) == ()


def test_a_crash_of_ours_on_a_candidate_does_not_lose_the_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import fuzz.shrink.predicates as predicates

    crashes = 0

    def brittle(program: Program, *models: Model) -> object:
        nonlocal crashes
        if len(program.setup) == 3:
            crashes += 1
            raise HarnessError("ours")
        return suspicious(program, *models)

    monkeypatch.setattr(predicates, "suspicious", brittle)
    done = follow(Triage(STOCK, SEED, 500), parse(samples.STALE), GMEM_BACKING)
    assert crashes
    assert done.finding is not None
    assert len(done.crashed) == crashes


def test_the_profile_moves_only_to_what_is_allowed_and_only_when_nothing_gets_larger() -> None:
    program = replace(parse(samples.STALE), profile=Profile("v7.3", "x86-direct"))
    for allowed, wanted in (
        ((), "v7.2 x86-direct"),
        ((Profile("v7.3", "x86-direct"), Profile("v7.3", "x86-tdp")), "v7.3 x86-direct"),
        ((Profile("v6.18", "x86-direct"), Profile("v7.3", "x86-direct")), "v7.3 x86-direct"),
    ):
        task = Task(GMEM_BACKING, GMEM_BACKING, STOCK, SEED, 500, allowed)
        small = reduce(program, task)
        assert small is not None
        assert str(small.judgement.program.profile) == wanted
        assert edit.size(small.judgement.program)[0] == 5


def test_the_smallest_program_that_showed_something_else_is_kept() -> None:
    shows = Shows([STALE_SPTE], STOCK, SEED)
    large = parse(samples.STALE)
    small = edit.without_ops(large, "vmm0", 0, 2)
    assert shows(large)
    assert not shows(small)
    assert shows.others[GMEM_BACKING] == small
    shows(large)
    assert shows.others[GMEM_BACKING] == small


def test_findings_written_before_they_said_where_they_show_can_still_be_read(
    made: fuzz.triage.FollowUp,
) -> None:
    from fuzz.folder import _from_json

    assert made.finding is not None
    data = made.finding.to_json()
    del data["replayed"], data["shows_on"]
    old: Finding = _from_json(data, "old")
    assert (old.replayed, old.shows_on) == ("", ())


def test_what_was_left_open_once_is_settled_by_the_next_program_that_can_be() -> None:
    program = parse(samples.STALE)
    look = suspicious(program, STOCK, SEED)
    assert look is not None
    seen_as = next(kind for kind in kinds_of(look) if kind.rule == "stale-spte")
    open_kind = Kind(seen_as.rule, seen_as.site, UNSETTLED)
    triage = Triage(STOCK, SEED, 10_000)
    triage.memory.kept.add(open_kind)
    first = judge(program, STOCK, SEED, 0)  # no schedule is tried: open
    assert open_kind in kinds_of(first)
    done = triage.follow(program, seen_as, first)
    assert done.finding is not None
    assert done.finding.kind == seen_as

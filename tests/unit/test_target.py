"""The fuzz target by itself: any bytes mean something, and what is not a program is refused."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz import target as module
from fuzz.codec import random_program
from fuzz.execution import HarnessError
from fuzz.finding import Kind
from fuzz.harness import Look
from fuzz.overlay import load_model
from fuzz.target import INPUT_BYTES_MAX, PatchFindingError, StopAtFinding, Target
from fuzz.text import format_program, load, parse
from fuzz.vocabulary import Program
from reference.features import PROFILES, Profile
from tests.strategies import mutated_texts, programs
from tests.unit.samples import AGREE, STALE, write

STOCK = load_model("stock")
SEED = load_model("seed")
X86 = Profile("v7.2", "x86-tdp")
CORPORA = Path(__file__).parents[2] / "corpora"
SEEN: list[Program] = []


def note(program: Program, look: Look) -> None:
    """A listener that keeps what was run."""
    SEEN.append(program)


TARGET = Target(STOCK, SEED, (), (2, 12), note)


def executed(data: bytes) -> list[Program]:
    """The programs that one input runs: one or none; what runs beside it is its own."""
    SEEN.clear()
    TARGET.harness.draw = None
    TARGET.test_one_input(data)
    return list(SEEN)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_run_or_refused_but_never_raise(data: bytes) -> None:
    refused = data.startswith((b"#", b"gmemdiff")) and not executed(data)
    assert refused or executed(data)


@settings(max_examples=50, deadline=None)
@given(mutated_texts())
def test_a_torn_or_edited_text_is_run_or_refused_but_never_raises(text: str) -> None:
    assert len(executed(text.encode("utf-8", "surrogatepass"))) <= 1


@pytest.mark.parametrize("data", [b"gmemdiff 1\n", b"# \xff\xfe", b"#", b"gmemdiff 1\nprofile: x"])
def test_a_text_that_is_no_program_is_not_executed(data: bytes) -> None:
    assert executed(data) == []


@settings(max_examples=40, deadline=None)
@given(programs())
def test_an_input_is_run_without_what_its_file_says_of_itself(program: Program) -> None:
    text = format_program(program)
    (run,) = executed(text.encode())
    bare = parse(format_program(run))
    assert (bare.title, bare.expect, bare.reference, bare.patched) == ((), (), "stock", "seed")
    assert all(not op.expect for actor in bare.actors for op in actor.ops)
    assert [len(actor.ops) for actor in bare.actors] == [len(a.ops) for a in program.actors]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=200), st.integers(0, 1 << 32))
def test_mutants_and_children_are_texts_of_programs(one: bytes, two: bytes, seed: int) -> None:
    for child in (
        TARGET.custom_mutator(one, INPUT_BYTES_MAX, seed),
        TARGET.custom_crossover(one, two, INPUT_BYTES_MAX, seed),
    ):
        text = child.decode("utf-8")
        assert format_program(parse(text)) == text
        assert executed(child) == [parse(text)]


def mutants_of(target: Target, data: bytes) -> list[bytes]:
    return [target.custom_mutator(data, INPUT_BYTES_MAX, seed) for seed in range(20)]


def test_the_same_seed_gives_the_same_mutant_whatever_was_parsed_before() -> None:
    used, fresh = (Target(STOCK, SEED, (), (2, 12), note) for _ in range(2))
    for length in range(0, 200, 10):
        used.program_of(bytes(range(length)))
    first = mutants_of(used, AGREE.encode())
    assert mutants_of(fresh, AGREE.encode()) == first
    assert len(set(first)) > 10


def test_programs_whose_sides_parted_are_mutated_beside_the_corpus() -> None:
    target = Target(STOCK, SEED, (), (2, 12), note)
    before = mutants_of(target, AGREE.encode())
    target.harness.parted.append(load(CORPORA / "findings/gpc_gmem_slot__v72.prog"))
    after = mutants_of(target, AGREE.encode())
    assert any(b"gpc" in text for text in after if text not in before)


def test_a_program_that_our_own_code_fails_on_can_still_be_mutated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Raised in the mutator, the error would end the process without a word on the program."""

    def fail(*_: object) -> None:
        raise HarnessError("injected")

    monkeypatch.setattr(module, "boundaries", fail)
    target = Target(STOCK, SEED, (), (2, 12), note)
    texts = [target.custom_mutator(AGREE.encode(), INPUT_BYTES_MAX, seed) for seed in range(9)]
    assert all(parse(text.decode()) for text in texts)


def test_a_mutant_that_does_not_fit_is_the_input_instead() -> None:
    data = AGREE.encode()
    assert all(len(TARGET.custom_mutator(data, 100, seed)) <= 100 for seed in range(20))
    assert TARGET.custom_mutator(data, len(data) - 1, 1)[:50] == data[:50]


def test_a_target_for_one_profile_runs_and_draws_only_that(tmp_path: Path) -> None:
    target = Target(STOCK, SEED, (X86,), (2, 4), note)
    rng = random.Random(3)
    SEEN.clear()
    for seed in range(30):
        data = target.custom_mutator(rng.randbytes(40), INPUT_BYTES_MAX, seed)
        target.test_one_input(data)
        target.test_one_input(rng.randbytes(40))
    assert {program.profile for program in SEEN} == {X86}


def test_the_memory_of_parsed_inputs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROGRAMS_KEPT", 8)
    target = Target(STOCK, SEED, (), (2, 4), note)
    rng = random.Random(4)
    for seed in range(40):
        data = format_program(random_program(rng, ops_min=2, ops_max=3)).encode()
        target.custom_mutator(data, INPUT_BYTES_MAX, seed)
    assert len(target._programs) <= 8
    assert len(target._passed) <= 8


def test_mutants_that_were_only_run_are_not_remembered() -> None:
    target = Target(STOCK, SEED, (), (2, 4), note)
    for seed in range(20):
        target.test_one_input(target.custom_mutator(AGREE.encode(), INPUT_BYTES_MAX, seed))
    assert list(target._programs) == [AGREE.encode()]
    assert len(target._passed) == 1


def test_it_stops_at_what_speaks_against_the_patch_with_the_report() -> None:
    stop = Target(STOCK, SEED, (), (2, 12), StopAtFinding(STOCK, SEED))
    with pytest.raises(PatchFindingError, match="patched-only stale-spte") as caught:
        stop.test_one_input(STALE.encode())
    assert "munmap hva=A" in str(caught.value)


def test_it_goes_on_past_what_both_sides_break_and_what_the_reference_can_do_too() -> None:
    stop = Target(STOCK, SEED, (), (2, 12), StopAtFinding(STOCK, SEED))
    both = load(CORPORA / "findings" / "punch_versus_memory_failure__deadlock.prog")
    assert all(line.startswith("both ") for line in both.expect)
    stop.test_one_input(format_program(both).encode())
    stop.test_one_input(AGREE.encode())


def test_a_patch_that_breaks_nothing_is_never_stopped_at() -> None:
    stop = Target(STOCK, STOCK, (), (2, 12), StopAtFinding(STOCK, STOCK))
    stop.test_one_input(STALE.encode())
    rng = random.Random(5)
    for _ in range(50):
        stop.test_one_input(rng.randbytes(60))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("GMEMDIFF_PATCHED", "sed", "unknown model 'sed'; did you mean 'seed'?"),
        ("GMEMDIFF_REFERENCE", "nothing.py", "nothing.py:1:1: cannot be read"),
        ("GMEMDIFF_PROFILES", "v7.2 x86", "GMEMDIFF_PROFILES: 'v7.2 x86' is none of"),
        ("GMEMDIFF_OPS", "12..2", "GMEMDIFF_OPS: write for example 2..12"),
        ("GMEMDIFF_OPS", "0..2", "GMEMDIFF_OPS: write for example 2..12"),
        ("GMEMDIFF_OPS", "5", "GMEMDIFF_OPS: write for example 2..12"),
    ],
)
def test_a_wrong_environment_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    message: str,
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["target"])
    assert module.main() == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1


def test_the_environment_says_what_is_fuzzed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GMEMDIFF_PROFILES", "v7.2 x86-tdp, v7.3 arm64")
    monkeypatch.setenv("GMEMDIFF_OPS", "3..5")
    target = module._from_environment()
    assert [str(profile) for profile in target.profiles] == ["v7.2 x86-tdp", "v7.3 arm64"]
    assert (target.mutator.ops_min, target.mutator.ops_max) == (3, 5)
    monkeypatch.delenv("GMEMDIFF_PROFILES")
    assert module._from_environment().profiles == PROFILES


def test_an_input_file_that_is_no_program_is_refused_by_line_and_column(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write(tmp_path, "wrong.prog", AGREE.replace("user_write", "user_wrote"))
    monkeypatch.setattr(sys, "argv", ["target", path])
    assert module.main() == 2
    assert capsys.readouterr().err.startswith(f"{path}:6:3: ")


def test_merging_folders_without_a_program_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    write(tmp_path, "in/torn", "gmemdiff 1\nprof")
    argv = ["target", "-merge=1", str(tmp_path / "out"), str(tmp_path / "in")]
    monkeypatch.setattr(sys, "argv", argv)
    assert module.main() == 5
    assert "no program to merge" in capsys.readouterr().err


def test_kinds_are_features_so_that_each_enters_the_corpus() -> None:
    looks: list[Look] = []
    target = Target(STOCK, SEED, (), (2, 12), lambda program, look: looks.append(look))
    target.test_one_input(STALE.encode())
    kinds = {Kind(*feature[1:]) for feature in looks[0].features if feature[0] == "kind"}
    assert Kind("stale-spte", "gmem-only prefetched leaf", "patched-only") in kinds

"""Exploring in C: what is found, that it is true in Python, and that it can be repeated."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from fuzz.judge import BOTH, EQUIVALENCE, Judgement, suspicious
from fuzz.overlay import Model, load_model
from fuzz.port.library import Port
from fuzz.port.pair import Found, Pair, Why
from fuzz.text import format_program, load, parse, validate
from fuzz.vocabulary import Program
from tests.ports import built, edited, port_of

ROOT: Final = Path(__file__).parents[2]
CORPORA: Final = ROOT / "corpora"
# Programs that show nothing without their schedule, and what they break with it.
HIDDEN: Final = (
    ("findings/gpc_gmem_slot__pte_changes", "patched-only", "stale-gpc"),
    ("findings/gpc_gmem_slot__punched", "patched-only", "use-after-free"),
    ("findings/gpc_gmem_slot__v618", "patched-only", "stale-gpc"),
    ("findings/gpc_hva_no_slot__v72", "both", "stale-gpc"),
    ("findings/prefetch_direct__during_invalidation", "patched-only", "stale-spte"),
    ("findings/punch_versus_memory_failure__deadlock", "both", "deadlock"),
    ("findings/unbind_of_dying_file__v72", "both", "bindings-changed"),
)
# Mistakes of patched/mutants/ carried over to C: file, what is there, what is there instead.
MISTAKES: Final = {
    "no_seq_bump": ("kvm_main.c", "\tkvm->mmu_invalidate_seq++;\n", ""),
    "retry_ignores_in_progress": (
        "kvm_main.c",
        "return kvm->mmu_invalidate_in_progress > 0 || ",
        "return ",
    ),
}
# Programs of which some schedule differs without a broken rule.
DIFFERING: Final = (
    "errno/get_pfn_mapping_keeps_file.prog",
    "windows/memory_failure_during_fault.prog",
)
TOLD_EACH: Final = 4  # of fuzz/c/explore.c: after that, only powers of two
SEEDS: Final = 20


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """The stock port and the seed's, loaded anew: to these, nothing is old yet."""
    return Pair(anew(port_of("stock"), tmp_path), anew(port_of("seed"), tmp_path))


def anew(port: Port, folder: Path) -> Port:
    """The same port with memory of its own."""
    copy = folder / port.path.name
    shutil.copyfile(port.path, copy)
    return Port(copy, port.survival)


def bare(name: str) -> Program:
    """A program of the corpora without its schedule."""
    return replace(load(CORPORA / f"{name}.prog"), schedule=())


def found_in(pair: Pair, program: Program, seeds: int = SEEDS, schedules: int = 200) -> list[Found]:
    """What exploring a program with some seeds finds."""
    return [f for seed in range(seeds) for f in pair.explore(program, seed, schedules).found]


def in_python(found: Found, models: tuple[Model, Model]) -> Judgement | None:
    """What Python says of the same schedule."""
    return suspicious(found.program, *models)


def broken(judgement: Judgement | None) -> frozenset[tuple[str, str, str]]:
    """Rules, sites and sides; differences that come with them are no rule."""
    rules = judgement.broken if judgement is not None else []
    return frozenset((b.rule, b.site, b.side) for b in rules if b.rule != EQUIVALENCE)


@pytest.mark.parametrize(("name", "side", "rule"), HIDDEN)
def test_a_schedule_that_breaks_a_rule_is_found_again(
    pair: Pair, name: str, side: str, rule: str
) -> None:
    program, models = bare(name), (load_model("stock"), load_model("seed"))
    assert suspicious(program, *models) is None, "shows it without a schedule, too"
    kinds = {
        (b_side, b_rule)
        for found in found_in(pair, program)
        if found.why & Why.BROKEN
        for b_rule, _, b_side in broken(in_python(found, models))
    }
    assert (side, rule) in kinds


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_c_is_found_and_the_same_mistake_in_python_breaks_the_same(
    name: str,
) -> None:
    program = bare(f"mutants/{name}")
    pair = Pair(port_of("stock"), built(edited(*MISTAKES[name])))
    models = load_model("stock"), load_model(f"mutants/{name}")
    without = {rule for rule, _, _ in broken(suspicious(program, *models))}
    assert "stale-install" not in without, "shows it without a schedule, too"
    rules = set()
    for found in found_in(pair, program):
        if found.why & Why.BROKEN:
            mine = {rule for rule, _, _ in broken(in_python(found, models))}
            assert mine, format_program(found.program)
            rules |= mine
    assert "stale-install" in rules


def test_what_is_found_is_a_program_and_python_says_of_it_what_c_says(pair: Pair) -> None:
    models = load_model("stock"), load_model("seed")
    told = Counter[object]()  # a rule that was told often enough is not told again
    whys = Counter[Why]()
    files = [CORPORA / name for name in DIFFERING]
    files += sorted(CORPORA.rglob("*.prog"))[::12]
    for path in files:
        for found in pair.explore(load(path), 7, 60).found:
            text = format_program(found.program)
            validate(found.program)
            assert parse(text) == found.program
            judgement = in_python(found, models)
            rules = broken(judgement)
            differs = judgement is not None and not rules and bool(judgement.differing)
            kind = rules or differs
            assert bool(found.why & Why.BROKEN) <= bool(rules), text
            assert bool(found.why & Why.DIFFERS) <= differs, text
            assert not found.why & Why.FAILED, text
            if kind and not found.why & (Why.BROKEN | Why.DIFFERS):
                assert told[kind] >= TOLD_EACH, text
            told[kind] += bool(found.why & (Why.BROKEN | Why.DIFFERS))
            whys.update(found.why)
    assert set(whys) - {Why.PARTED} == {Why.FRESH, Why.BROKEN, Why.DIFFERS}


class _Side(ctypes.Structure):
    """struct side of fuzz/c/explore.h."""

    _fields_ = [("program_size", ctypes.c_size_t)]
    _fields_ += [
        (name, ctypes.c_void_p)
        for name in (
            "execute", "execute_again", "visible_of", "visible_backing",
            "label_id", "nr_labels", "label_name", "program",
        )
    ]  # fmt: skip


def run_again(port: Port) -> None:
    """Run the program that was loaded last from what the setup of the one before it left."""
    pointer = ctypes.CFUNCTYPE(ctypes.c_void_p)
    side = _Side.from_address(pointer(("gmemdiff_side", port.library))())
    again = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(side.execute_again)
    again(pointer(side.program)())


@pytest.mark.parametrize("folder", ["errno", "findings", "table_e", "windows"])
@pytest.mark.parametrize("model", ["stock", "seed"])
def test_running_from_the_setup_that_was_kept_is_running_from_the_start(
    pair: Pair, model: str, folder: str
) -> None:
    port = port_of(model)
    seen = 0
    for path in sorted((CORPORA / folder).glob("*.prog"))[::3]:
        program = load(path)
        for found in pair.explore(program, 11, 100).found:
            port.load(found.program)
            port.run()
            expected = port.outcome()
            port.load(program)
            port.run()
            port.load(found.program)
            run_again(port)
            assert port.outcome() == expected, format_program(found.program)
            run_again(port)
            assert port.outcome() == expected, format_program(found.program)
            seen += bool(found.program.setup)
    assert seen


def explored_text() -> str:
    """Everything that exploring some programs finds, in a process of its own."""
    pair = Pair(port_of("stock"), port_of("seed"))
    programs = [bare(name) for name, _, _ in HIDDEN]
    return "\n".join(
        f"{found.why} {format_program(found.program)}"
        for program in programs
        for found in found_in(pair, program, seeds=2)
    )


@pytest.mark.slow
def test_the_same_program_and_seed_find_the_same_in_another_process() -> None:
    port_of("seed")
    code = "from tests.unit import test_port_pair as t; print(t.explored_text())"
    texts = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert texts[0] == texts[1]
    assert texts[0].count("gmemdiff 1") > len(HIDDEN)


def test_stock_against_stock_finds_only_what_both_sides_break(tmp_path: Path) -> None:
    port = anew(port_of("stock"), tmp_path)
    pair = Pair(port, port)
    assert pair.reference.path != pair.patched.path
    stock = load_model("stock")
    sides = Counter[str]()
    for name, _, _ in HIDDEN:
        for found in found_in(pair, bare(name), seeds=5):
            assert not found.why & (Why.DIFFERS | Why.FAILED)
            judgement = in_python(found, (stock, stock))
            sides.update(side for _, _, side in broken(judgement))
            assert bool(found.why & Why.BROKEN) <= bool(broken(judgement))
    assert set(sides) == {BOTH}


@pytest.mark.slow
def test_a_port_that_was_built_with_other_limits_does_not_fit() -> None:
    other = built(edited("shim.h", "#define TASKS_MAX 16", "#define TASKS_MAX 12"))
    with pytest.raises(ValueError, match="different limits"):
        Pair(port_of("stock"), other)


def test_a_program_that_shows_nothing_new_gets_more_schedules(pair: Pair) -> None:
    program = bare("findings/gpc_hva_no_slot__v72")
    first = pair.explore(program, 1, 20, 300)
    assert (first.runs, bool(first.found)) == (20, True)
    again = pair.explore(replace(program, setup=program.setup[:1], actors=()), 1, 20, 300)
    assert (again.runs, again.found) == (300, ())


def test_what_is_only_new_leaves_room_for_what_is_bad(pair: Pair) -> None:
    found = [f for name, _, _ in HIDDEN for f in pair.explore(bare(name), 3, 2_000).found]
    whys = Counter(f.why == Why.FRESH for f in found)
    assert whys[True] <= 16 * len(HIDDEN)
    assert whys[False] > 0

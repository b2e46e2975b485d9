"""Probes: they change nothing, they stand for every line, and they tell where a run went."""

from __future__ import annotations

import ast
import linecache
import random
from pathlib import Path

import pytest

from fuzz.codec import random_program
from fuzz.overlay import Model, load_model
from fuzz.probes import PROBES_MAX, Place, Probes, model_functions, source_of
from fuzz.search import execute
from fuzz.text import parse
from fuzz.timeline import trace_text
from reference.features import PROFILES, Profile
from tests.unit.samples import write

STOCK = load_model("stock")
SEED = load_model("seed")
HITS = bytearray(2 * PROBES_MAX)
STOCK_PROBES = Probes(STOCK, HITS)
SEED_PROBES = Probes(SEED, HITS, PROBES_MAX)

YOUNG = """\
gmemdiff 1
profile: v7.2 x86-tdp
setup:
  mmap hva=A len=1p share=private
  set_region slot=0 size=1p hva=A
  user_write hva=A value=1
kthread0:
  {op} hva=A
"""
BRANCH = """\
def young_leaves(kvm, gfn_range, clear):
    if clear:
        return True
    return False
"""


def lines_run(probes: Probes, text: str) -> set[tuple[str, int]]:
    """File and line of everything that a program's run passes."""
    probes.hits[:] = bytes(len(probes.hits))
    execute(probes.model, parse(text))
    return {
        (Path(place.filename).name, line)
        for number, place in enumerate(probes.places)
        if probes.hits[probes.first + number]
        for line in place.lines
    }


@pytest.mark.parametrize("profile", PROFILES, ids=str)
@pytest.mark.parametrize(("model", "probes"), [(STOCK, STOCK_PROBES), (SEED, SEED_PROBES)])
def test_a_model_with_probes_gives_the_same_traces(
    model: Model, probes: Probes, profile: Profile
) -> None:
    rng = random.Random(str(profile))
    for _ in range(4):
        program = random_program(rng, profile, 6, 12)
        assert trace_text(program, probes.model) == trace_text(program, model)


def test_every_statement_of_every_model_function_belongs_to_a_probe() -> None:
    known = {(place.filename, line) for place in SEED_PROBES.places for line in place.lines}
    for _, function in model_functions(SEED):
        tree, filename = source_of(function)
        assert isinstance(tree.body[0], ast.FunctionDef)
        for node in ast.walk(tree.body[0]):
            if not isinstance(node, ast.stmt) or node is tree.body[0] or is_text(node):
                continue
            assert (filename, node.lineno) in known, f"{filename}:{node.lineno}"


def is_text(node: ast.stmt) -> bool:
    """Whether a statement is a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_each_probe_stands_where_its_file_has_its_function() -> None:
    for place in STOCK_PROBES.places:
        head = linecache.getlines(place.filename)[: place.lines[0]]
        assert any(line.startswith(f"def {place.function}(") for line in head), place


def test_the_models_leave_room_for_more_probes() -> None:
    assert 1000 < len(STOCK_PROBES.places) < PROBES_MAX / 2


def test_a_branch_has_a_probe_that_fires_only_when_it_is_taken(tmp_path: Path) -> None:
    probes = Probes(load_model(write(tmp_path, "mine.py", BRANCH)))
    taken = lines_run(probes, YOUNG.format(op="clear_young"))
    assert {("mine.py", 2), ("mine.py", 3)} <= taken
    assert ("mine.py", 4) not in taken
    other = lines_run(probes, YOUNG.format(op="test_young"))
    assert {("mine.py", 2), ("mine.py", 4)} <= other
    assert ("mine.py", 3) not in other


def test_code_after_a_block_that_may_not_come_back_has_a_probe_of_its_own(tmp_path: Path) -> None:
    text = BRANCH.replace("    return False", "    kvm.mmu_invalidate_seq += 0\n    return False")
    probes = Probes(load_model(write(tmp_path, "mine.py", text)))
    mine = [place.lines for place in probes.places if place.filename.endswith("mine.py")]
    assert sorted(mine) == [(2,), (3,), (4, 5)]


def test_an_edited_function_is_shown_where_the_original_stands(tmp_path: Path) -> None:
    edit = ("young_leaves", "    young = False\n", "    young = True\n")
    text = f'BASE = "seed"\nEDITS = ({edit!r},)\n'
    model = load_model(write(tmp_path, "mine.py", text))
    probes = Probes(model)
    (original,) = {p.filename for p in STOCK_PROBES.places if p.function == "young_leaves"}
    files = {place.filename for place in probes.places if place.function == "young_leaves"}
    assert files == {original}
    assert lines_run(probes, YOUNG.format(op="test_young"))
    (patched,) = {
        Path(p.filename).name
        for p in probes.places
        if p.function == "kvm_for_each_memslot_in_hva_range"
    }
    assert patched == "seed.py"


def test_two_sides_with_shared_bytes_stay_apart() -> None:
    end = PROBES_MAX + len(SEED_PROBES.places)
    HITS[:] = bytes(len(HITS))
    execute(STOCK_PROBES.model, parse(YOUNG.format(op="test_young")))
    assert any(HITS[:PROBES_MAX])
    assert not any(HITS[PROBES_MAX:])
    HITS[:] = bytes(len(HITS))
    execute(SEED_PROBES.model, parse(YOUNG.format(op="test_young")))
    assert not any(HITS[:PROBES_MAX])
    assert any(HITS[PROBES_MAX:end])
    assert not any(HITS[end:])


def test_the_plain_model_touches_no_bytes() -> None:
    HITS[:] = bytes(len(HITS))
    execute(STOCK, parse(YOUNG.format(op="test_young")))
    assert not any(HITS)


def test_probes_of_one_model_are_the_same_each_time() -> None:
    assert Probes(SEED).places == SEED_PROBES.places
    assert all(isinstance(place, Place) for place in SEED_PROBES.places)


@pytest.mark.parametrize(
    "text",
    [
        "young_leaves = lambda kvm, gfn_range, clear: False\n",
        "import functools\n"
        "def _twice(function):\n"
        "    @functools.wraps(function)\n"
        "    def both(*args, **named):\n"
        "        return function(*args, **named) or function(*args, **named)\n"
        "    return both\n"
        "@_twice\n" + BRANCH,
        "def _made(answer):\n"
        "    def young_leaves(kvm, gfn_range, clear):\n"
        "        return answer\n"
        "    return young_leaves\n"
        "young_leaves = _made(False)\n",
    ],
    ids=["lambda", "decorated", "closure"],
)
def test_an_overlays_unusual_function_runs_as_it_is_without_probes(
    tmp_path: Path, text: str
) -> None:
    model = load_model(write(tmp_path, "mine.py", text))
    probes = Probes(model)
    assert all(not place.filename.endswith("mine.py") for place in probes.places)
    program = parse(YOUNG.format(op="test_young"))
    assert trace_text(program, probes.model) == trace_text(program, model)

"""Programs whose sides go different ways, in the Python engine."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

from fuzz.codec import random_program
from fuzz.harness import Harness
from fuzz.judge import run_both
from fuzz.overlay import load_model
from fuzz.partings import ENOUGH, Partings, part
from fuzz.text import load
from reference.features import Profile

MUTANT: Final = "gpc_unlisted_first"
CORPUS: Final = Path(__file__).parents[2] / "corpora" / "mutants"


def test_runs_of_one_model_never_part() -> None:
    stock, rng = load_model("stock"), Random(1)
    for _ in range(20):
        assert not part(*run_both(random_program(rng), stock, stock))


def test_runs_part_where_a_mistake_is_acted_on() -> None:
    program = load(CORPUS / f"{MUTANT}.prog")
    assert part(*run_both(program, load_model("stock"), load_model(f"mutants/{MUTANT}")))


def test_a_parting_tells_something_only_among_many_programs_that_do_not() -> None:
    partings = Partings()
    assert not partings.count(True)
    for _ in range(ENOUGH):
        assert not partings.count(False)
    assert partings.count(True)
    for _ in range(ENOUGH):
        partings.count(True)
    assert not partings.count(True)


def test_the_harness_keeps_programs_that_part_where_few_do() -> None:
    harness = Harness(load_model("stock"), load_model(f"mutants/{MUTANT}"))
    rng, parts = Random(1), load(CORPUS / f"{MUTANT}.prog")
    for _ in range(2 * ENOUGH):
        list(harness.looks(random_program(rng, Profile("v7.2", "arm64"), 2, 4)))
    assert not harness.parted
    list(harness.looks(parts))
    assert list(harness.parted) == [parts]

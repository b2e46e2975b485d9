"""The C port does what the Python model does, step for step: corpora, and random programs.

`make lockstep` compares many more of the latter, as part of .ci/run.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from fuzz.codec import random_program
from fuzz.overlay import known_models, load_model
from fuzz.port.build import COMPARED, PATCHES, ported_others
from fuzz.port.lockstep import lockstep
from fuzz.text import format_program, load
from fuzz.vocabulary import Program
from reference.features import PROFILES, Profile
from tests.ports import port_of

CORPORA: Final = Path(__file__).parents[2] / "corpora"
FILES: Final = sorted(path.relative_to(CORPORA).as_posix() for path in CORPORA.rglob("*.prog"))
OTHERS: Final = ported_others()
SEEDS: Final = range(4)
PROGRAMS_PER_SEED: Final = 10


@pytest.fixture(scope="module", autouse=True)
def _ports_are_built() -> None:
    for name in COMPARED:
        port_of(name)


def assert_same(program: Program, names: Sequence[str] = COMPARED) -> None:
    """Compare a program on models that are ported."""
    for name in names:
        drift = lockstep(program, load_model(name), port_of(name))
        assert drift is None, f"{drift}\n\n{format_program(program)}"


@pytest.mark.parametrize("file", FILES)
def test_every_program_of_the_corpora_takes_the_same_steps_in_c(file: str) -> None:
    program = load(str(CORPORA / file))
    assert_same(program)
    assert_same(program, [name for name in OTHERS if name == program.patched])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_random_programs_take_the_same_steps_in_c(profile: Profile, seed: int) -> None:
    rng = random.Random(f"{seed} {profile}")
    for _ in range(PROGRAMS_PER_SEED):
        assert_same(random_program(rng, profile))


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_repairs_and_mutants_take_the_same_steps_in_c(name: str) -> None:
    rng = random.Random(name)
    for number in range(2 * len(PROFILES)):
        assert_same(random_program(rng, PROFILES[number % len(PROFILES)]), [name])


def test_every_mutant_is_ported() -> None:
    mutants = {name for name in known_models() if name.startswith("mutants/")}
    assert mutants
    assert mutants <= set(OTHERS)


def test_the_ports_differ_where_the_models_do() -> None:
    """Or else lockstep could be comparing one library with itself."""
    program = load(str(CORPORA / "findings" / "prefetch_direct__stale_leaf.prog"))
    outcomes = Counter[str]()
    for name in COMPARED:
        port = port_of(name)
        port.load(program)
        port.run()
        outcomes[port.outcome()] += 1
    assert len(outcomes) > 1
    assert lockstep(program, load_model("stock"), port_of("seed")) is not None


def test_every_patch_of_the_port_belongs_to_a_model_of_that_name() -> None:
    for path in PATCHES.rglob("*.patch"):
        assert load_model(str(path.relative_to(PATCHES).with_suffix(""))).replaced

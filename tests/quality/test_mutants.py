"""What mutants say of themselves is so, and a hunt finds the mistake or says that it did not."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from fuzz.codec import random_program
from fuzz.finding import kinds_of
from fuzz.judge import PATCHED_ONLY, suspicious
from fuzz.mutants import GROUPS, PREEMPTIONS, Mutant, all_mutants
from fuzz.overlay import load_model
from fuzz.port.runner import on_port
from fuzz.search import search
from fuzz.text import load
from tests.ports import needs_compiler, port_of
from tools import exits
from tools.cli import main

CORPORA: Final = Path(__file__).parents[2] / "corpora"
MUTANTS: Final = all_mutants()
DEEP: Final = [m for m in MUTANTS if m.hard == PREEMPTIONS]
RARE: Final = [m for m in MUTANTS if m.hard and m.hard != PREEMPTIONS]
RANDOM_PROGRAMS: Final = 100


def test_there_are_mutants_of_every_group_and_enough_hard_ones() -> None:
    assert {mutant.group for mutant in MUTANTS} == set(GROUPS)
    assert len(MUTANTS) >= 40
    assert len(DEEP) + len(RARE) >= 12


def test_no_two_mutants_are_the_same_change() -> None:
    texts = [load_model(m.model).summary for m in MUTANTS]
    assert len(set(texts)) == len(texts)
    patches = {m.name: (CORPORA.parent / f"patched/c/{m.model}.patch").read_text() for m in MUTANTS}
    diffs = [text[text.index("--- a/") :] for text in patches.values()]
    assert len(set(diffs)) == len(diffs)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", DEEP, ids=lambda m: m.name)
def test_a_deep_mutant_shows_under_no_schedule_of_two_preemptions(mutant: Mutant) -> None:
    path = CORPORA / "mutants" / f"{mutant.name}.prog"
    program = load(str(path))
    model = on_port(load_model(mutant.model), port_of(mutant.model))
    rules = {line.split()[1] for line in program.expect}
    shallow = replace(program, schedule=())
    result = search(shallow, model, lambda run: any(r in rules for r, _ in run.kvm.violations))
    assert result.found is None
    assert result.complete
    assert len(program.schedule) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("mutant", RARE, ids=lambda m: m.name)
def test_a_rare_state_is_none_that_random_programs_come_to(mutant: Mutant) -> None:
    rng = random.Random(mutant.name)
    base = on_port(load_model(mutant.base), port_of(mutant.base))
    model = on_port(load_model(mutant.model), port_of(mutant.model))
    for _ in range(RANDOM_PROGRAMS):
        seen = suspicious(random_program(rng, mutant.profile, 2, 10), base, model)
        assert seen is None or all(kind.side != PATCHED_ONLY for kind in kinds_of(seen))


@pytest.mark.slow
def test_a_hunt_that_kills_ends_with_0_and_one_that_does_not_with_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    needs_compiler()
    assert main(["mutants", "map_without_lock", "--max-executions", "200000"]) == exits.CLEAN
    assert "stale-install" in capsys.readouterr().out
    assert main(["mutants", "gpc_retry_gives_up", "--max-executions", "1"]) == exits.FINDING
    assert "not killed" in capsys.readouterr().out


def test_a_mutant_that_does_not_exist_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mutants", "no_flsh"]) == exits.BAD_INPUT
    assert "did you mean 'no_flush'" in capsys.readouterr().err

"""The tester is tested: every seeded mistake is caught, every rule has a good and a bad program.

``corpora/good_bad/bad_RULE.prog`` breaks the rule on a model with one mistake;
``good_RULE.prog`` is the same program on the model without it.  ``corpora/mutants`` holds a
program for each mutant that no rule's pair uses.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fuzz.judge import Judgement, Verdict, judge
from fuzz.overlay import known_models, load_model
from fuzz.rules import RULES
from fuzz.text import load
from fuzz.vocabulary import Program

CORPORA = Path(__file__).parents[2] / "corpora"
PROGRAMS = {p: load(str(p)) for p in sorted(CORPORA.rglob("*.prog"))}
MUTANTS = [name for name in known_models() if name.startswith("mutants/")]


def verdict_of(program: Program) -> Judgement:
    return judge(program, load_model(program.reference), load_model(program.patched))


def unmutated(mutant: str) -> str:
    """The model that a mutant is a mistake in."""
    return "seed" if mutant.startswith("mutants/seed_") else "stock"


@pytest.mark.parametrize("mutant", MUTANTS)
def test_every_seeded_mistake_is_caught_by_a_named_program(mutant: str) -> None:
    catching = [p for p, program in PROGRAMS.items() if program.patched == mutant]
    assert catching, f"no program in corpora says 'patched: {mutant}'"
    for path in catching:
        found = verdict_of(PROGRAMS[path])
        assert found.verdict >= Verdict.DIVERGE, f"{path.name}: {found.headline}"
        assert found.lines == PROGRAMS[path].expect, path.name


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_same_program_is_clean_without_the_mistake(mutant: str) -> None:
    for path, program in PROGRAMS.items():
        if program.patched == mutant:
            repaired = replace(program, patched=unmutated(mutant))
            assert verdict_of(repaired).lines == ("agree",), path.name


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_bad_program_and_its_repaired_twin(rule: str) -> None:
    bad = PROGRAMS[CORPORA / "good_bad" / f"bad_{rule}.prog"]
    good = PROGRAMS[CORPORA / "good_bad" / f"good_{rule}.prog"]
    assert good.patched == unmutated(bad.patched)
    same = replace(good, patched=bad.patched, expect=bad.expect, title=bad.title)
    assert same == bad, "the twins differ in more than the model"
    assert verdict_of(good).lines == ("agree",)
    lines = verdict_of(bad).lines
    assert f"patched-only {rule}" in lines or (rule == "equivalence" and lines == ("diverge",))


def test_no_pair_is_left_over() -> None:
    pairs = {p.stem.split("_", 1)[1] for p in (CORPORA / "good_bad").glob("*.prog")}
    assert pairs == set(RULES)

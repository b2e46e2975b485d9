"""Exact minima: every seeded mistake shrinks to the program in tests/golden/minima.txt, whatever
noise it is found in; and by brute force nothing can be taken away from that.

``UPDATE_GOLDEN=1`` rewrites the file; look at each change: a smaller program is an improvement.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from fuzz import edit
from fuzz.codec import random_program
from fuzz.finding import Kind, kinds_of
from fuzz.judge import suspicious
from fuzz.overlay import Model, known_models, load_model
from fuzz.shrink.predicates import Shows
from fuzz.shrink.runner import shrink
from fuzz.text import format_program, load
from fuzz.vocabulary import Actor, Preemption, Program
from tests.padding import padded

ROOT: Final = Path(__file__).parents[2]
GOLDEN: Final = ROOT / "tests" / "golden" / "minima.txt"
MUTANTS: Final = [name for name in known_models() if name.startswith("mutants/")]
STOCK: Final = load_model("stock")
OPS_MAX: Final = 12
NOISE: Final = 10


def catching(mutant: str) -> tuple[Program, Kind]:
    """The first program of corpora/ that catches a mutant, and the first kind that it shows."""
    for path in sorted((ROOT / "corpora").rglob("*.prog")):
        program = load(path)
        if program.patched == mutant:
            bare = edit.without_expectations(program)
            found = suspicious(bare, STOCK, load_model(mutant))
            assert found is not None
            return bare, kinds_of(found)[0]
    raise AssertionError(f"no program catches {mutant}")


def section(mutant: str, kind: Kind, small: Program) -> str:
    """What the golden file says of one mutant."""
    ops, preemptions, actors = edit.size(small)[:3]
    head = f"== {kind.rule} at {kind.site}: {ops} ops, {preemptions} preemptions, {actors} actors"
    return f"{head}\n{format_program(replace(small, patched=mutant))}"


def golden() -> dict[str, str]:
    """The golden sections by mutant."""
    sections = ("== " + text for text in GOLDEN.read_text(encoding="utf-8").split("== ")[1:])
    return {text.split("patched: ")[1].split()[0]: text for text in sections}


def one_thing_less(program: Program) -> Iterator[Program]:
    """Brute force: without any one op, preemption or actor; written without the shrinker's help."""
    for at in range(len(program.setup)):
        yield replace(program, setup=program.setup[:at] + program.setup[at + 1 :])
    for at in range(len(program.schedule)):
        yield replace(program, schedule=program.schedule[:at] + program.schedule[at + 1 :])
    for actor in program.actors:
        others = tuple(each for each in program.actors if each is not actor)
        kept = tuple(p for p in program.schedule if actor.name not in (p.actor, p.to))
        yield replace(program, actors=others, schedule=kept)
        for at in range(len(actor.ops)):
            shorter = Actor(actor.name, actor.ops[:at] + actor.ops[at + 1 :])
            actors = tuple(shorter if each is actor else each for each in program.actors)
            points = [moved(p, actor.name, at) for p in program.schedule]
            yield replace(program, actors=actors, schedule=tuple(p for p in points if p))


def moved(p: Preemption, name: str, gone: int) -> Preemption | None:
    """A preemption after an op of its actor has gone."""
    if p.actor != name or p.op < gone:
        return p
    return None if p.op == gone else replace(p, op=p.op - 1)


def assert_minimal(small: Program, kind: Kind, model: Model) -> None:
    """Nothing can be left out, and it is no larger than a reader wants."""
    assert edit.size(small)[0] <= OPS_MAX
    shows = Shows([kind], STOCK, model)
    assert shows(small)
    for less in one_thing_less(small):
        assert not shows(less), f"could be less:\n{format_program(less)}"


def test_the_golden_file_is_about_every_mutant() -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        sections = []
        for mutant in MUTANTS:
            program, kind = catching(mutant)
            shows = Shows([kind], STOCK, load_model(mutant))
            sections.append(section(mutant, kind, shrink(program, shows).program))
        GOLDEN.write_text("\n".join(sections), encoding="utf-8")
    assert list(golden()) == MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_program_that_catches_a_mutant_shrinks_to_exactly_this(mutant: str) -> None:
    program, kind = catching(mutant)
    model = load_model(mutant)
    small = shrink(program, Shows([kind], STOCK, model))
    assert small.minimal
    assert section(mutant, kind, small.program).strip() == golden()[mutant].strip()
    assert_minimal(small.program, kind, model)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_among_noise_it_shrinks_to_exactly_the_same(mutant: str) -> None:
    program, kind = catching(mutant)
    shows = Shows([kind], STOCK, load_model(mutant))
    rng = random.Random(mutant)
    tried = 0
    while tried < 3:
        noisy = padded(program, rng, NOISE)
        if not shows(noisy):
            continue  # the noise changed who comes when
        tried += 1
        small = shrink(noisy, shows).program
        assert section(mutant, kind, small).strip() == golden()[mutant].strip()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["seed", "mutants/seed_break", "mutants/no_flush"])
def test_random_hits_become_minimal_and_the_same_each_time(name: str) -> None:
    model = load_model(name)
    rng = random.Random(11)
    seen: dict[Kind, int] = {}
    for _ in range(1500):
        program = random_program(rng, ops_min=8, ops_max=24)
        found = suspicious(program, STOCK, model)
        for kind in kinds_of(found) if found is not None else ():
            if kind.rule == "equivalence" or seen.get(kind, 0) >= 2:
                continue  # nearly all of those are drift, with nothing to get down to
            seen[kind] = seen.get(kind, 0) + 1
            small = shrink(program, Shows([kind], STOCK, model))
            again = shrink(program, Shows([kind], STOCK, model))
            assert small.program == again.program
            assert small.attempts == again.attempts
            assert small.minimal
            assert_minimal(small.program, kind, model)
    assert len(seen) >= 3

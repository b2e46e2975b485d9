"""From a Program that found something new to the next one to try.

One time in FRESH_EVERY it is a new random program instead: typed random programs find what is
easy faster than anything else, and what only guidance finds is built from what they leave.  One
time in FOUND_EVERY it is a changed finding, if there is one: where a rule breaks, others are near.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from fuzz import edit
from fuzz.codec import random_program
from fuzz.mutation.crossover import splice
from fuzz.mutation.ops import nest_accesses
from fuzz.mutation.subject import Subject
from fuzz.mutation.table import MUTATIONS
from fuzz.search import Boundary
from fuzz.vocabulary import Program
from reference.features import Profile

FRESH_EVERY: Final = 4
FOUND_EVERY: Final = 6
NESTED_EVERY: Final = 6
RECENT_EVERY: Final = 3
PARTED_EVERY: Final = 2
STACKED_MAX: Final = 5  # mutations on top of each other
TRIES_MAX: Final = 8  # mutations that do not apply


class Mutator:
    """Draws the next program.

    profiles: those to fuzz.  ops_min, ops_max: ops of all actors together.
    boundaries: gives the steps that a program passes.
    found: minimised programs of findings; whoever learns of more may replace it.
    recent: programs beside the corpus that showed something new (fuzz/harness.py).
    parted: programs under which the sides took different steps, where few do.
    """

    def __init__(
        self,
        profiles: Sequence[Profile],
        ops_min: int,
        ops_max: int,
        boundaries: Callable[[Program], Sequence[Boundary]],
    ) -> None:
        self.profiles = profiles
        self.ops_min = ops_min
        self.ops_max = ops_max
        self.boundaries = boundaries
        self.found: Sequence[Program] = ()
        self.recent: Sequence[Program] = ()
        self.parted: Sequence[Program] = ()

    def fresh(self, rng: random.Random) -> Program:
        """A random program, one time in NESTED_EVERY with a nested guest where there can be one."""
        program = random_program(rng, rng.choice(self.profiles), self.ops_min, self.ops_max)
        if rng.randrange(NESTED_EVERY):
            return program
        return nest_accesses(Subject(program, rng, self.profiles, ())) or program

    def mutate(self, program: Program | None, rng: random.Random) -> Program:
        """A changed copy, or a fresh program, always when there is none to change."""
        if (
            program is None
            or program.profile not in self.profiles
            or not rng.randrange(FRESH_EVERY)
        ):
            return self.fresh(rng)
        if self.found and not rng.randrange(FOUND_EVERY):
            program = rng.choice(self.found)
        elif self.parted and not rng.randrange(PARTED_EVERY):
            program = rng.choice(self.parted)
        elif self.recent and not rng.randrange(RECENT_EVERY):
            program = rng.choice(self.recent)
        return self._changed(program, self.boundaries(program), rng)

    def cross(self, one: Program, two: Program, rng: random.Random) -> Program:
        """A splice of two programs, sometimes changed further."""
        child = splice(one, two, rng)
        if rng.random() < 0.5:
            child = self._changed(child, self.boundaries(one), rng)
        return self._trimmed(child, rng)

    def _changed(
        self, program: Program, boundaries: Sequence[Boundary], rng: random.Random
    ) -> Program:
        wanted = 1
        while wanted < STACKED_MAX and rng.random() < 0.5:
            wanted += 1
        original = program
        program = _alive(program, boundaries)
        for _ in range(TRIES_MAX):
            subject = Subject(program, rng, self.profiles, boundaries)
            changed = rng.choice(MUTATIONS)(subject)
            if changed is not None and changed != program:
                program, wanted = changed, wanted - 1
            if not wanted:
                break
        return self.fresh(rng) if program == original else self._trimmed(program, rng)

    def _trimmed(self, program: Program, rng: random.Random) -> Program:
        """Not more ops than wanted: random ones go."""
        while (count := sum(len(actor.ops) for actor in program.actors)) > self.ops_max:
            at = rng.randrange(count)
            for actor in program.actors:
                if at < len(actor.ops):
                    program = edit.without_ops(program, actor.name, at, 1)
                    break
                at -= len(actor.ops)
        return program


def _alive(program: Program, boundaries: Sequence[Boundary]) -> Program:
    """Without the preemptions at steps that the program does not pass."""
    passed = set(boundaries)
    kept = [p for p in program.schedule if (p.actor, p.op, p.label, p.occurrence) in passed]
    return program if len(kept) == len(program.schedule) else replace(program, schedule=tuple(kept))

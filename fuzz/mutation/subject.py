"""What is mutated: a Program with what a mutation may know of it, and draws in its world."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from fuzz.draws import draw_op, op_table
from fuzz.search import Boundary
from fuzz.tracker import EFFECTS, ByteReader, World
from fuzz.vocabulary import FD_NONE, OPS, PAGE, Actor, Op, Program
from reference.features import Profile

ACTORS_MAX: Final = 6
PREEMPTIONS_MAX: Final = 6
SETUP_MAX: Final = 20  # more than any layout has
ADDRESS_MAX: Final = 1 << 40  # bytes; beyond it the tracker would draw nonsense
_DRAW_BYTES: Final = 48  # more than any op or layout draws


@dataclass(frozen=True, slots=True)
class Subject:
    """What is mutated, and what a mutation may know.

    profiles: those that the program may have.  boundaries: steps that the program is known to
    pass, where it can be preempted; a copy that was changed elsewhere still passes most of them.
    """

    program: Program
    rng: random.Random
    profiles: Sequence[Profile]
    boundaries: Sequence[Boundary]

    def reader(self) -> ByteReader:
        """Bytes to draw from."""
        return ByteReader(self.rng.randbytes(_DRAW_BYTES))

    def actor(self) -> Actor | None:
        """One of the actors that have ops."""
        busy = [actor for actor in self.program.actors if actor.ops]
        return self.rng.choice(busy) if busy else None

    def world(self, at: int) -> World:
        """What setup and the first `at` ops of every actor leave."""
        program = self.program
        world = World(program.profile, program.vm, self.reader())
        for op in program.setup:
            _follow(world, op)
        for turn in range(at):
            for actor in program.actors:
                if turn < len(actor.ops):
                    _follow(world, actor.ops[turn])
        return world


Mutation = Callable[[Subject], Program | None]


def _follow(world: World, op: Op) -> None:
    """Let the tracker see an op, unless it is one that will be refused for its arguments."""
    effect = EFFECTS.get(op.name)
    if effect is not None and _plausible(op):
        effect(world, op.args)


@lru_cache(maxsize=4096)
def _plausible(op: Op) -> bool:
    for arg, value in zip(OPS[op.name].args, op.args, strict=True):
        if arg.kind in ("addr", "hva") and (value % PAGE or value >= ADDRESS_MAX):
            return False
        if arg.name in ("size", "len", "new_len") and not value and "region" not in op.name:
            return False
        if value < FD_NONE:
            return False
    return True


def new_op(s: Subject, actor: Actor, at: int) -> Op:
    """An op for an actor, drawn from what is there when its turn comes."""
    world = s.world(at)
    return draw_op(world, op_table(actor.kind, s.program.profile, s.program.vm))

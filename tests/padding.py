"""Programs with noise: the same failure among ops and actors that have nothing to do with it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final

from fuzz.vocabulary import PAGE, Actor, Op, Program, area_base

FAR: Final = area_base("H")
VMM: Final = (
    Op("nop"),
    Op("msync", (FAR, PAGE)),
    Op("mmap", (FAR, 4 * PAGE, -1, 0, 3, 0)),
    Op("user_write", (FAR, 9)),
    Op("user_read", (FAR,)),
)
VCPU: Final = (Op("nop"), Op("guest_flush"), Op("read", (0x7000, 0, 0)))
KTHREAD: Final = (Op("nop"), Op("test_young", (FAR,)), Op("migrate", (FAR,)))
NOISE: Final = {"vmm": VMM, "vcpu": VCPU, "kthread": KTHREAD}


def padded(program: Program, rng: random.Random, ops: int) -> Program:
    """The program with so many more ops, here and there, and two more actors."""
    for name, noise in (("vmm7", VMM), ("kthread7", KTHREAD)):
        idle = Actor(name, (rng.choice(noise),))
        at = rng.randint(0, len(program.actors))
        actors = (*program.actors[:at], idle, *program.actors[at:])
        program = replace(program, actors=actors)
    for _ in range(ops - 2):
        actor = rng.choice([None, *program.actors])
        if actor is None:
            at = rng.randint(0, len(program.setup))
            setup = (*program.setup[:at], rng.choice(VMM + KTHREAD), *program.setup[at:])
            program = replace(program, setup=setup)
            continue
        at = rng.randint(0, len(actor.ops))
        program = _inserted(program, actor, at, rng.choice(NOISE[actor.kind]))
    return program


def _inserted(program: Program, actor: Actor, at: int, op: Op) -> Program:
    """One more op of an actor; preemptions of later ones follow."""
    longer = replace(actor, ops=(*actor.ops[:at], op, *actor.ops[at:]))
    actors = tuple(longer if each is actor else each for each in program.actors)
    schedule = tuple(
        replace(p, op=p.op + 1) if p.actor == actor.name and p.op >= at else p
        for p in program.schedule
    )
    return replace(program, actors=actors, schedule=schedule)

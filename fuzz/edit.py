"""Smaller or changed copies of Programs that stay well-formed: indices in the schedule follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fuzz.size import argument_weight, size
from fuzz.vocabulary import Actor, Op, Preemption, Program

__all__ = [
    "argument_weight", "merged", "moved_to_setup", "renamed", "size", "with_op", "without_actor",
    "without_expectations", "without_ops", "without_preemption", "without_setup",
]  # fmt: skip


def without_actor(program: Program, name: str) -> Program:
    """The program without one actor and without the preemptions that name it."""
    actors = tuple(a for a in program.actors if a.name != name)
    schedule = tuple(p for p in program.schedule if name not in (p.actor, p.to))
    return replace(program, actors=actors, schedule=schedule)


def without_ops(program: Program, name: str, at: int, count: int) -> Program:
    """The program without `count` ops of an actor from index `at`; later preemptions move down."""
    actors = tuple(
        replace(a, ops=a.ops[:at] + a.ops[at + count :]) if a.name == name else a
        for a in program.actors
    )
    schedule: list[Preemption] = []
    for p in program.schedule:
        if p.actor == name and at <= p.op < at + count:
            continue
        moved = p.actor == name and p.op >= at + count
        schedule.append(replace(p, op=p.op - count) if moved else p)
    return replace(program, actors=actors, schedule=tuple(schedule))


def with_inserted(program: Program, name: str, at: int, op: Op) -> Program:
    """The program with one more op of an actor, before index `at`; preemptions move up."""
    actors = tuple(
        replace(a, ops=(*a.ops[:at], op, *a.ops[at:])) if a.name == name else a
        for a in program.actors
    )
    schedule = tuple(
        replace(p, op=p.op + 1) if p.actor == name and p.op >= at else p for p in program.schedule
    )
    return replace(program, actors=actors, schedule=schedule)


def without_setup(program: Program, at: int, count: int) -> Program:
    """The program without `count` setup ops from index `at`."""
    return replace(program, setup=program.setup[:at] + program.setup[at + count :])


def without_preemption(program: Program, at: int) -> Program:
    """The program without one preemption."""
    return replace(program, schedule=program.schedule[:at] + program.schedule[at + 1 :])


def with_op(program: Program, name: str | None, at: int, op: Op) -> Program:
    """The program with one op exchanged; name None means a setup op."""
    if name is None:
        setup = (*program.setup[:at], op, *program.setup[at + 1 :])
        return replace(program, setup=setup)
    actors = tuple(
        replace(a, ops=(*a.ops[:at], op, *a.ops[at + 1 :])) if a.name == name else a
        for a in program.actors
    )
    return replace(program, actors=actors)


def without_expectations(program: Program) -> Program:
    """The program as a bare test input: no expected results or verdict, no title."""
    bare = tuple(replace(op, expect="") for op in program.setup)
    actors = tuple(
        Actor(a.name, tuple(replace(op, expect="") for op in a.ops)) for a in program.actors
    )
    return replace(program, setup=bare, actors=actors, expect=(), title=())


def moved_to_setup(program: Program, name: str, at: int) -> Program:
    """The program with one op of an actor done in the setup already, last."""
    op = next(a for a in program.actors if a.name == name).ops[at]
    smaller = without_ops(program, name, at, 1)
    return replace(smaller, setup=(*smaller.setup, op))


def renamed(program: Program, old: str, new: str) -> Program:
    """The program with one actor under another name."""

    def name(was: str) -> str:
        return new if was == old else was

    actors = tuple(replace(a, name=name(a.name)) for a in program.actors)
    schedule = tuple(replace(p, actor=name(p.actor), to=name(p.to)) for p in program.schedule)
    return replace(program, actors=actors, schedule=schedule)


def merged(program: Program, into: str, other: str, order: Sequence[tuple[str, int]]) -> Program:
    """The program with the ops of two actors done by one, in the given order of (actor, index).

    Preemptions of one by the other are gone; all others follow their ops.
    """
    ops = {a.name: a.ops for a in program.actors}
    place = {key: at for at, key in enumerate(order)}
    one = Actor(into, tuple(ops[name][at] for name, at in order))
    actors = tuple(one if a.name == into else a for a in program.actors if a.name != other)
    schedule: list[Preemption] = []
    for p in program.schedule:
        actor, at = (into, place[p.actor, p.op]) if p.actor in (into, other) else (p.actor, p.op)
        to = into if p.to == other else p.to
        if actor != to:
            schedule.append(replace(p, actor=actor, op=at, to=to))
    return replace(program, actors=actors, schedule=tuple(schedule))

"""Smaller or changed copies of Programs that stay well-formed: indices in the schedule follow."""

from __future__ import annotations

from dataclasses import replace

from fuzz.vocabulary import OPS, Actor, Arg, Op, Preemption, Program


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


def size(program: Program) -> tuple[int, int, int, int, int]:
    """What "smaller" means, most important first: ops, preemptions, actors, weight of what a
    reader has to read, and the numbers themselves."""
    ops = [op for a in program.actors for op in a.ops]
    weight = sum(
        1 + argument_weight(arg, value)
        for op in (*ops, *program.setup)
        for arg, value in zip(OPS[op.name].args, op.args, strict=True)
    )
    weight += sum(op.name != "nop" for op in ops)
    weight += program.vcpus + program.frames.bit_length()
    numbers = sum(abs(v) for op in (*ops, *program.setup) for v in op.args)
    numbers += sum(p.occurrence for p in program.schedule)
    total = len(ops) + len(program.setup)
    return total, len(program.schedule), len(program.actors), weight, numbers


def argument_weight(arg: Arg, value: int) -> int:
    """How much an argument costs a reader: nothing when it is left out."""
    return 0 if value == arg.default else 1 + abs(value).bit_length()

"""Mutations of ops and of their arguments.

New ops and arguments are drawn from what the ops before them left (fuzz/tracker.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from fuzz import edit
from fuzz.draws import draw_op, spoil
from fuzz.mutation.subject import Subject, new_op
from fuzz.tracker import NESTING
from fuzz.vocabulary import OPS, PAGE, Op, Program

ACCESSES: Final = ("read", "write")  # guest accesses, which can be nested


def insert_op(s: Subject) -> Program | None:
    """One more op somewhere."""
    if not s.program.actors:
        return None
    actor = s.rng.choice(s.program.actors)
    at = s.rng.randint(0, len(actor.ops))
    return edit.with_inserted(s.program, actor.name, at, new_op(s, actor, at))


def replace_op(s: Subject) -> Program | None:
    """Another op in the place of one."""
    actor = s.actor()
    if actor is None:
        return None
    at = s.rng.randrange(len(actor.ops))
    return edit.with_op(s.program, actor.name, at, new_op(s, actor, at))


def remove_op(s: Subject) -> Program | None:
    """One op less."""
    actor = s.actor()
    if actor is None or sum(len(a.ops) for a in s.program.actors) < 2:
        return None
    return edit.without_ops(s.program, actor.name, s.rng.randrange(len(actor.ops)), 1)


def repeat_op(s: Subject) -> Program | None:
    """The same op again, later or by another actor that can do it."""
    source = s.actor()
    if source is None:
        return None
    op = s.rng.choice(source.ops)
    able = [a for a in s.program.actors if a.kind in OPS[op.name].actors]
    actor = s.rng.choice(able)
    return edit.with_inserted(s.program, actor.name, s.rng.randint(0, len(actor.ops)), op)


def move_op(s: Subject) -> Program | None:
    """An op at another turn of its actor."""
    actor = s.actor()
    if actor is None or len(actor.ops) < 2:
        return None
    at = s.rng.randrange(len(actor.ops))
    without = edit.without_ops(s.program, actor.name, at, 1)
    to = s.rng.randrange(len(actor.ops))
    return edit.with_inserted(without, actor.name, to, actor.ops[at])


def delay_actor(s: Subject) -> Program | None:
    """An actor lets the others go first by one turn, or stops doing so."""
    actor = s.actor()
    if actor is None:
        return None
    if actor.ops[0].name == "nop" and len(actor.ops) > 1 and s.rng.random() < 0.5:
        return edit.without_ops(s.program, actor.name, 0, 1)
    at = s.rng.randint(0, len(actor.ops))
    return edit.with_inserted(s.program, actor.name, at, Op("nop"))


def redraw_arguments(s: Subject) -> Program | None:
    """The same op with arguments drawn anew."""
    actor = s.actor()
    if actor is None:
        return None
    at = s.rng.randrange(len(actor.ops))
    name = actor.ops[at].name
    return edit.with_op(s.program, actor.name, at, draw_op(s.world(at), (name,)))


def borrow_argument(s: Subject) -> Program | None:
    """An argument takes the value that another op gives to an argument of its kind."""
    place = _argument(s)
    if place is None:
        return None
    name, at, op, index = place
    arg = OPS[op.name].args[index]
    ops = [*s.program.setup, *(o for a in s.program.actors for o in a.ops)]
    values = sorted(
        {
            value
            for other in ops
            for each, value in zip(OPS[other.name].args, other.args, strict=True)
            if (each.kind, each.kind == "hva" or each.name)
            == (arg.kind, arg.kind == "hva" or arg.name)
        }
        - {op.args[index]}
    )
    return _with_argument(s.program, name, at, op, index, s.rng.choice(values)) if values else None


def nudge_argument(s: Subject) -> Program | None:
    """A number or an address moves by one page or one, a flag flips, a name changes."""
    place = _argument(s)
    if place is None:
        return None
    name, at, op, index = place
    arg, value = OPS[op.name].args[index], op.args[index]
    if arg.kind in ("addr", "hva"):
        value += s.rng.choice((-2, -1, 1, 1, 2, 4)) * PAGE
    elif arg.kind == "flags":
        value ^= s.rng.choice(list(arg.choices.values()))
    elif arg.kind == "enum":
        value = s.rng.randrange(len(arg.names))
    elif arg.kind == "fd":
        value = s.rng.randrange(2)
    else:
        value += s.rng.choice((-1, 1))
    return _with_argument(s.program, name, at, op, index, value) if 0 <= value < 1 << 63 else None


def spoil_argument(s: Subject) -> Program | None:
    """An argument becomes something hostile."""
    actor = s.actor()
    if actor is None:
        return None
    at = s.rng.randrange(len(actor.ops))
    op = actor.ops[at]
    if not op.args:
        return None
    args = spoil(s.world(at), OPS[op.name].args, op.args)
    return edit.with_op(s.program, actor.name, at, replace(op, args=args))


def nest_accesses(s: Subject) -> Program | None:
    """All accesses of a vCPU come from the guest's guest, or from the guest again.

    A nested guest's leaves are made by other code, and only its own accesses meet them: one
    access that is nested among many that are not does nothing.
    """
    if s.program.profile.mmu not in NESTING:
        return None
    able = [a for a in s.program.actors if any(op.name in ACCESSES for op in a.ops)]
    if not able:
        return None
    actor = s.rng.choice(able)
    at = {name: [arg.name for arg in OPS[name].args].index("l2") for name in ACCESSES}
    places = [index for index, op in enumerate(actor.ops) if op.name in ACCESSES]
    nested = [bool(actor.ops[index].args[at[actor.ops[index].name]]) for index in places]
    program = s.program
    for index in places:
        op = actor.ops[index]
        program = _with_argument(program, actor.name, index, op, at[op.name], int(not all(nested)))
    return program


def _argument(s: Subject) -> tuple[str | None, int, Op, int] | None:
    """A random argument, one time in four of a setup op: actor (None: setup), index, op, index."""
    if s.program.setup and s.rng.random() < 0.25:
        name, ops = None, s.program.setup
    else:
        actor = s.actor()
        if actor is None:
            return None
        name, ops = actor.name, actor.ops
    at = s.rng.randrange(len(ops))
    op = ops[at]
    return (name, at, op, s.rng.randrange(len(op.args))) if op.args else None


def _with_argument(
    program: Program, name: str | None, at: int, op: Op, index: int, value: int
) -> Program:
    args = (*op.args[:index], value, *op.args[index + 1 :])
    return edit.with_op(program, name, at, replace(op, args=args))

"""The mutations: functions from a Program to another valid one, or None where they do not apply.

They work on the nouns of a Program (ops, arguments, actors, preemptions, profile, layout), so
every mutant means something.  New ops and arguments are drawn from what the ops before them left
(fuzz/tracker.py); new preemptions are put where the program is known to pass.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, TypeVar

from fuzz import edit
from fuzz.codec import draw_setup
from fuzz.draws import draw_op, op_table, spoil
from fuzz.labels import STEP_LABELS
from fuzz.search import Boundary
from fuzz.tracker import EFFECTS, ByteReader, World
from fuzz.vocabulary import FD_NONE, OPS, PAGE, Actor, Op, Preemption, Program
from reference.features import Profile

ACTORS_MAX: Final = 6
PREEMPTIONS_MAX: Final = 6
SETUP_MAX: Final = 20  # more than any layout has
ADDRESS_MAX: Final = 1 << 40  # bytes; beyond it the tracker would draw nonsense
_DRAW_BYTES: Final = 48  # more than any op or layout draws
T = TypeVar("T")


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


def _new_op(s: Subject, actor: Actor, at: int) -> Op:
    """An op for an actor, drawn from what is there when its turn comes."""
    world = s.world(at)
    return draw_op(world, op_table(actor.kind, s.program.profile, s.program.vm))


# Ops.


def insert_op(s: Subject) -> Program | None:
    """One more op somewhere."""
    if not s.program.actors:
        return None
    actor = s.rng.choice(s.program.actors)
    at = s.rng.randint(0, len(actor.ops))
    return edit.with_inserted(s.program, actor.name, at, _new_op(s, actor, at))


def replace_op(s: Subject) -> Program | None:
    """Another op in the place of one."""
    actor = s.actor()
    if actor is None:
        return None
    at = s.rng.randrange(len(actor.ops))
    return edit.with_op(s.program, actor.name, at, _new_op(s, actor, at))


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


# Arguments.


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
    return _with_argument(s, name, at, op, index, s.rng.choice(values)) if values else None


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
    return _with_argument(s, name, at, op, index, value) if 0 <= value < 1 << 63 else None


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
    s: Subject, name: str | None, at: int, op: Op, index: int, value: int
) -> Program:
    args = (*op.args[:index], value, *op.args[index + 1 :])
    return edit.with_op(s.program, name, at, replace(op, args=args))


# Actors.


def add_actor(s: Subject) -> Program | None:
    """A new actor with an op of its own."""
    names = {actor.name for actor in s.program.actors}
    free = [f"{k}{n}" for k in ("vmm", "vcpu", "kthread") for n in range(2)]
    free = [name for name in free if name not in names]
    if not free or len(names) >= ACTORS_MAX:
        return None
    name = s.rng.choice(free)
    vcpus = max(s.program.vcpus, int(name[4:]) + 1) if name.startswith("vcpu") else s.program.vcpus
    empty = Actor(name, ())
    at = s.rng.randint(0, max((len(a.ops) for a in s.program.actors), default=0))
    wait = (Op("nop"),) * at
    actor = replace(empty, ops=(*wait, _new_op(s, empty, at)))
    return replace(s.program, vcpus=vcpus, actors=(*s.program.actors, actor))


def drop_actor(s: Subject) -> Program | None:
    """One actor less."""
    if len(s.program.actors) < 2:
        return None
    return edit.without_actor(s.program, s.rng.choice(s.program.actors).name)


def reorder_actors(s: Subject) -> Program | None:
    """Two actors take their turns in the other order."""
    actors = list(s.program.actors)
    if len(actors) < 2:
        return None
    one, two = s.rng.sample(range(len(actors)), 2)
    actors[one], actors[two] = actors[two], actors[one]
    return replace(s.program, actors=tuple(actors))


# Preemptions.


def add_preemption(s: Subject) -> Program | None:
    """One more preemption, nine times in ten at a step that the program passes."""
    program, rng = s.program, s.rng
    if len(program.schedule) >= PREEMPTIONS_MAX or len(program.actors) < 2:
        return None
    place = _boundary(s) if rng.random() < 0.9 else _any_boundary(s)
    if place is None:
        return None
    others = [a.name for a in program.actors if a.name != place[0] and a.ops]
    used = {(p.actor, p.op, p.label, p.occurrence) for p in program.schedule}
    if not others or place in used:
        return None
    point = Preemption(*place, rng.choice(others))
    return replace(program, schedule=(*program.schedule, point))


def _boundary(s: Subject) -> Boundary | None:
    """A step that the program passes, if that op is still there."""
    lengths = {actor.name: len(actor.ops) for actor in s.program.actors}
    there = [place for place in s.boundaries if place[1] < lengths.get(place[0], 0)]
    return s.rng.choice(there) if there else None


def _any_boundary(s: Subject) -> Boundary | None:
    """A step that an op of this name has been seen to take."""
    actor = s.actor()
    if actor is None:
        return None
    at = s.rng.randrange(len(actor.ops))
    labels = STEP_LABELS.get(actor.ops[at].name)
    return (actor.name, at, s.rng.choice(labels), 1) if labels else None


def drop_preemption(s: Subject) -> Program | None:
    """One preemption less."""
    if not s.program.schedule:
        return None
    return edit.without_preemption(s.program, s.rng.randrange(len(s.program.schedule)))


def move_preemption(s: Subject) -> Program | None:
    """A preemption a few steps earlier or later in its op, or towards another actor."""
    program, rng = s.program, s.rng
    if not program.schedule:
        return None
    at = rng.randrange(len(program.schedule))
    p = program.schedule[at]
    others = [a.name for a in program.actors if a.name not in (p.actor, p.to) and a.ops]
    if others and rng.random() < 0.3:
        return _with_preemption(program, at, replace(p, to=rng.choice(others)))
    steps = [place for place in s.boundaries if place[:2] == (p.actor, p.op)]
    here = (p.actor, p.op, p.label, p.occurrence)
    if here not in steps or len(steps) < 2:
        return None
    to = steps[max(0, min(len(steps) - 1, steps.index(here) + rng.choice((-2, -1, 1, 2))))]
    used = {(q.actor, q.op, q.label, q.occurrence) for q in program.schedule}
    return None if to in used else _with_preemption(program, at, Preemption(*to, p.to))


def _with_preemption(program: Program, at: int, p: Preemption) -> Program:
    return replace(program, schedule=(*program.schedule[:at], p, *program.schedule[at + 1 :]))


# The world around.


def change_profile(s: Subject) -> Program | None:
    """The same program on another kernel or MMU."""
    others = [profile for profile in s.profiles if profile != s.program.profile]
    if not others:
        return None
    profile = s.rng.choice(others)
    keeps = s.program.vm == "default" or profile.has("sw_protected_vm")
    return replace(s.program, profile=profile, vm=s.program.vm if keeps else "default")


def change_layout(s: Subject) -> Program | None:
    """Other memslots, files and mappings for the same actors."""
    world = World(s.program.profile, s.program.vm, s.reader())
    return replace(s.program, setup=draw_setup(world, s.rng.randrange(248)))


def insert_setup(s: Subject) -> Program | None:
    """One more op before the actors start: a mapping over a slot, another slot, a page."""
    if len(s.program.setup) >= SETUP_MAX:
        return None
    world = s.world(0)
    names = ("mmap", "mmap", "munmap", "set_region", "user_write", "user_write", "create_gmem")
    op = draw_op(world, (s.rng.choice(names),))
    if "vmm" not in OPS[op.name].actors:
        return None
    return replace(s.program, setup=(*s.program.setup, op))


def remove_setup(s: Subject) -> Program | None:
    """One setup op less."""
    if not s.program.setup:
        return None
    return edit.without_setup(s.program, s.rng.randrange(len(s.program.setup)), 1)


# As often as they stand here.
MUTATIONS: Final[tuple[Mutation, ...]] = (
    *(insert_op,) * 6,
    *(replace_op,) * 4,
    *(remove_op,) * 3,
    *(repeat_op,) * 2,
    *(move_op,) * 2,
    delay_actor,
    *(redraw_arguments,) * 4,
    *(borrow_argument,) * 4,
    *(nudge_argument,) * 2,
    spoil_argument,
    add_actor,
    drop_actor,
    reorder_actors,
    *(add_preemption,) * 8,
    *(drop_preemption,) * 2,
    *(move_preemption,) * 4,
    change_profile,
    *(change_layout,) * 2,
    *(insert_setup,) * 2,
    remove_setup,
)

"""Mutations of what ops are done by and to: actors, profile, memslots, files and mappings."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from fuzz import edit
from fuzz.codec import draw_setup
from fuzz.draws import draw_op
from fuzz.mutation.subject import ACTORS_MAX, SETUP_MAX, Subject, new_op
from fuzz.tracker import World
from fuzz.vocabulary import (
    FALLOC_FLAGS,
    FD_NONE,
    MAP_KINDS,
    OPS,
    PAGE,
    PROT_FLAGS,
    Actor,
    Op,
    Program,
)

SHARED: Final = MAP_KINDS.index("shared")


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
    actor = replace(empty, ops=(*wait, new_op(s, empty, at)))
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


def change_backing(s: Subject) -> Program | None:
    """A mapping shows another part of its file, or other memory; or a slot has its user address
    elsewhere, perhaps at another slot's: what a slot's address maps need not be what backs it."""
    places = [at for at, op in enumerate(s.program.setup) if op.name in ("mmap", "set_region")]
    if not places:
        return None
    at = s.rng.choice(places)
    op = s.program.setup[at]
    args = _args(op)
    shift = s.rng.choice((-2, -1, 1, 2)) * PAGE
    if op.name == "set_region":
        others = [_args(o)["hva"] for o in s.program.setup if o.name == op.name]
        args["hva"] = s.rng.choice((args["hva"] + shift, s.rng.choice(others) + shift))
    elif args["fd"] == FD_NONE or s.rng.random() < 0.3:
        to_file = args["fd"] == FD_NONE
        args |= {"fd": 0 if to_file else FD_NONE, "share": int(to_file), "offset": 0}
    else:
        args["offset"] += shift
    if min(args["offset"], args["hva"]) < 0:
        return None
    return edit.with_op(s.program, None, at, replace(op, args=tuple(args.values())))


def shift_view(s: Subject) -> Program | None:
    """The user address of a gmem slot shows the slot's own file, but other pages of it.

    Nothing checks that a VMM maps what backs the guest there.  A page then has two places in the
    guest: where the file says it is, and where its user address leads.
    """
    places = [at for at, op in enumerate(s.program.setup) if op.name == "set_region"]
    slots = [at for at in places if _args(s.program.setup[at])["fd"] >= 0]
    if not slots or len(s.program.setup) >= SETUP_MAX:
        return None
    at = s.rng.choice(slots)
    slot = _args(s.program.setup[at])
    shift = s.rng.choice((-2, -1, 1, 2)) * PAGE
    offset = slot["offset"] + shift
    if offset < 0 or not slot["size"]:
        return None
    prot = PROT_FLAGS["READ"] | PROT_FLAGS["WRITE"]
    view = Op("mmap", (slot["hva"], slot["size"], slot["fd"], offset, prot, SHARED))
    there = Op("user_read", (slot["hva"] + s.rng.randrange(8) % (slot["size"] // PAGE) * PAGE,))
    after = (view, there) if s.rng.random() < 0.5 else (view,)
    setup = (*s.program.setup[: at + 1], *after, *s.program.setup[at + 1 :])
    return replace(s.program, setup=setup)


def punch_seen(s: Subject) -> Program | None:
    """A VMM's op becomes, or is joined by, a punch of a file page that is mapped somewhere."""
    views = [_args(op) for op in s.program.setup if op.name == "mmap"]
    views = [view for view in views if view["fd"] >= 0 and view["len"] >= PAGE]
    actors = [actor for actor in s.program.actors if actor.kind == "vmm"]
    if not views or not actors:
        return None
    view, actor = s.rng.choice(views), s.rng.choice(actors)
    offset = view["offset"] + s.rng.randrange(view["len"] // PAGE) * PAGE
    mode = FALLOC_FLAGS["KEEP_SIZE"] | FALLOC_FLAGS["PUNCH_HOLE"]
    punch = Op("fallocate", (view["fd"], mode, offset, PAGE))
    if actor.ops and s.rng.random() < 0.5:
        return edit.with_op(s.program, actor.name, s.rng.randrange(len(actor.ops)), punch)
    at = s.rng.randint(0, len(actor.ops))
    return edit.with_inserted(s.program, actor.name, at, punch)


def _args(op: Op) -> dict[str, int]:
    """The arguments of an op by name."""
    return {arg.name: value for arg, value in zip(OPS[op.name].args, op.args, strict=True)}


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

"""Mutations of what ops are done by and to: actors, profile, memslots, files and mappings."""

from __future__ import annotations

from dataclasses import replace

from fuzz import edit
from fuzz.codec import draw_setup
from fuzz.draws import draw_op
from fuzz.mutation.subject import ACTORS_MAX, SETUP_MAX, Subject, new_op
from fuzz.tracker import World
from fuzz.vocabulary import FD_NONE, OPS, PAGE, Actor, Op, Program


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
    names = [arg.name for arg in OPS[op.name].args]
    args = dict(zip(names, op.args, strict=True))
    shift = s.rng.choice((-2, -1, 1, 2)) * PAGE
    if op.name == "set_region":
        others = [o.args[names.index("hva")] for o in s.program.setup if o.name == op.name]
        args["hva"] = s.rng.choice((args["hva"] + shift, s.rng.choice(others) + shift))
    elif args["fd"] == FD_NONE or s.rng.random() < 0.3:
        to_file = args["fd"] == FD_NONE
        args |= {"fd": 0 if to_file else FD_NONE, "share": int(to_file), "offset": 0}
    else:
        args["offset"] += shift
    if min(args["offset"], args["hva"]) < 0:
        return None
    return edit.with_op(s.program, None, at, replace(op, args=tuple(args.values())))


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

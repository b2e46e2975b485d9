"""Crossover: two Programs that each found something new, spliced turn by turn."""

from __future__ import annotations

import random
from dataclasses import replace

from fuzz.mutation.subject import ACTORS_MAX, PREEMPTIONS_MAX
from fuzz.vocabulary import Actor, Program


def splice(one: Program, two: Program, rng: random.Random) -> Program:
    """Crossover: the setup and the first turns of one, then the last turns of the other's actors.

    Preemptions stay with the ops that they preempt.
    """
    names = [actor.name for actor in one.actors]
    names += [actor.name for actor in two.actors if actor.name not in names]
    cut = rng.randint(0, max((len(a.ops) for a in one.actors), default=0))
    skip = rng.randint(0, max((len(a.ops) for a in two.actors), default=0))
    ours = {actor.name: actor.ops[:cut] for actor in one.actors}
    theirs = {actor.name: actor.ops[skip:] for actor in two.actors}
    actors = [Actor(n, (*ours.get(n, ()), *theirs.get(n, ()))) for n in names[:ACTORS_MAX]]
    kept = [actor for actor in actors if actor.ops]
    schedule = [p for p in one.schedule if p.op < len(ours.get(p.actor, ()))]
    schedule += [
        replace(p, op=p.op - skip + len(ours.get(p.actor, ())))
        for p in two.schedule
        if p.op >= skip
    ]
    there = {actor.name for actor in kept}
    points = [p for p in schedule if p.actor in there and p.to in there][:PREEMPTIONS_MAX]
    used = [int(actor.name[4:]) + 1 for actor in kept if actor.name.startswith("vcpu")]
    return replace(
        one,
        actors=tuple(kept) or one.actors,
        schedule=tuple(points) if kept else one.schedule,
        vcpus=max([one.vcpus, *used]),
    )

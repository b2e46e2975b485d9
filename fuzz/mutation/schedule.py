"""Mutations of preemptions; new ones are put where the program is known to pass."""

from __future__ import annotations

from dataclasses import replace

from fuzz import edit
from fuzz.labels import STEP_LABELS
from fuzz.mutation.subject import PREEMPTIONS_MAX, Subject
from fuzz.search import Boundary
from fuzz.vocabulary import Preemption, Program


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

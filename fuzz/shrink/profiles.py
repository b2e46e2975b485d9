"""The pass that moves a program to a plainer profile, within those that a campaign allows.

A finding's profile says on which kernel and MMU a reader has to think it through, so it should
differ from the plainest (fuzz/size.py) in as little as possible: in no coordinate, then in one.
Steps are called differently on different MMUs, so a preemption may move to another label with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from fuzz.labels import STEP_LABELS
from fuzz.size import profile_distance
from fuzz.vocabulary import VMS, Program
from reference.features import PROFILES, Profile


def plainer_profile(allowed: Sequence[Profile] = ()) -> Callable[[Program], Iterator[Program]]:
    """The pass for these profiles; none given means all."""

    def plainer_profile(program: Program) -> Iterator[Program]:
        """The same program on a plainer profile, the plainest first."""
        moved = list(_moved(program, allowed or PROFILES))
        yield from moved
        for candidate in moved:
            yield from _relabelled(candidate)

    return plainer_profile


def _moved(program: Program, allowed: Sequence[Profile]) -> Iterator[Program]:
    here = profile_distance(program.profile, program.vm)
    choices = [
        (profile_distance(profile, vm), replace(program, profile=profile, vm=vm))
        for profile in dict.fromkeys((*allowed, program.profile))
        for vm in VMS
        if vm == VMS[0] or (vm == program.vm and profile.has("sw_protected_vm"))
    ]
    for distance, candidate in sorted(choices, key=lambda choice: choice[0]):
        if distance < here:
            yield candidate


def _relabelled(program: Program) -> Iterator[Program]:
    """The program with one preemption at another step of the same op."""
    ops = {actor.name: actor.ops for actor in program.actors}
    taken = {(p.actor, p.op, p.label) for p in program.schedule}
    for at, p in enumerate(program.schedule):
        for label in STEP_LABELS.get(ops[p.actor][p.op].name, ()):
            if (p.actor, p.op, label) not in taken:
                schedule = list(program.schedule)
                schedule[at] = replace(p, label=label, occurrence=1)
                yield replace(program, schedule=tuple(schedule))

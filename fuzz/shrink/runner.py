"""The shrinker's loop: try candidates, keep what still fails, until a whole round changes nothing.

Deterministic: the same program and predicate give the same result.  Minimal: at the end no
candidate of any pass still fails, so in particular no op, actor or preemption can be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from fuzz.shrink.passes import LAST, STRUCTURE, Pass
from fuzz.shrink.profiles import plainer_profile
from fuzz.shrink.values import VALUES
from fuzz.text import ProgramError, validate
from fuzz.vocabulary import Program
from reference.features import Profile

ATTEMPTS_MAX: Final = 20_000


@dataclass(slots=True)
class Shrunk:
    """The result: the program, how many candidates each pass tried, and whether it is minimal."""

    program: Program
    attempts: dict[str, int] = field(default_factory=dict)
    minimal: bool = True
    chain: list[Program] = field(default_factory=list)  # what was taken on the way, in order


def passes_for(profiles: Sequence[Profile] = ()) -> tuple[Pass, ...]:
    """The table of passes, in order, for a campaign on these profiles; none given means all."""
    return (*STRUCTURE, *VALUES, *LAST, plainer_profile(profiles))


def shrink(
    program: Program,
    still_fails: Callable[[Program], bool],
    attempts_max: int = ATTEMPTS_MAX,
    profiles: Sequence[Profile] = (),
) -> Shrunk:
    """The smallest program that the passes reach and for which `still_fails` holds."""
    result = Shrunk(program)
    tried: set[Program] = {program}
    changed = True
    while changed:
        changed = False
        for one_pass in passes_for(profiles):
            while _improve(result, one_pass, still_fails, tried, attempts_max):
                changed = True
            if not result.minimal:
                return result
    return result


def _improve(
    result: Shrunk,
    one_pass: Pass,
    still_fails: Callable[[Program], bool],
    tried: set[Program],
    attempts_max: int,
) -> bool:
    """Take the first candidate of a pass that still fails; tell whether there was one."""
    name = one_pass.__name__
    for candidate in one_pass(result.program):
        if candidate in tried:
            continue
        if sum(result.attempts.values()) >= attempts_max:
            result.minimal = False
            return False
        tried.add(candidate)
        result.attempts[name] = result.attempts.get(name, 0) + 1
        # Passes give well-formed programs; reading one back costs as much as running it.
        if still_fails(candidate) and _valid(candidate):
            result.program = candidate
            result.chain.append(candidate)
            return True
    return False


def _valid(program: Program) -> bool:
    try:
        validate(program)
    except ProgramError:
        return False
    return True

"""The shrinker's loop: try candidates, keep what still fails, until a whole round changes nothing.

Deterministic: the same program and predicate give the same result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from fuzz.shrink.passes import PASSES
from fuzz.text import ProgramError, validate
from fuzz.vocabulary import Program

ATTEMPTS_MAX: Final = 20_000


@dataclass(slots=True)
class Shrunk:
    """The result: the program, how many candidates each pass tried, and whether it is minimal."""

    program: Program
    attempts: dict[str, int] = field(default_factory=dict)
    minimal: bool = True


def shrink(
    program: Program, still_fails: Callable[[Program], bool], attempts_max: int = ATTEMPTS_MAX
) -> Shrunk:
    """The smallest program that the passes reach and for which `still_fails` holds."""
    result = Shrunk(program)
    tried: set[Program] = {program}
    changed = True
    while changed:
        changed = False
        for one_pass in PASSES:
            while _improve(result, one_pass.__name__, one_pass, still_fails, tried, attempts_max):
                changed = True
            if not result.minimal:
                return result
    return result


def _improve(
    result: Shrunk,
    name: str,
    one_pass: Callable[[Program], object],
    still_fails: Callable[[Program], bool],
    tried: set[Program],
    attempts_max: int,
) -> bool:
    """Take the first candidate of a pass that still fails; tell whether there was one."""
    for candidate in one_pass(result.program):  # type: ignore[attr-defined]
        if candidate in tried or not _valid(candidate):
            continue
        if sum(result.attempts.values()) >= attempts_max:
            result.minimal = False
            return False
        tried.add(candidate)
        result.attempts[name] = result.attempts.get(name, 0) + 1
        if still_fails(candidate):
            result.program = candidate
            return True
    return False


def _valid(program: Program) -> bool:
    try:
        validate(program)
    except ProgramError:
        return False
    return True

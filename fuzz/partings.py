"""Whether the two sides of a program take different steps, and whether that tells anything.

A patch that acts is followed by other steps long before a rule breaks, if one ever does: such a
program is nearer to a finding than others.  It says nothing under a patch that acts in nearly every
run.  fuzz/c/parting.c is the same for the C engine, which also knows where the sides part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fuzz.execution import Run

RARE: Final = 3  # partings tell something as long as not one in so many programs shows one
ENOUGH: Final = 32  # programs, before that can be said


def part(ours: Run, theirs: Run) -> bool:
    """Whether two runs of a program went different ways, as far as numbers and results show."""
    if ours is theirs:
        return False
    return (ours.end, ours.steps, ours.results) != (theirs.end, theirs.steps, theirs.results)


@dataclass(slots=True)
class Partings:
    """How many programs were run, and how many parted."""

    programs: int = 0
    parted: int = 0

    def count(self, parted: bool) -> bool:
        """Count one more; returns whether it parted and that tells something."""
        self.programs += 1
        self.parted += parted
        return parted and self.programs >= ENOUGH and self.parted < self.programs // RARE

"""What the exit codes mean; scripts and the Makefile rely on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

CLEAN: Final = 0
FINDING: Final = 1  # a rule is broken, the sides differ, or something is not as expected
BAD_INPUT: Final = 2  # the command line, a program, or an overlay
INTERNAL: Final = 3  # our own code failed
SKIPPED: Final = 4  # something optional is missing; the reason was printed
NOTHING: Final = 5  # there was nothing to execute
INCONCLUSIVE: Final = 6  # a search ran out of budget, and nothing worse was found
INTERRUPTED: Final = 130
PIPE: Final = 141  # the reader of our output went away

_WORST_FIRST: Final = (
    INTERRUPTED,
    INTERNAL,
    BAD_INPUT,
    FINDING,
    INCONCLUSIVE,
    NOTHING,
    SKIPPED,
    CLEAN,
)


def worst(codes: Iterable[int]) -> int:
    """The code that says most of several jobs; CLEAN when there were none."""
    return min(codes, key=_WORST_FIRST.index, default=CLEAN)

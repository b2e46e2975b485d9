"""The strategies by name, for the command line and the benchmark."""

from __future__ import annotations

from typing import Final

from fuzz.strategies.pct import DEPTH, Pct
from fuzz.strategies.round_robin import RoundRobin
from fuzz.strategies.strategy import Chance, Strategy
from fuzz.strategies.walk import Walk
from fuzz.strategies.windows import Windows

REPLAY: Final = "replay"  # the schedule that a program comes with: no strategy of its own
NAMES: Final = ("walk", "pct", "windows", "round-robin")


def make_strategy(name: str, seed: int, depth: int = DEPTH) -> Strategy:
    """One of NAMES, new.  The same name, seed and programs give the same runs."""
    match name:
        case "walk":
            return Walk(Chance(seed))
        case "pct":
            return Pct(Chance(seed), depth)
        case "windows":
            return Windows(Chance(seed))
        case "round-robin":
            return RoundRobin()
    raise ValueError(f"{name!r} is none of {', '.join(NAMES)}")

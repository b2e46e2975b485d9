"""Guided by windows: whoever stands in a window is left there, for an op that was rarely in it.

The windows are those of fuzz/windows.py: stretches in which another task can do harm.  The rarer
a pair of a window and an op has been so far, the likelier that op is let in; what was never seen
gets every second chance, what is common at least every sixteenth.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from fuzz.strategies.strategy import Chance, Place
from fuzz.vocabulary import Program
from fuzz.windows import CLOSES, CONDITIONS, OPENS, OPENS_FOR_OP

RARE: Final = 2  # one chance in so many, for a pair that was never seen
COMMON: Final = 16  # the same, for any pair


class Windows:
    """Lets ops into the windows of others."""

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        self.entered: Counter[tuple[int, str]] = Counter()  # window bit and op -> how often
        self.names: list[list[str]] = []  # of ops, by actor
        self.open: dict[tuple[int, int], int] = {}  # actor and op -> its open windows
        self.at: list[int] = []  # the op that each actor is at, as far as seen

    def begin(self, program: Program) -> None:
        """No window is open."""
        self.names = [[op.name for op in actor.ops] for actor in program.actors]
        self.open = {}
        self.at = [0] * len(self.names)

    def choose(self, place: Place) -> int:
        """An op that was rarely in the windows that are open here, or whose turn it is."""
        if not place.running:
            self.at[place.actor] = place.op
            return place.actor
        here = (place.actor, place.op)
        bits = self.open[here] = self._after(place, self.open.get(here, 0))
        if not bits or len(place.runnable) < 2:
            return place.actor
        rarest, who, pair = -1, place.actor, (0, "")
        first = self.chance.draw(len(place.runnable))  # of equals, any
        for turn in range(len(place.runnable)):
            other = place.runnable[(first + turn) % len(place.runnable)]
            name = self._next_op(other)
            if other == place.actor or not name:
                continue
            for bit in _bits(bits):
                seen = self.entered[bit, name]
                if rarest < 0 or seen < rarest:
                    rarest, who, pair = seen, other, (bit, name)
        if rarest < 0 or self.chance.draw(min(COMMON, RARE + rarest)):
            return place.actor
        self.entered[pair] += 1
        return who

    def gave_up(self, actor: int) -> None:
        """The next in turn goes on."""

    def _after(self, place: Place, before: int) -> int:
        """The windows that an op has open after the step that it took."""
        took = place.took
        bits = before & ~CLOSES.get(took, 0) | OPENS.get(took, 0)
        for bit, after, when in CONDITIONS.get(took, ()):
            if (not after or before & after) and (when is None or when(place.kvm)):
                bits |= bit
        return bits | OPENS_FOR_OP.get((self.names[place.actor][place.op], took), 0)

    def _next_op(self, actor: int) -> str:
        """The op that an actor would go on with."""
        names, at = self.names[actor], self.at[actor]
        return names[at] if at < len(names) else ""


def _bits(mask: int) -> list[int]:
    return [1 << at for at in range(mask.bit_length()) if mask >> at & 1]

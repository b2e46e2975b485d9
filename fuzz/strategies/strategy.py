"""The one interface of all strategies, and the chance that they draw from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from fuzz.vocabulary import Program

if TYPE_CHECKING:
    from reference.kvm import Kvm

_U64: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15


class Chance:
    """SplitMix64 (Steele, Lea, Flood, 2014): any seed will do, and C draws the same."""

    __slots__ = ("state",)

    def __init__(self, seed: int) -> None:
        self.state = seed & _U64

    def draw(self, below: int) -> int:
        """A number from 0 on, below `below` (at most 2**32)."""
        self.state = mixed = (self.state + _GOLDEN) & _U64
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _U64
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _U64
        return ((mixed ^ mixed >> 31) >> 32) * below >> 32


@dataclass(slots=True)
class Place:
    """Where a choice is to be made: somebody is about to take a step, or to get a turn.

    actor: who goes on unless somebody else is chosen, by number; in `runnable`.
    op: number of its op.  label, occurrence: as a preemption here would say.
    running: it has been running; else its turn comes, and letting another run costs nothing.
    took: label of the step that it has just taken; empty when it was not running.
    runnable: numbers of the actors that can go on, ascending.
    """

    kvm: Kvm
    actor: int = 0
    op: int = 0
    label: str = ""
    occurrence: int = 1
    running: bool = False
    took: str = ""
    runnable: list[int] = field(default_factory=list)


class Strategy(Protocol):
    """Decides who goes on.  It may learn from run to run, from nothing else than these calls."""

    def begin(self, program: Program) -> None:
        """A run of this program begins."""

    def choose(self, place: Place) -> int:
        """The number of the actor to go on, one of `place.runnable`."""

    def gave_up(self, actor: int) -> None:
        """An actor has to try again, and gives up its turn: let others go first."""

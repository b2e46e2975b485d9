"""Who fuzzes for a campaign: worker processes of this machine, or slices on a cluster.

The supervisor looks after the members of a crew as it does after triage, and knows no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from fuzz.counted import counted
from tools.campaign.layout import Layout
from tools.campaign.records.totals import Totals
from tools.campaign.settings import Settings
from tools.campaign.supervise.slot import Timing
from tools.campaign.supervise.worker_slot import WorkerSlot
from tools.campaign.views.snapshot import Tell, WorkerView


class Member(Protocol):
    """Something that runs, is told the time once a tick, and ends when asked; a Slot is one."""

    grace: float  # seconds that it has to end in good order

    @property
    def over(self) -> bool:
        """Whether nothing runs, and nothing will."""

    @property
    def refused(self) -> bool:
        """Whether it cannot work with what it was given."""

    def tick(self, now: float) -> None:
        """Do what is due.  May raise OSError when the disk is full: then again next time."""

    def stop(self, now: float) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it at once."""


class Crew(Protocol):
    """All that fuzz."""

    @property
    def members(self) -> Sequence[Member]:
        """Whom the supervisor looks after."""

    @property
    def words(self) -> str:
        """Who that is, in a few words."""

    @property
    def brings_more(self) -> bool:
        """Whether programs may still come in that triage should wait for."""

    def views(self, now: float) -> tuple[WorkerView, ...]:
        """The workers as they are shown."""


Room: TypeAlias = Callable[[], bool]  # whether the disk takes a small file
CrewMaker: TypeAlias = Callable[[Layout, Settings, Totals, Timing, Tell, Room], Crew]


class LocalCrew:
    """Worker processes of this machine.

    They write into the queue themselves, and triage looks at it once more when they have ended.
    """

    brings_more = False

    def __init__(self, members: Sequence[WorkerSlot]) -> None:
        self.members = members

    @property
    def words(self) -> str:
        """How many."""
        return counted(len(self.members), "worker")

    def views(self, now: float) -> tuple[WorkerView, ...]:
        """One for each slot."""
        return tuple(slot.view(now) for slot in self.members)

    @staticmethod
    def maker(jobs: int, command: Callable[[Path, int], list[str]]) -> CrewMaker:
        """Makes a crew of so many workers."""

        def make(
            layout: Layout,
            settings: Settings,
            totals: Totals,
            timing: Timing,
            tell: Tell,
            room: Room,
        ) -> LocalCrew:
            root = layout.root.absolute()
            return LocalCrew([
                WorkerSlot(n, command(root, n), layout, settings, totals, timing, tell, room)
                for n in range(jobs)
            ])  # fmt: skip

        return make

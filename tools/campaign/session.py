"""How one session of a campaign is run, and how it ended: what is not in its settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tools import exits
from tools.campaign.records.listing import Accepted, nothing_accepted
from tools.campaign.supervise.crew import CrewMaker
from tools.campaign.supervise.process import module_command
from tools.campaign.supervise.slot import Timing
from tools.campaign.views.snapshot import Snapshot


def worker_command(root: Path, number: int) -> list[str]:
    """The command of one worker."""
    return module_command("tools.campaign.child.worker", str(root), str(number))


def triager_command(root: Path) -> list[str]:
    """The command of triage."""
    return module_command("tools.campaign.triage.triager", str(root))


@dataclass(frozen=True, slots=True)
class Session:
    """What to run, for how long, and what to do with what is found."""

    jobs: int = 1
    time_max: float | None = None  # seconds; None: until it is stopped
    hook: tuple[str, ...] = ()  # words of the command run on each new finding
    accepted: Accepted = nothing_accepted
    command_line: str = ""
    timing: Timing = field(default_factory=Timing)
    worker: Callable[[Path, int], list[str]] = worker_command
    triager: Callable[[Path], list[str]] = triager_command
    crew: CrewMaker | None = None  # who fuzzes; None: processes of this machine


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a session ended."""

    snapshot: Snapshot  # the last one
    executions: int  # in this session
    errors: int  # programs on which our own code failed, in this session
    gave_up: tuple[str, ...]  # why, when processes could not be kept running
    interrupted: bool
    refused: bool = False  # what the processes were given cannot be used; gave_up says why

    @property
    def code(self) -> int:
        """The exit code: what a build must know comes first.

        A finding outweighs errors of our own, which a long campaign must survive; and Ctrl-C is
        the way to end one without a time limit, so it does not hide findings.
        """
        if self.refused:
            return exits.BAD_INPUT
        if self.gave_up:
            return exits.INTERNAL
        if self.snapshot.new_findings:
            return exits.FINDING
        if self.interrupted:
            return exits.INTERRUPTED
        if not self.executions:
            return exits.NOTHING
        if self.errors:
            return exits.INTERNAL
        # What waits for triage may be a finding.
        return exits.INCONCLUSIVE if self.snapshot.queue else exits.CLEAN

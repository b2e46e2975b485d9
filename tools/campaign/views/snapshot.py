"""A campaign at one moment, as plain data, and who is shown it.

The supervisor makes one Snapshot about every second and hands it to a View: a live screen, plain
lines, or nothing at all.  ``gmemdiff status`` makes the same from the files of a campaign that
somebody else runs, or that has ended.  A view knows nothing of processes and files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from fuzz.judge import BOTH, PATCHED_ONLY, REFERENCE_ONLY, UNSETTLED
from tools.campaign.settings import Settings

SIDES: Final = (PATCHED_ONLY, UNSETTLED, BOTH, REFERENCE_ONLY)  # against the patch first

# What a campaign is doing.
STARTING: Final = "starting"
RUNNING: Final = "running"
STOPPING: Final = "stopping"  # workers and triage are asked to end
ENDED: Final = "ended"

# What happened, as `Event.kind`.
STARTED: Final = "started"
STOPPED: Final = "stopped"
REPAIRED: Final = "repaired"
FOUND: Final = "found"  # a new finding
WORKER_DIED: Final = "worker-died"
WORKER_HUNG: Final = "worker-hung"  # killed; its input is in hangs/
WORKER_REPLACED: Final = "worker-replaced"  # it used too much memory
TRIAGER_DIED: Final = "triager-died"
GAVE_UP: Final = "gave-up"  # a process died too often right after its start
DISK_FULL: Final = "disk-full"
DISK_FREE: Final = "disk-free"  # there is room again
HOOK_FAILED: Final = "hook-failed"
CLUSTER: Final = "cluster"  # its scheduler, a host or its location went away, or came back


def side_rank(side: str) -> int:
    """Where findings of a side stand in lists; sides that are not known come last."""
    return SIDES.index(side) if side in SIDES else len(SIDES)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened once, with a sentence that says it."""

    time: float  # unix
    kind: str  # one of the names above
    text: str


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker slot; the process in it may change."""

    number: int
    pid: int  # 0: there is no process now
    state: str  # "starting", "running", "disk full", "restarts in 3 s", "stopping", "gone"
    executions: int  # by all processes of this slot since the supervisor started
    rate: float  # executions a second, lately
    rss_mb: float
    restarts: int


@dataclass(frozen=True, slots=True)
class FindingView:
    """One finding, as lists show it."""

    fingerprint: str
    headline: str
    rule: str
    site: str
    side: str  # of fuzz/judge.py; also "hang" findings have one
    count: int  # programs that showed it
    first_seen: str  # UTC, ISO 8601
    found_after: float  # seconds of fuzzing
    path: str  # of its program
    accepted: str = ""  # the reason in the reviewed file; empty: it is not accepted
    broken: str = ""  # why its folder cannot be read; the rest is then empty but for fingerprint
    kernels: str = ""  # what real kernels said of it; empty: none was asked


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that there is to show.  Times are unix seconds, 0 for never.

    invariant: counts are of the whole campaign, over all its sessions, unless it says otherwise.
    """

    root: str
    settings: Settings
    state: str = STARTING
    now: float = 0.0
    started: float = 0.0  # of this session; of the last one when none is running
    session_time: float = 0.0  # seconds
    run_time: float = 0.0  # seconds of fuzzing, all sessions
    time_max: float | None = None  # seconds after which this session ends
    executions: int = 0
    steps: int = 0
    hits: int = 0  # programs with a broken rule or a difference in the quick look
    inconclusive: int = 0
    errors: int = 0  # programs on which our own code failed
    rate: float = 0.0  # executions a second, all workers, lately
    rate_mean: float = 0.0  # over this session
    corpus: int = 0  # files
    lines: int = 0  # of the models, covered
    lines_total: int = 0
    pairs: int = 0  # ordered pairs of steps of different actors that met on an object
    windows: int = 0  # (window, op) pairs entered
    windows_entered: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    benefit: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # reference, patched
    queue: int = 0  # programs that wait for triage
    hangs: int = 0
    quarantined: int = 0
    findings: tuple[FindingView, ...] = ()  # those against the patch first, then by fingerprint
    last_cover: float = 0.0  # when coverage last grew
    last_finding: float = 0.0
    last_hang: float = 0.0
    workers: tuple[WorkerView, ...] = ()
    triager: str = ""  # as WorkerView.state; empty: there is none
    events: tuple[Event, ...] = ()  # since the snapshot before this one
    waiting: str = ""  # "disk full" while nothing can be written

    @property
    def new_findings(self) -> tuple[FindingView, ...]:
        """The findings that nobody has accepted; what fails a build."""
        return tuple(f for f in self.findings if not f.accepted and not f.broken)

    @property
    def peak_rss_mb(self) -> float:
        """Memory of the largest worker now."""
        return max((w.rss_mb for w in self.workers), default=0.0)

    def by_side(self) -> dict[str, int]:
        """How many findings there are of each side, accepted ones included; sorted by name."""
        counts: dict[str, int] = {}
        for finding in sorted(self.findings, key=lambda f: f.side):
            if not finding.broken:
                counts[finding.side] = counts.get(finding.side, 0) + 1
        return counts


class Tell(Protocol):
    """Takes what happened: a kind of event, and a sentence."""

    def __call__(self, kind: str, text: str) -> None: ...


class View(Protocol):
    """Is shown a campaign while it runs."""

    def show(self, snapshot: Snapshot) -> None:
        """A tick has passed; called about once a second, and once more at the end."""

    def close(self) -> None:
        """Leave the terminal as it was; called once, also after an error."""

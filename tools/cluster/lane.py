"""One place in the cluster where slices of the campaign run, one after the other.

A lane has the number and the folder of a worker, so its counts are summed, shown and survive like
those of a local one: the last beat of a try is that worker's stats.json, folded into the totals
when the try is over or lost.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tools.campaign.layout import Layout, write_whole
from tools.campaign.records.totals import Identity, Totals, fold, identity
from tools.campaign.supervise.rate import Rate
from tools.campaign.views.snapshot import WORKER_DIED, Tell, WorkerView
from tools.cluster.engine import Ticket
from tools.cluster.job import Job


class Lane:
    """Where slice after slice runs; which host that is changes."""

    def __init__(self, number: int, layout: Layout, totals: Totals, tell: Tell) -> None:
        self.number = number
        self.layout = layout
        self.totals = totals
        self.tell = tell
        self.ticket: Ticket | None = None
        self.job: Job | None = None
        self.begun = 0.0
        self.allowed: Sequence[str] | None = None  # workers that may run it; None: all
        self.lost = 0  # tries whose worker was lost
        self.beat: dict[str, Any] = {}
        self._unwritten = False
        self._who: Identity | None = None  # the try that beats
        self._gone: set[Identity] = set()  # tries of this slice that are over
        self._said = 0  # events of this try that were told here
        self._before = 0  # executions of tries before this one
        self._rate = Rate()
        layout.worker(number).mkdir(parents=True, exist_ok=True)

    @property
    def busy(self) -> bool:
        """Whether there is a slice."""
        return self.ticket is not None

    def begin(self, job: Job, ticket: Ticket, now: float, allowed: Sequence[str] | None) -> None:
        """A slice was given to the cluster."""
        assert not self.busy
        self.job, self.ticket, self.begun, self.allowed = job, ticket, now, allowed
        self._gone = set()

    def hear(self, beat: dict[str, Any]) -> None:
        """A try of the slice says what it has counted.  May raise OSError.

        Another try than before means that the one before was lost.  Should it be alive after
        all, cut off from the scheduler only, then nobody listens to it any more.
        """
        who = identity(beat)
        if who in self._gone:
            return
        if self._who is not None and who != self._who:
            self._lost(beat)
        self._who, self.beat, self._unwritten = who, beat, True
        self._write()
        self._pass_on()

    def _lost(self, beat: dict[str, Any]) -> None:
        assert self.job is not None
        before = str(self.beat.get("host"))
        self.settle()
        self.lost += 1
        self.tell(
            WORKER_DIED,
            f"{self.job.name} was lost with its worker on {before}; it runs again on "
            f"{beat.get('host')}",
        )

    def settle(self) -> None:
        """The try is over: its counts are final.  May raise OSError: then again later."""
        self._write()
        if self._who is not None:
            fold(self.layout, self.totals, self.number)
            self._gone.add(self._who)
            self._before += _count(self.beat)
        self._who, self.beat, self._said = None, {}, 0

    def end(self) -> None:
        """The slice is over, and the lane is free.  May raise OSError: then again later."""
        self.settle()
        self.job = self.ticket = None

    def _write(self) -> None:
        if self._unwritten:
            path = self.layout.worker(self.number) / "stats.json"
            write_whole(path, json.dumps(self.beat, sort_keys=True))
            self._unwritten = False

    def _pass_on(self) -> None:
        events = self.beat.get("events")
        events = events if isinstance(events, list) else []
        for _, kind, text in events[self._said :]:
            self.tell(str(kind), f"{self.beat.get('host')}: {text}")
        self._said = len(events)

    def view(self, now: float) -> WorkerView:
        """The lane as it is shown."""
        executions = self._before + _count(self.beat)
        state = str(self.beat.get("waiting") or self.beat.get("state") or "starting")
        return WorkerView(
            self.number,
            int(self.beat.get("pid") or 0),
            state,
            executions,
            self._rate.at(now, executions),
            float(self.beat.get("rss_mb") or 0.0),
            self.lost,
        )


def _count(beat: dict[str, Any]) -> int:
    return int(beat.get("executions") or 0)

"""One slice of a campaign, run by a worker of the cluster: a fuzzing process for some seconds.

It is a pure task: it needs nothing but its arguments and the share, and changes the share only by
adding to it, so Dask may run it again anywhere when its worker is lost.  What the lost try had
sent stays; what it ran since its last beat (a few seconds) is not counted.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from tools.campaign.layout import Layout
from tools.campaign.records.totals import Totals, campaign_totals, read_stats
from tools.campaign.session import worker_command
from tools.campaign.settings import settings_text
from tools.campaign.supervise.disk import Disk
from tools.campaign.supervise.slot import Timing
from tools.campaign.supervise.worker_slot import WorkerSlot
from tools.campaign.views.snapshot import GAVE_UP
from tools.cluster.away import Away
from tools.cluster.build import build_id
from tools.cluster.errand import Errand
from tools.cluster.job import Job, RefusedError, SliceError, unpack
from tools.cluster.share import Share, ShareError

# A slice gives up sooner than a supervisor does: the campaign decides whether to go on.
TIMING: Final = Timing(tick=0.5, deaths_max=3)
FINAL_SECONDS: Final = 60.0  # to send the rest when the location does not answer
RETRY_SECONDS: Final = 2.0


class Slice:
    """One try of one slice."""

    def __init__(
        self,
        job: Job,
        layout: Layout,
        command: Callable[[Path, int], list[str]] = worker_command,
        address: str = "",
        timing: Timing = TIMING,
        final_seconds: float = FINAL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.job = job
        self.layout = layout
        self.address = address
        self.timing = timing
        self.final_seconds = final_seconds
        self.clock, self.wall, self.sleep = clock, wall, sleep
        self.host = socket.gethostname()
        self.started = wall()
        self.totals = Totals()
        self.events: list[tuple[float, str, str]] = []
        self.trouble = ""  # with the share, since the last exchange that went well
        self.gave_up = ""
        self.ending = False
        self.share = Share(job.share)
        self.away = Away(self.share, layout, job.session)
        self.errand = Errand(self._exchange, f"exchange of {job.name}")
        settings = unpack(job, layout)
        self.disk = Disk(layout, timing.ballast, self.tell)
        self.slot = WorkerSlot(
            0, command(layout.root, 0), layout, settings, self.totals, timing, self.tell,
            self.disk.room,
        )  # fmt: skip

    def tell(self, kind: str, text: str) -> None:
        """Something happened: told at home with the next beat."""
        text = text.replace(f"{self.layout.root}/", "")
        if kind == GAVE_UP:
            self.gave_up = text  # this slice is over, not the campaign
        else:
            self.events.append((self.wall(), kind, text))

    def run(self) -> dict[str, Any]:
        """Fuzz until the time is over or the session ends; returns what was counted."""
        deadline = self.clock() + self.job.seconds
        self._reachable()
        next_exchange = self.clock() + self.job.every
        try:
            while not self.slot.over:
                now = self.clock()
                self.disk.tick(now)
                self.disk.guard(partial(self.slot.tick, now))
                if (now >= deadline or self.ending) and self.slot.stopping_since is None:
                    if not self.disk.guard(self.layout.stop.touch):
                        self.slot.grace = 0.0  # it cannot see a file that is not there
                    self.slot.stop(now)
                if self.errand.running:
                    self._take()
                elif now >= next_exchange:
                    self.errand.start()
                    next_exchange = now + self.job.every
                self.sleep(self.timing.tick)
        finally:
            self.slot.kill()
            self.disk.guard(partial(self.slot.tick, self.clock()))
        self._finish()
        if self.gave_up:
            raise SliceError(f"{self.host}: {self.gave_up}", self.address)
        return self.beat("done")

    def _reachable(self) -> None:
        """A first exchange; a host that sees another location or none is of no use."""
        try:
            theirs = self.share.read("campaign.json")
            if theirs == settings_text(self.job.settings).encode():
                self.away.exchange()
                return
        except ShareError as error:
            raise RefusedError(f"{self.host}: {error}", self.address) from error
        raise RefusedError(
            f"{self.host}: sees another campaign or none at {self.share.url}; every host must "
            "reach the same location, see --share",
            self.address,
        )

    def _exchange(self) -> bool:
        ending = self.away.exchange()
        self.away.beat(self.job.name, self.beat(self.slot.state()))
        return ending

    def _take(self, wait_seconds: float = 0.0) -> None:
        """What the exchange came to, if it is over; when it failed, the next one is as good."""
        try:
            ending = self.errand.take(wait_seconds)
        except (ShareError, OSError) as error:
            self.trouble = str(error)
            return
        if ending is not None:
            self.trouble, self.ending = "", self.ending or ending

    def _finish(self) -> None:
        """Send the rest.  Raises SliceError when that cannot be done: then it is run again."""
        deadline = self.clock() + self.final_seconds
        if self.errand.running:  # one that began before the worker had ended
            self._take(self.final_seconds)
        while True:
            if not self.errand.running:
                self.errand.start()
            self._take(max(0.0, deadline - self.clock()))
            if not self.errand.running and not self.trouble:
                return
            if self.clock() >= deadline:
                why = self.trouble or f"{self.share.url} does not answer"
                text = f"{self.host}: the end of a slice could not be sent: {why}"
                raise SliceError(text, self.address)
            self.sleep(RETRY_SECONDS)

    def beat(self, state: str) -> dict[str, Any]:
        """What was counted so far, as a worker's stats.json has it, and who counted it."""
        counted = json.loads(campaign_totals(self.layout, self.totals).to_json())
        del counted["folded"]
        waiting = read_stats(self.layout, 0).get("waiting") or self.trouble
        return {
            **counted,
            "pid": os.getpid(),
            "start": self.started,
            "now": self.wall(),
            "host": self.host,
            "address": self.address,
            "state": state,
            "waiting": waiting,
            "rss_mb": self.slot.rss_mb,
            "restarts": self.slot.restarts,
            "events": [list(event) for event in self.events],
        }


def run_slice(
    job: Job,
    command: Callable[[Path, int], list[str]] = worker_command,
    scratch: str | None = None,
    address: str = "",
) -> dict[str, Any]:
    """Run one slice here.  Raises SliceError, RefusedError."""
    if job.build != build_id():
        raise RefusedError(
            f"{socket.gethostname()}: has gmemdiff {build_id()}, the campaign runs {job.build}; "
            "install the same on every host",
            address,
        )
    with tempfile.TemporaryDirectory(prefix="slice-", dir=scratch) as folder:
        return Slice(job, Layout(Path(folder)), command, address).run()

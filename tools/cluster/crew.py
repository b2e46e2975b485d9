"""The crew of a campaign that runs on a cluster: slice after slice on each of its workers.

It keeps as many slices in flight as the cluster has threads at the moment, and one exchange with
the share going.  Whatever waits for the network does so in an errand, so a tick never waits.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from tools.campaign.layout import Layout, write_whole
from tools.campaign.records.totals import Totals
from tools.campaign.settings import Settings
from tools.campaign.supervise.slot import Timing
from tools.campaign.views.snapshot import CLUSTER, GAVE_UP, WORKER_DIED, Tell, WorkerView
from tools.cluster.build import build_id
from tools.cluster.engine import ClusterError, Engine, GoneError
from tools.cluster.errand import Errand
from tools.cluster.home import Fetched, Home
from tools.cluster.job import Job, RefusedError, SliceError, overlays
from tools.cluster.lane import Lane
from tools.cluster.share import ShareError

STRIKES: Final = 3  # failed slices in a row, then a worker gets no more
OVERDUE: Final = 300.0  # seconds after which a slice that should have ended is given up
STOP_SECONDS: Final = 5.0  # to tell the slices, when there is no time to wait for them
SLICE_MIN: Final = 3.0  # seconds; a shorter slice would only load the corpus


@dataclass(frozen=True, slots=True)
class Plan:
    """How a cluster is used.  Times are in seconds."""

    jobs: int | None = None  # at most so many slices at once; None: as the cluster has threads
    time_max: float | None = None  # of the session: slices end with it
    slice_seconds: float = 300.0  # long against what it takes to load a corpus
    every: float = 5.0  # between exchanges
    patience: float = 60.0  # for slices to end when asked


class ClusterCrew:
    """All slices of one session; a crew with itself as its only member."""

    def __init__(
        self,
        engine: Engine,
        home: Home,
        plan: Plan,
        layout: Layout,
        settings: Settings,
        totals: Totals,
        timing: Timing,
        tell: Tell,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.engine, self.home, self.plan = engine, home, plan
        self.layout, self.settings, self.totals, self.tell = layout, settings, totals, tell
        self.clock = clock
        self.members = (self,)
        self.grace = plan.patience
        self.refused = False
        self.session = f"{int(wall() * 1000):x}"
        self.models = overlays(settings)
        self.lanes: list[Lane] = []
        self.capacity: dict[str, int] = {}
        self.shunned: dict[str, str] = {}  # address -> why
        self.strikes: Counter[str] = Counter()
        self.backoff = timing.backoff()
        self.begun = clock()
        self.start_at = 0.0  # no slice is begun before
        self.stopping_since: float | None = None
        self.gave_up = False
        self._number = self._next_number()
        self._troubles: dict[str, str] = {}  # what does not answer -> why
        self._census = Errand(engine.capacity, "census of the cluster")
        self._exchange = Errand(self._go_home, "exchange with the share")
        self._census_at = self._exchange_at = 0.0
        self._last_word = False  # an exchange has begun after the last slice ended
        self._over = False

    @property
    def words(self) -> str:
        """Which cluster, and by way of which location."""
        return f"cluster {self.engine.address}, location {self.home.share.url}"

    @property
    def brings_more(self) -> bool:
        """Slices send what they have until the end, and it is fetched after that."""
        return not self._over

    @property
    def over(self) -> bool:
        """Whether no slice runs, and what they brought is here."""
        return self._over

    def views(self, now: float) -> tuple[WorkerView, ...]:
        """The lanes with a slice."""
        return tuple(lane.view(now) for lane in self.lanes if lane.busy)

    def stop(self, now: float) -> None:
        """Ask the slices to end, by way of the share."""
        if self.stopping_since is None:
            self.stopping_since = now
            self._exchange_at = 0.0

    def kill(self) -> None:
        """Wait for nobody.  What slices send from now on is fetched by the next session."""
        if self._over:
            return
        for lane in self.lanes:
            if lane.ticket is not None:
                lane.ticket.forget()
            with suppress(OSError):
                lane.end()
        ask = Errand(lambda: self.home.stop(self.session), "stop of the slices")
        ask.start()
        with suppress(ShareError):
            ask.take(STOP_SECONDS)
        self._close()

    def tick(self, now: float) -> None:
        """One turn.  May raise OSError for the disk of the campaign: then again next time."""
        if self._over:
            return
        self._take_census(now)
        self._take_exchange(now)
        for lane in self.lanes:
            if lane.ticket is not None and lane.ticket.done:
                self._ended(lane, now)
            elif lane.job is not None and now - lane.begun >= lane.job.seconds + OVERDUE:
                self._overdue(lane)
        if self.stopping_since is None:
            self._free_stranded()
            self._fill(now)
        else:
            self._wind_down(now)

    def _take_census(self, now: float) -> None:
        try:
            found = self._census.take()
        except ClusterError as error:
            self.capacity = {}
            self._trouble("scheduler", str(error))
        else:
            if found is not None:
                self.capacity = found
                self._trouble("scheduler", "")
                nobody = "" if found else f"cluster {self.engine.address} has no workers now"
                self._trouble("workers", nobody)
        if not self._census.running and now >= self._census_at:
            self._census_at = now + self.plan.every
            self._census.start()

    def _take_exchange(self, now: float) -> None:
        try:
            fetched = self._exchange.take()
        except ShareError as error:
            self._trouble("location", str(error))
        else:
            if fetched is not None:
                self._trouble("location", "")
                self._hear(fetched)
                if self._last_word:
                    self._close()
                    return
        if not self._exchange.running and now >= self._exchange_at:
            self._exchange_at = now + self.plan.every
            self._last_word = self.stopping_since is not None and not self._busy()
            self._exchange.start()

    def _go_home(self) -> Fetched:
        if self.stopping_since is not None:
            self.home.stop(self.session)
        return self.home.exchange([lane.job.name for lane in self.lanes if lane.job is not None])

    def _hear(self, fetched: Fetched) -> None:
        for path in fetched.torn:
            self.tell(CLUSTER, f"{self.home.share.url}/{path} was torn; it is in quarantine/ there")
        for lane in self.lanes:
            if lane.job is not None and lane.job.name in fetched.beats:
                lane.hear(fetched.beats[lane.job.name])

    def _trouble(self, what: str, why: str) -> None:
        """Say once that something does not answer, and once that it does again."""
        if why and not self._troubles.get(what):
            self.tell(CLUSTER, f"{why}; waiting")
        elif not why and self._troubles.get(what):
            self.tell(CLUSTER, f"the cluster's {what}: there again")
        self._troubles[what] = why

    def _ended(self, lane: Lane, now: float) -> None:
        """A slice is over, one way or another."""
        assert lane.ticket is not None
        assert lane.job is not None
        name, lived = lane.job.name, now - lane.begun
        try:
            beat = lane.ticket.result()
        except GoneError as error:
            lane.end()
            self.start_at = max(self.start_at, now + self.plan.every)
            self.tell(WORKER_DIED, f"{name}: {error}; another slice takes its place")
        except SliceError as error:
            lane.end()
            self._failed(name, error, now, lived)
        else:
            lane.hear(beat)
            lane.end()
            self.strikes.pop(str(beat.get("address")), None)
            self.backoff.deaths = 0

    def _overdue(self, lane: Lane) -> None:
        """A host that hangs, or far more slices than threads: do not wait for it for ever."""
        assert lane.ticket is not None
        assert lane.job is not None
        lane.ticket.forget()
        self.tell(WORKER_DIED, f"{lane.job.name} is overdue; another slice takes its place")
        lane.end()

    def _failed(self, name: str, error: SliceError, now: float, lived: float) -> None:
        """A worker that fails time and again gets no more slices; others go on."""
        self.strikes[error.address] += 1
        refused = isinstance(error, RefusedError)
        if error.address and (refused or self.strikes[error.address] >= STRIKES):
            self.shunned[error.address] = str(error)
            self.tell(CLUSTER, f"{error}; worker {error.address} gets no more slices")
            if not set(self.capacity) - set(self.shunned):
                self.refused = refused
                self._give_up(f"no worker of the cluster can be used, last because of {error}")
            return
        delay = self.backoff.died(lived)
        self.start_at = max(self.start_at, now + delay)
        if self.backoff.hopeless:
            self._give_up(f"slices fail one after the other, last of: {error}")
        else:
            self.tell(WORKER_DIED, f"{name} failed: {error}; another slice takes its place")

    def _give_up(self, why: str) -> None:
        if not self.gave_up:
            self.gave_up = True
            self.tell(GAVE_UP, why)

    def _free_stranded(self) -> None:
        """Slices whose every allowed worker has left wait for nothing: give them up."""
        for lane in self.lanes:
            if lane.ticket is None or lane.allowed is None or not self.capacity:
                continue
            if not set(lane.allowed) & set(self.capacity):
                lane.ticket.forget()
                lane.end()

    def _fill(self, now: float) -> None:
        """A slice for every thread that has none."""
        seconds = self.plan.slice_seconds
        if self.plan.time_max is not None:
            seconds = min(seconds, self.begun + self.plan.time_max - now)
        if self.gave_up or now < self.start_at or seconds < SLICE_MIN:
            return
        usable = {name: n for name, n in self.capacity.items() if name not in self.shunned}
        wanted = sum(usable.values())
        if self.plan.jobs is not None:
            wanted = min(wanted, self.plan.jobs)
        allowed = sorted(usable) if self.shunned else None
        for _ in range(wanted - self._busy()):
            lane, job = self._free_lane(), self._job(seconds)
            try:
                ticket = self.engine.submit(job, allowed)
            except ClusterError as error:
                self.capacity = {}  # until the next census
                self._trouble("scheduler", str(error))
                return
            lane.begin(job, ticket, now, allowed)

    def _busy(self) -> int:
        return sum(lane.busy for lane in self.lanes)

    def _free_lane(self) -> Lane:
        for lane in self.lanes:
            if not lane.busy:
                return lane
        self.lanes.append(Lane(len(self.lanes), self.layout, self.totals, self.tell))
        return self.lanes[-1]

    def _job(self, seconds: float) -> Job:
        number, self._number = self._number, self._number + 1
        with suppress(OSError):  # then some slice of a later session has the same number
            write_whole(self.layout.workers / "slices", str(self._number))
        return Job(
            name=f"slice-{self.session}-{number}",
            number=number,
            session=self.session,
            seconds=seconds,
            share=self.home.share.url,
            build=build_id(),
            settings=self.settings,
            models=self.models,
            every=self.plan.every,
        )

    def _next_number(self) -> int:
        """Slices of all sessions are numbered in one row: each draws other random numbers."""
        try:
            return int((self.layout.workers / "slices").read_text())
        except (OSError, ValueError):
            return 0

    def _wind_down(self, now: float) -> None:
        """Wait for the slices, then for an exchange that began after the last of them."""
        assert self.stopping_since is not None
        if not self._busy() and not self._last_word:
            self._exchange_at = 0.0
        if now - self.stopping_since >= self.plan.patience or (self.gave_up and not self._busy()):
            left = self._busy()
            if left:
                self.tell(CLUSTER, f"{left} slices did not end; the next session fetches the rest")
            self.kill()

    def _close(self) -> None:
        self._over = True
        self.engine.close()

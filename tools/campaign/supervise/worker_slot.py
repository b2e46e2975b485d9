"""A slot with a worker in it: also watches its pulse and memory, and keeps what it dies of.

Nothing is started in a slot before the last input of the process before is on disk: the next
process would write its pulse over it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools.campaign.child.pulse import read_pulse
from tools.campaign.layout import Layout
from tools.campaign.records.totals import Totals, fold, read_stats
from tools.campaign.settings import Settings
from tools.campaign.supervise.inputs import keep_input, out_of_corpus
from tools.campaign.supervise.process import log_size, log_tail, status_text
from tools.campaign.supervise.rate import Rate
from tools.campaign.supervise.slot import Slot, Timing
from tools.campaign.supervise.watch import Watch
from tools.campaign.views.snapshot import (
    WORKER_DIED,
    WORKER_HUNG,
    WORKER_REPLACED,
    Tell,
    WorkerView,
)


@dataclass(slots=True)
class Death:
    """How a worker ended, until all of it is on disk."""

    status: int
    time: float
    hung: bool


class WorkerSlot(Slot):
    """One worker after the other."""

    died_kind = WORKER_DIED

    def __init__(
        self,
        number: int,
        command: Sequence[str],
        layout: Layout,
        settings: Settings,
        totals: Totals,
        timing: Timing,
        tell: Tell,
        room: Callable[[], bool],
    ) -> None:
        self.folder = layout.worker(number)
        super().__init__(f"worker {number}", command, self.folder / "log", timing, tell, room)
        self.number = number
        self.layout = layout
        self.settings = settings
        self.totals = totals
        self.watch = Watch(settings.hang_seconds)
        self.replaced_at: float | None = None  # it was asked to end, being too large
        self.dumped_at: float | None = None  # it hangs, and was asked for a stack dump
        self.dump_start = 0
        self.death: Death | None = None
        self.before = 0  # executions of the processes before this one
        self.rss_mb = 0.0
        self.rate = Rate()

    @property
    def pulse(self) -> Path:
        """Where the worker says what it is doing."""
        return self.folder / "pulse"

    def tick(self, now: float) -> None:
        """As for any slot, but a death comes first until it is on disk."""
        if self.death is not None:
            self._now = now
            self._bury(now)  # may raise OSError: then again at the next tick
            return
        super().tick(now)

    def view(self, now: float) -> WorkerView:
        """The slot as it is shown."""
        executions = self.before + read_pulse(self.pulse)[0]
        state = self.state()
        if state == "running":
            stats = read_stats(self.layout, self.number)
            mine = self.child is not None and stats.get("pid") == self.child.pid
            state = (str(stats.get("waiting") or "") or "running") if mine else "starting"
        if self.death is not None:
            state = "disk full"
        return WorkerView(
            self.number,
            self.child.pid if self.child is not None else 0,
            state,
            executions,
            self.rate.at(now, executions),
            self.rss_mb,
            self.restarts,
        )

    def _start(self, now: float) -> None:
        super()._start(now)
        self.watch = Watch(self.settings.hang_seconds)
        self.dumped_at = self.replaced_at = None

    def _watch(self, now: float) -> None:
        """Hung, or too large?"""
        assert self.child is not None
        executions, data = read_pulse(self.pulse)
        hung = self.watch.hung(now, executions, bool(data))
        if hung and self._excused(now):
            hung = False
        if not hung:
            self.dumped_at = None
        elif self.dumped_at is None:
            self.dumped_at, self.dump_start = now, log_size(self.log)
            self.child.signal(signal.SIGUSR1)
        elif now - self.dumped_at >= self.timing.dump:
            self.child.kill()
            return
        self.rss_mb = self.child.rss_mb()
        if self.replaced_at is None:
            if self.rss_mb > self.settings.memory_mb:
                self.replaced_at = now
                self.child.signal(signal.SIGTERM)
        elif now - self.replaced_at >= self.timing.stop:
            self.child.kill()
        if self.dumped_at is None:
            super()._watch(now)

    def _excused(self, now: float) -> bool:
        """Whether there is a reason for its silence.

        A worker that waits for room on the disk may have none to say so, hence the question.
        """
        assert self.child is not None
        waits = bool(read_stats(self.layout, self.number).get("waiting"))
        if waits or self.child.suspended() or not self.room():
            self.watch.excuse(now)
            return True
        return False

    def _ended(self, now: float, status: int) -> None:
        self.child = None
        self.death = Death(status, now, self.dumped_at is not None and status < 0)
        self._bury(now)

    def _bury(self, now: float) -> None:
        """Put on disk what is left of a dead worker, then go on.  Each step may be done twice."""
        death = self.death
        assert death is not None
        executions, data = read_pulse(self.pulse)
        asked = self.stopping_since is not None or self.replaced_at is not None
        path = None
        if data and death.hung:
            path = self._keep(data, death, self.layout.hangs)
        elif data and death.status != 0 and not asked:
            path = self._keep(data, death, self.layout.errors)
        fold(self.layout, self.totals, self.number)
        with suppress(FileNotFoundError):
            self.pulse.unlink()
        self.before += executions
        self.death, self.rss_mb = None, 0.0
        if self.stopping_since is None or death.hung:
            self._tell_death(now, death, path)

    def _keep(self, data: bytes, death: Death, folder: Path) -> Path:
        start = self.dump_start if death.hung else 0
        how = self._hang_text() if death.hung else f"{self.name}: {status_text(death.status)}"
        text = f"{how}\n\nIts log:\n{log_tail(self.log, start)}"
        path = keep_input(folder, data, text)
        out_of_corpus(self.layout, data, f"{how}; see {path}")
        return path

    def _hang_text(self) -> str:
        seconds = self.settings.hang_seconds
        return f"{self.name} was silent for {seconds:g} s and was killed"

    def _tell_death(self, now: float, death: Death, path: Path | None) -> None:
        if death.hung:
            where = f"; the program it ran is kept as {path}" if path else ""
            self.tell(WORKER_HUNG, self._hang_text() + where)
            self.start_at = now
        elif self.replaced_at is not None:
            text = f"{self.name} had grown beyond {self.settings.memory_mb} MiB and is replaced"
            self.tell(WORKER_REPLACED, text)
            self._reschedule(now, death, "too much memory")
        else:
            kept = f"; the program it ran is kept as {path}" if path else ""
            self._died(now, death.status, death.time - self.started, kept)

    def _reschedule(self, now: float, death: Death, why: str) -> None:
        """A replacement is no death, unless it comes right after the start, time and again."""
        if death.time - self.started >= self.timing.early:
            self.start_at = now
        else:
            self._schedule(now, death.time - self.started, why)

"""The supervisor of a campaign: keeps its processes running, and tells what they do.

The loop is in run() and tick().  It does no fuzzing and no triage itself, waits for nothing
longer than a tick, and trusts no child: whatever they do or leave undone, the campaign goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Protocol

from tools.campaign.layout import Layout, write_whole
from tools.campaign.records.events import announced
from tools.campaign.records.gather import Gatherer, run_time_before
from tools.campaign.records.listing import keep_counts
from tools.campaign.records.recorder import Recorder
from tools.campaign.records.totals import campaign_totals, fold, load_totals, worker_numbers
from tools.campaign.session import Outcome, Session
from tools.campaign.settings import Settings
from tools.campaign.supervise.crew import LocalCrew, Member
from tools.campaign.supervise.disk import Disk
from tools.campaign.supervise.hook import Hook
from tools.campaign.supervise.rate import Rate
from tools.campaign.supervise.slot import Slot
from tools.campaign.views.snapshot import (
    ENDED,
    FOUND,
    GAVE_UP,
    REPAIRED,
    RUNNING,
    STARTED,
    STARTING,
    STOPPED,
    STOPPING,
    Event,
    Snapshot,
    View,
)  # fmt: skip


class Interruptions(Protocol):
    """What the supervisor needs of tools/campaign/supervise/interrupts.py."""

    count: int

    def wait(self, seconds: float) -> None:
        """Wait, or less when a signal comes."""


class Supervisor:
    """One session of a campaign; the caller holds the lock and has repaired the directory."""

    def __init__(
        self,
        layout: Layout,
        settings: Settings,
        session: Session,
        view: View,
        interrupts: Interruptions,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.layout = layout
        self.session = session
        self.view = view
        self.interrupts = interrupts
        self.clock = clock
        self.wall = wall
        timing = session.timing
        self.totals = load_totals(layout)
        self.disk = Disk(layout, timing.ballast, self.tell)
        for number in worker_numbers(layout):  # left by a supervisor that was killed
            self.disk.guard(partial(fold, layout, self.totals, number))
        self.hook = Hook(list(session.hook), layout.hook_log, timing.hook, self.tell)
        self.gatherer = Gatherer(layout, settings, session.accepted)
        self.recorder = Recorder(layout, self.disk, session.command_line)
        root = layout.root.absolute()
        self.triager = Slot(
            "triage", session.triager(root), layout.triager_log, timing, self.tell, self.disk.room
        )
        self.triager.grace = timing.drain + timing.stop
        crew = session.crew or LocalCrew.maker(session.jobs, session.worker)
        self.crew = crew(layout, settings, self.totals, timing, self.tell, self.disk.room)
        self.slots: list[Member] = [self.triager, *self.crew.members]
        self.announced = announced(layout.events)
        self.events: list[Event] = []  # not yet in a snapshot
        self.gave_up: list[str] = []
        self.state = STARTING
        self.rate = Rate()
        self.begun = clock()
        self.started = wall()
        self.run_time_before = run_time_before(layout)
        self.before = campaign_totals(layout, self.totals)
        self.errors_before = self.gatherer.snapshot(self.started, self.totals).errors

    def run(self, repaired: list[str]) -> Outcome:
        """Run until a limit is reached or somebody wants it to end."""
        for text in repaired:  # the user was told already
            self.recorder.note(Event(self.wall(), REPAIRED, text))
        self.tell(STARTED, f"{self.crew.words}; {self.session.command_line}".strip("; "))
        self._sync_index()
        try:
            while not self._finished():
                self.tick()
                self.interrupts.wait(self.session.timing.tick)
        finally:
            self._end_children()
        return self._conclude()

    def tick(self) -> None:
        """One turn: processes, disk, hook, and what is shown and written of them."""
        now = self.clock()
        self.disk.tick(now)
        if self.state != STOPPING and (why := self._reason_to_stop(now)):
            self._stop(now, why)
        for slot in self.slots:
            self._look_after(slot, now)
        if self.state == STOPPING and self.triager.stopping_since is None:
            self._stop_rest(now)
        self.hook.tick(now)
        self._show(now)

    def tell(self, kind: str, text: str) -> None:
        """Something happened."""
        self.events.append(Event(self.wall(), kind, text))
        if kind == GAVE_UP:
            self.gave_up.append(text)

    def _look_after(self, slot: Member, now: float) -> None:
        self.disk.guard(lambda: slot.tick(now))

    def _reason_to_stop(self, now: float) -> str:
        """Why the session is to end, in words; nothing while it is not."""
        time_max = self.session.time_max
        if self.interrupts.count:
            return "interrupted"
        if self.gave_up:
            return "processes could not be kept running"
        if self.layout.stop.exists():
            return "somebody asked it to stop"
        if time_max is not None and now - self.begun >= time_max:
            return f"{time_max:g} s are over"
        if not self.layout.settings.exists():
            self.tell(GAVE_UP, f"{self.layout.settings} is gone: was the directory removed?")
            return "the directory is gone"
        return ""

    def _stop(self, now: float, why: str) -> None:
        """Ask everybody to end."""
        self.state = STOPPING
        self.tell(STOPPED, why)
        for member in self.crew.members:
            member.stop(now)
        self._stop_rest(now)

    def _stop_rest(self, now: float) -> None:
        """The stop file, and triage: after those who bring more when they end, if need be."""
        if self.crew.brings_more and not self.layout.stop.exists():
            return
        if not self.disk.guard(lambda: write_whole(self.layout.stop, "")):
            for slot in self.slots:
                slot.grace = 0.0  # they cannot see a file that is not there
        for slot in self.slots:
            slot.stop(now)

    def _finished(self) -> bool:
        """Whether there is nothing more to wait for, or somebody wants it to end at once."""
        if self.interrupts.count >= 2:
            return True
        return self.state == STOPPING and all(s.over for s in self.slots) and not self.hook.busy

    def _end_children(self) -> None:
        """No child stays, whatever happened; in good order there is none left."""
        now = self.clock()
        self.hook.kill()
        for slot in self.slots:
            slot.stop(now)
            slot.kill()
            self._look_after(slot, now)

    def _conclude(self) -> Outcome:
        """Write down what is left, and say how it went."""
        totals = campaign_totals(self.layout, self.totals)
        self.disk.guard(lambda: keep_counts(self.layout, totals.seen))
        self.state = ENDED
        last = self._show(self.clock())
        self.recorder.close(last, totals.seen)
        with suppress(OSError):
            self.layout.stop.unlink(missing_ok=True)
        return Outcome(
            snapshot=last,
            executions=max(0, last.executions - self.before.executions),
            errors=max(0, last.errors - self.errors_before),
            gave_up=tuple(self.gave_up),
            interrupted=self.interrupts.count > 0,
            refused=any(slot.refused for slot in self.slots),
        )

    def _show(self, now: float) -> Snapshot:
        """Announce new findings, and give a snapshot to whoever wants one."""
        snapshot = self._snapshot(now)
        self.recorder.record(snapshot, self.gatherer.totals.seen)
        with suppress(OSError):  # a terminal that went away
            self.view.show(snapshot)
        return snapshot

    def _snapshot(self, now: float) -> Snapshot:
        base = self.gatherer.snapshot(self.wall(), self.totals)
        for finding in base.findings:
            if finding.fingerprint not in self.announced and not finding.broken:
                self.announced.add(finding.fingerprint)
                self.tell(FOUND, f"{finding.fingerprint} {finding.headline}")
                if not finding.accepted:
                    self.hook.found(finding)
        if self.state == STARTING and base.executions > self.before.executions:
            self.state = RUNNING
        session_time = now - self.begun
        done = base.executions - self.before.executions
        events, self.events = tuple(self.events), []
        return replace(
            base,
            state=self.state,
            started=self.started,
            session_time=session_time,
            run_time=self.run_time_before + session_time,
            time_max=self.session.time_max,
            rate=self.rate.at(now, base.executions),
            rate_mean=done / session_time if session_time > 0 else 0.0,
            workers=self.crew.views(now),
            triager=self.triager.state(),
            events=events,
            waiting="disk full" if self.disk.full else "",
        )

    def _sync_index(self) -> None:
        """Let the index catch up with the files; say when it was made again."""
        store = self.recorder.store
        store.sync(self.gatherer.listing.read(self.before.seen), self.before.seen)
        if store.note:
            self.tell(REPAIRED, store.note)

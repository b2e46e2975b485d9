"""Slices on a cluster: who gets them, what is counted, and what happens when hosts go away."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fsspec", reason="needs the extra: pip install 'gmemdiff[cluster]'")

from tools.campaign.layout import Layout, content_name
from tools.campaign.records.totals import Totals, campaign_totals
from tools.campaign.settings import Settings
from tools.campaign.supervise.slot import Timing
from tools.campaign.views.snapshot import CLUSTER, GAVE_UP, WORKER_DIED, WORKER_HUNG
from tools.cluster.build import build_id
from tools.cluster.crew import OVERDUE, ClusterCrew, Plan
from tools.cluster.engine import ClusterError, GoneError, Ticket
from tools.cluster.home import Home
from tools.cluster.job import Job, RefusedError, SliceError
from tools.cluster.lane import Lane
from tools.cluster.share import Share

PROGRAM = b"gmemdiff 1\nprofile: v7.2 x86-tdp\nvmm0:\n  nop\n"


def beat(executions: int, start: float = 1.0, host: str = "a", **more: Any) -> dict[str, Any]:
    """What a try of a slice says; its start tells tries apart."""
    return {"executions": executions, "pid": 7, "start": start, "host": host, **more}


class FakeTicket:
    """A slice whose end the test decides."""

    def __init__(self, job: Job, workers: Sequence[str] | None) -> None:
        self.job, self.workers = job, workers
        self.outcome: dict[str, Any] | SliceError | None = None
        self.forgotten = False

    @property
    def done(self) -> bool:
        return self.outcome is not None

    def result(self) -> dict[str, Any]:
        if isinstance(self.outcome, SliceError):
            raise self.outcome
        assert self.outcome is not None
        return self.outcome

    def forget(self) -> None:
        self.forgotten = True


class FakeEngine:
    """A cluster whose workers the test names."""

    address = "tcp://fake:1"

    def __init__(self) -> None:
        self.workers: dict[str, int] | ClusterError = {"a": 1, "b": 2}
        self.tickets: list[FakeTicket] = []
        self.closed = False
        self.broken = False

    def capacity(self) -> dict[str, int]:
        if isinstance(self.workers, ClusterError):
            raise self.workers
        return dict(self.workers)

    def submit(self, job: Job, workers: Sequence[str] | None = None) -> Ticket:
        if self.broken:
            raise ClusterError("takes no slice")
        self.tickets.append(FakeTicket(job, workers))
        return self.tickets[-1]

    def close(self) -> None:
        self.closed = True


class Bench:
    """A crew on a fake cluster, with a clock."""

    def __init__(self, root: Path, plan: Plan | None = None) -> None:
        self.layout = Layout(root / "home")
        self.layout.make()
        self.share = Share((root / "share").as_uri())
        self.home = Home(self.share, self.layout)
        self.home.claim(Settings())
        self.engine = FakeEngine()
        self.totals = Totals()
        self.told: list[tuple[str, str]] = []
        self.now = 100.0
        self.crew = ClusterCrew(
            self.engine, self.home, plan or Plan(), self.layout, Settings(), self.totals, Timing(),
            lambda kind, text: self.told.append((kind, text)), lambda: self.now, lambda: self.now,
        )  # fmt: skip

    def tick(self, times: int = 3, seconds: float = 5.0) -> None:
        """Let time pass, and every errand end in between."""
        for _ in range(times):
            self.now += seconds
            self.crew.tick(self.now)
            for errand in (self.crew._census, self.crew._exchange):
                if errand._thread is not None:
                    errand._thread.join()

    @property
    def running(self) -> list[FakeTicket]:
        """Slices that have not ended."""
        return [t for t in self.engine.tickets if not t.done and not t.forgotten]

    def kinds(self) -> list[str]:
        """Kinds of what was told."""
        return [kind for kind, _ in self.told]

    def executions(self) -> int:
        """Of the campaign, as everybody reads them."""
        return campaign_totals(self.layout, self.totals).executions


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A crew on a fake cluster."""
    return Bench(tmp_path)


def test_every_thread_of_the_cluster_gets_a_slice(bench: Bench) -> None:
    bench.tick()
    assert len(bench.running) == 3
    assert len({ticket.job.name for ticket in bench.running}) == 3
    assert [view.number for view in bench.crew.views(bench.now)] == [0, 1, 2]


def test_workers_that_join_get_slices_and_those_that_leave_get_no_more(bench: Bench) -> None:
    bench.tick()
    bench.engine.workers = {"a": 1, "b": 2, "c": 4}
    bench.tick()
    assert len(bench.running) == 7
    bench.engine.workers = {"a": 1}
    bench.tick()
    for ticket in bench.running:
        ticket.outcome = beat(10)
    bench.tick()
    assert len(bench.running) == 1


def test_jobs_limits_the_slices(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Plan(jobs=2))
    bench.tick()
    assert len(bench.running) == 2


def test_a_slice_that_ends_is_counted_once_and_followed_by_another(bench: Bench) -> None:
    bench.tick()
    [first, *_] = bench.running
    Share(bench.share.url).write(f"beats/{first.job.name}.json", json.dumps(beat(10)).encode())
    bench.tick()
    assert bench.executions() == 10
    first.outcome = beat(25)
    bench.tick()
    assert bench.executions() == 25
    assert len(bench.running) == 3
    assert first.job.number not in [ticket.job.number for ticket in bench.running]


def test_slices_of_the_next_session_draw_other_numbers(tmp_path: Path) -> None:
    first, second = Bench(tmp_path), None
    first.tick()
    second = Bench(tmp_path)
    second.tick()
    numbers = [t.job.number for t in (*first.engine.tickets, *second.engine.tickets)]
    assert sorted(numbers) == sorted(set(numbers))


def lane(bench: Bench) -> Lane:
    """A lane with a slice."""
    lane = Lane(0, bench.layout, bench.totals, lambda kind, text: bench.told.append((kind, text)))
    job = Job("slice-1-0", 0, "s1", 60, bench.share.url, build_id(), Settings())
    lane.begin(job, FakeTicket(job, None), 0.0, None)
    return lane


def test_a_lost_try_is_counted_up_to_its_last_beat_and_told(bench: Bench) -> None:
    mine = lane(bench)
    mine.hear(beat(10, start=1.0, host="a"))
    mine.hear(beat(5, start=2.0, host="b"))
    mine.hear(beat(30, start=2.0, host="b"))
    assert bench.executions() == 40
    text = "slice-1-0 was lost with its worker on a; it runs again on b"
    assert bench.told == [(WORKER_DIED, text)]
    mine.end()
    assert bench.executions() == 40
    assert mine.view(1.0).executions == 40


def test_a_try_that_was_taken_for_lost_is_not_heard_any_more(bench: Bench) -> None:
    mine = lane(bench)
    mine.hear(beat(10, start=1.0))
    mine.hear(beat(5, start=2.0))
    mine.hear(beat(99, start=1.0))
    mine.hear(beat(6, start=2.0))
    assert bench.executions() == 16
    assert mine.lost == 1


def test_a_full_disk_at_home_loses_no_counts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.tick()
    [first, *_] = bench.running
    first.outcome = beat(25)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tools.cluster.lane.write_whole", full)
        with pytest.raises(OSError, match="No space"):
            bench.tick()
    bench.tick()
    assert bench.executions() == 25
    assert len(bench.running) == 3


def test_events_of_a_slice_are_told_once_with_its_host(bench: Bench) -> None:
    mine = lane(bench)
    events = [[1.0, WORKER_HUNG, "worker 0 was silent"]]
    mine.hear(beat(1, events=events))
    mine.hear(beat(2, events=events))
    assert bench.told == [(WORKER_HUNG, "a: worker 0 was silent")]


def test_a_worker_with_another_gmemdiff_gets_no_more_slices_and_others_go_on(bench: Bench) -> None:
    bench.tick()
    bench.running[0].outcome = RefusedError("a: has gmemdiff 0.2", "a")
    bench.tick()
    assert CLUSTER in bench.kinds()
    assert GAVE_UP not in bench.kinds()
    for ticket in bench.running:
        ticket.outcome = beat(1)
    bench.tick()
    assert [ticket.workers for ticket in bench.running] == [["b"], ["b"]]


def test_when_every_worker_is_refused_the_campaign_ends_as_bad_input(bench: Bench) -> None:
    bench.tick()
    bench.running[0].outcome = RefusedError("a: has gmemdiff 0.2", "a")
    bench.running[0].outcome = RefusedError("b: has gmemdiff 0.2", "b")
    bench.tick()
    assert bench.kinds().count(GAVE_UP) == 1
    assert bench.crew.refused


def test_a_worker_that_fails_three_times_gets_no_more_slices(bench: Bench) -> None:
    for _ in range(3):
        bench.tick(10)
        bench.running[0].outcome = SliceError("a: worker 0 died", "a")
    bench.tick()
    assert list(bench.crew.shunned) == ["a"]
    assert not bench.crew.refused


def test_slices_that_fail_for_unknown_reasons_end_the_campaign_in_the_end(bench: Bench) -> None:
    for _ in range(5):
        bench.tick(1, seconds=0.1)
        bench.tick(3, seconds=0.1)
        for ticket in bench.running:
            ticket.outcome = SliceError("no module named tools")
        bench.tick(1, seconds=0.1)
        bench.now = max(bench.now, bench.crew.start_at)
    assert bench.kinds().count(GAVE_UP) == 1


def test_a_slice_that_the_scheduler_forgot_is_replaced(bench: Bench) -> None:
    bench.tick()
    bench.running[0].outcome = GoneError("the scheduler has lost it")
    bench.tick()
    assert len(bench.running) == 3
    assert GAVE_UP not in bench.kinds()


def test_a_slice_that_never_ends_is_replaced(bench: Bench) -> None:
    bench.tick()
    [first, *_] = bench.running
    bench.tick(2, seconds=first.job.seconds + OVERDUE)
    assert first.forgotten
    assert len(bench.running) == 3


def test_a_slice_whose_every_allowed_worker_has_left_is_replaced(bench: Bench) -> None:
    bench.tick()
    bench.running[0].outcome = RefusedError("a: has gmemdiff 0.2", "a")
    for ticket in bench.running:
        ticket.outcome = beat(1)
    bench.tick()
    stranded = bench.running
    bench.engine.workers = {"a": 1, "c": 1}
    bench.tick()
    assert all(ticket.forgotten for ticket in stranded)
    assert [ticket.workers for ticket in bench.running] == [["c"]]


def test_a_scheduler_that_does_not_answer_is_told_once_and_waited_for(bench: Bench) -> None:
    bench.tick()
    bench.engine.workers = ClusterError("does not answer")
    bench.tick(6)
    bench.engine.workers = {"a": 4}
    bench.tick()
    assert bench.told == [
        (CLUSTER, "does not answer; waiting"),
        (CLUSTER, "the cluster's scheduler: there again"),
    ]
    assert len(bench.running) == 4


def test_a_scheduler_that_takes_no_slice_is_waited_for(bench: Bench) -> None:
    bench.engine.broken = True
    bench.tick()
    assert not bench.running
    bench.engine.broken = False
    bench.tick()
    assert len(bench.running) == 3
    assert GAVE_UP not in bench.kinds()


def test_slices_end_with_the_session(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Plan(time_max=60, slice_seconds=40))
    bench.tick(2)
    assert {ticket.job.seconds for ticket in bench.running} == {40}
    bench.tick(4)
    for ticket in bench.running:
        ticket.outcome = beat(1)
    bench.tick(1)
    assert {ticket.job.seconds for ticket in bench.running} == {60 - (bench.now - 100)}


def test_the_end_waits_for_slices_and_fetches_what_they_brought_last(bench: Bench) -> None:
    bench.tick()
    bench.crew.stop(bench.now)
    bench.tick()
    assert not bench.crew.over
    assert bench.crew.brings_more
    assert bench.share.read("stop") == bench.crew.session.encode()
    name = f"69a427fe-{content_name(PROGRAM)[:16]}.prog"
    bench.share.write(f"queue/{name}", PROGRAM)
    for ticket in bench.running:
        ticket.outcome = beat(1)
    bench.tick()
    assert bench.crew.over
    assert not bench.crew.brings_more
    assert bench.engine.closed
    assert (bench.layout.queue / name).exists()


def test_the_end_does_not_wait_for_ever(bench: Bench) -> None:
    bench.tick()
    bench.crew.stop(bench.now)
    bench.tick(2, seconds=60)
    assert bench.crew.over
    assert not bench.running

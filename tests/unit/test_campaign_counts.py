"""Counts of a campaign: over dead and living workers, with nothing lost and nothing twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.campaign.layout import Layout
from tools.campaign.records.history import change_history, read_history
from tools.campaign.records.listing import Listing, keep_counts
from tools.campaign.records.stats import stats_line
from tools.campaign.records.totals import SeenAs, campaign_totals, fold, load_totals
from tools.campaign.settings import Settings
from tools.campaign.supervise.rate import Rate
from tools.campaign.supervise.watch import Backoff, Watch
from tools.campaign.views.snapshot import FindingView, Snapshot, WorkerView

KIND = ["stale-spte", "leaf", "patched-only"]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path)
    made.make()
    return made


def stats(layout: Layout, number: int, pid: int, executions: int, **more: Any) -> None:
    """Let a worker process have counted so much."""
    data = {"pid": pid, "start": float(pid), "executions": executions, "lines": pid, **more}
    layout.worker(number).mkdir(exist_ok=True)
    (layout.worker(number) / "stats.json").write_text(json.dumps(data))


def finding(layout: Layout, name: str, count: int) -> Path:
    """A folder that lists take for a finding."""
    folder = layout.findings / name
    folder.mkdir()
    data = {"rule": "r", "site": "s", "side": "both", "verdict": "INVARIANT", "counts": {"seen": 1}}
    (folder / "finding.json").write_text(json.dumps(data))
    history = {
        "format": 1,
        "count": count,
        "seen_as": [KIND],
        "first_seen": "2026-01-02T03:04:05+00:00",
    }
    (folder / "history.json").write_text(json.dumps(history))
    return folder


def test_processes_of_one_worker_add_up_and_coverage_is_the_best(layout: Layout) -> None:
    totals = load_totals(layout)
    stats(layout, 0, 11, 100, benefit={"flushes": [3, 1]})
    stats(layout, 1, 12, 1000, windows_entered={"srcu": {"read": 2}}, seen=[[*KIND, 2]])
    fold(layout, totals, 0)
    stats(layout, 0, 13, 5, benefit={"flushes": [1, 1]}, seen=[[*KIND, 1]])
    total = campaign_totals(layout)
    assert total.executions == 1105
    assert total.lines == 13
    assert total.benefit == {"flushes": [4, 2]}
    assert total.seen == {("stale-spte", "leaf", "patched-only"): 3}
    assert total.windows_entered == {"srcu": {"read": 2}}
    assert campaign_totals(layout, totals) == total


@given(st.lists(st.sampled_from(["fold", "count", "restart", "forget"]), max_size=12))
def test_folding_counts_every_process_once_however_often(
    tmp_path_factory: pytest.TempPathFactory, actions: list[str]
) -> None:
    layout = Layout(tmp_path_factory.mktemp("campaign"))
    layout.make()
    totals = load_totals(layout)
    pid, mine, ended = 1, 0, 0
    stats(layout, 0, pid, 0)
    for action in actions:
        if action == "fold":  # the supervisor folds when a worker has ended
            fold(layout, totals, 0)
            fold(layout, totals, 0)
            pid, mine, ended = pid + 1, 0, ended + mine
        elif action == "forget":  # killed, and started again
            totals = load_totals(layout)
        elif action == "count":
            mine += 3
            stats(layout, 0, pid, mine)
        assert campaign_totals(layout, totals).executions == ended + mine


@pytest.mark.parametrize(
    "text", ["", "[]", '{"executions": "many", "seen": 3, "benefit": {"a": 1}}']
)
def test_damaged_statistics_of_a_worker_count_nothing(layout: Layout, text: str) -> None:
    layout.worker(0).mkdir()
    (layout.worker(0) / "stats.json").write_text(text)
    layout.worker(0).with_name("nonsense").mkdir()
    assert campaign_totals(layout).executions == 0


def test_a_finding_counts_what_workers_saw_of_its_kinds(layout: Layout) -> None:
    folder = finding(layout, "aaaaaaaa", 2)
    listing = Listing(layout)
    seen = {("stale-spte", "leaf", "patched-only"): 40, ("other", "leaf", "both"): 7}
    assert listing.read({})[0].count == 2
    assert listing.read(seen)[0].count == 40
    keep_counts(layout, seen)
    assert json.loads((folder / "history.json").read_text())["count"] == 40
    assert listing.read({})[0].count == 40  # read again, since the file has changed


def test_a_broken_finding_is_listed_and_hides_no_other(layout: Layout) -> None:
    finding(layout, "bbbbbbbb", 1)
    (layout.findings / "aaaaaaaa").mkdir()
    (layout.findings / ".aaaaaaab.7").mkdir()
    good, broken = Listing(layout, lambda name: "known" if name == "bbbbbbbb" else "").read({})
    assert (good.fingerprint, good.accepted, good.broken) == ("bbbbbbbb", "known", "")
    assert broken.fingerprint == "aaaaaaaa"
    assert "No such file" in broken.broken


def test_a_pulse_that_stands_still_with_an_input_in_hand_is_a_hang() -> None:
    watch = Watch(hang_seconds=10)
    assert not watch.hung(0, 1, True)
    assert not watch.hung(9, 1, True)
    assert watch.hung(10, 1, True)
    assert not watch.hung(11, 2, True)
    assert not watch.hung(20, 2, True)
    watch.excuse(21)
    assert not watch.hung(30, 2, True)
    assert watch.hung(31, 2, True)


def test_without_an_input_it_takes_ten_times_as_long() -> None:
    watch = Watch(hang_seconds=10)
    assert not watch.hung(0, 1, False)
    assert not watch.hung(99, 1, False)
    assert watch.hung(100, 1, False)


def test_who_dies_young_waits_longer_and_is_given_up() -> None:
    backoff = Backoff(early_seconds=5, deaths_max=4, delay_seconds=1, delay_max=3)
    assert [backoff.died(1) for _ in range(3)] == [1, 2, 3]
    assert not backoff.hopeless
    assert backoff.died(60) == 0
    assert [backoff.died(4) for _ in range(4)] == [1, 2, 3, 3]
    assert backoff.hopeless


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = Rate()
    assert rate.at(0, 0) == 0
    assert rate.at(10, 1000) == 100
    assert rate.at(20, 1000) == 0
    assert rate.at(21, 900) == 0  # a count that falls is no speed


def test_a_line_of_statistics_has_the_names_of_afl() -> None:
    worker = WorkerView(0, 77, "running", 5, 1.0, 80.25, 2)
    snapshot = Snapshot(
        "here", Settings(), now=20.5, started=10.0, run_time=10.5, executions=5, rate=1.5,
        corpus=3, lines=50, lines_total=200, pairs=4, windows=2, queue=6, workers=(worker,),
    )  # fmt: skip
    line = stats_line(snapshot, 99, "gmemdiff fuzz")
    assert list(line)[:6] == [
        "start_time", "last_update", "run_time", "fuzzer_pid", "cycles_done", "execs_done"
    ]  # fmt: skip
    assert (line["edges_found"], line["total_edges"], line["bitmap_cvg"]) == (56, 200, "25.00%")
    assert (line["pending_total"], line["peak_rss_mb"], line["cpus_used"]) == (6, 80.2, 1)
    assert line["gmemdiff_workers"][0]["restarts"] == 2
    json.dumps(line)


def test_counting_neither_makes_a_history_nor_undoes_what_somebody_else_has_written(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding(layout, "aaaaaaaa", 2)
    bare = finding(layout, "bbbbbbbb", 2)
    (bare / "history.json").unlink()
    folder = layout.findings / "aaaaaaaa"
    read = Listing.read

    def read_and_wait(listing: Listing, seen: dict[SeenAs, int]) -> tuple[FindingView, ...]:
        views = read(listing, seen)
        change_history(folder, lambda data: data["shows_on"].append("v7.2 x86-tdp"))
        return views

    monkeypatch.setattr(Listing, "read", read_and_wait)
    keep_counts(layout, {("stale-spte", "leaf", "patched-only"): 40})
    history = read_history(folder)
    assert (history["count"], history["shows_on"]) == (40, ["v7.2 x86-tdp"])
    assert not (bare / "history.json").exists()

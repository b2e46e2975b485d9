"""A campaign as it stands, for somebody who does not run it: from its files alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import psutil

from tools.campaign.layout import Layout
from tools.campaign.records.events import last_line
from tools.campaign.records.gather import Gatherer
from tools.campaign.records.listing import Accepted
from tools.campaign.records.store import course
from tools.campaign.records.totals import read_stats, worker_numbers
from tools.campaign.settings import Settings
from tools.campaign.supervise.lock import holder
from tools.campaign.views.snapshot import ENDED, RUNNING, STOPPING, Snapshot, WorkerView
from tools.campaign.views.words import duration

HOUR: Final = 3600.0


def current(layout: Layout, settings: Settings, accepted: Accepted, now: float) -> Snapshot:
    """The campaign now, or as its last session left it."""
    base = Gatherer(layout, settings, accepted).snapshot(now)
    last = last_line(layout.stats)
    updated, started = _number(last, "last_update"), _number(last, "start_time")
    # triage and cmin hold the lock as well, but fuzz nothing
    running = holder(layout) == last.get("fuzzer_pid", 0)
    until = now if running else updated
    return replace(
        base,
        state=(STOPPING if layout.stop.exists() else RUNNING) if running else ENDED,
        started=started,
        session_time=max(0.0, until - started),
        run_time=_number(last, "run_time") + max(0.0, until - updated),
        rate=_number(last, "execs_per_sec") if running else 0.0,
        workers=tuple(_workers(layout)) if running else (),
    )


def _number(line: dict[str, Any], name: str) -> float:
    value = line.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _workers(layout: Layout) -> list[WorkerView]:
    views = []
    for number in worker_numbers(layout):
        stats = read_stats(layout, number)
        pid = int(_number(stats, "pid"))
        elsewhere = "host" in stats  # a slice on a cluster; see tools/cluster/lane.py
        alive = bool(pid) and (elsewhere or psutil.pid_exists(pid))
        seconds = max(1.0, _number(stats, "now") - _number(stats, "start"))
        executions = int(_number(stats, "executions"))
        views.append(
            WorkerView(
                number=number,
                pid=pid if alive else 0,
                state=str(stats.get("waiting") or "running") if alive else "gone",
                executions=executions,
                rate=executions / seconds,
                rss_mb=_number(stats, "rss_mb"),
                restarts=0,
            )
        )
    return views


def lately(layout: Layout, now: float) -> str:
    """What the last hour brought, in one line; empty when nothing ran in it."""
    lines = course(layout, now - HOUR)
    if len(lines) < 2:
        return ""
    first, last = lines[0], lines[-1]
    grown = {
        name: _number(last, name) - _number(first, name)
        for name in ("last_update", "execs_done", "edges_found", "corpus_count", "saved_crashes")
    }
    return (
        f"in the last {duration(grown['last_update'])}: {grown['execs_done']:.0f} executions, "
        f"coverage {grown['edges_found']:+.0f}, corpus {grown['corpus_count']:+.0f}, "
        f"findings {grown['saved_crashes']:+.0f}"
    )

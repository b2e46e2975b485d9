"""From the files of a campaign to a Snapshot: all that can be known without its processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from tools.campaign.layout import PROGRAM_SUFFIX, YOUNG, Layout
from tools.campaign.quarantine import WHY
from tools.campaign.records.events import last_line
from tools.campaign.records.listing import Accepted, Listing, nothing_accepted
from tools.campaign.records.totals import Totals, campaign_totals
from tools.campaign.settings import Settings
from tools.campaign.views.snapshot import ENDED, FindingView, Snapshot


class Gatherer:
    """Makes Snapshots of one campaign."""

    def __init__(
        self, layout: Layout, settings: Settings, accepted: Accepted = nothing_accepted
    ) -> None:
        self.layout = layout
        self.settings = settings
        self.listing = Listing(layout, accepted)
        self.totals = Totals()  # of the last snapshot

    def snapshot(self, now: float, ended: Totals | None = None) -> Snapshot:
        """The campaign at this moment; `ended` are the totals of ended workers, if known."""
        layout = self.layout
        totals = self.totals = campaign_totals(layout, ended)
        findings = self.listing.read(totals.seen)
        return Snapshot(
            root=str(layout.root),
            settings=self.settings,
            state=ENDED,
            now=now,
            executions=totals.executions,
            steps=totals.steps,
            hits=totals.hits,
            inconclusive=totals.inconclusive,
            # A worker that dies may not have counted its last one.
            errors=max(totals.errors, count_files(layout.errors, PROGRAM_SUFFIX)),
            corpus=count_files(layout.corpus),
            lines=totals.lines,
            lines_total=totals.lines_total,
            pairs=totals.pairs,
            windows=totals.windows,
            windows_entered=totals.windows_entered,
            benefit={name: (old, new) for name, (old, new) in sorted(totals.benefit.items())},
            queue=count_files(layout.queue, PROGRAM_SUFFIX),
            hangs=count_files(layout.hangs, PROGRAM_SUFFIX),
            quarantined=sum(not name.endswith(WHY) for name in _names(layout.quarantine)),
            findings=findings,
            last_cover=totals.last_new,
            last_finding=max((unix(f) for f in findings), default=0.0),
            last_hang=max(_times(layout.hangs), default=0.0),
        )


def unix(finding: FindingView) -> float:
    """When a finding was first seen; 0 when that is not known."""
    with suppress(ValueError):
        return datetime.fromisoformat(finding.first_seen).timestamp()
    return 0.0


def run_time_before(layout: Layout) -> float:
    """Seconds of fuzzing by earlier sessions, from the last line of the statistics."""
    value = last_line(layout.stats).get("run_time")
    return float(value) if isinstance(value, int | float) else 0.0


def count_files(folder: Path, suffix: str = "") -> int:
    """How many finished files there are in a folder."""
    return sum(name.endswith(suffix) for name in _names(folder))


def _names(folder: Path) -> Iterator[str]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(YOUNG):
                yield entry.name


def _times(folder: Path) -> Iterator[float]:
    for name in _names(folder):
        if name.endswith(PROGRAM_SUFFIX):
            with suppress(OSError):
                yield (folder / name).stat().st_mtime

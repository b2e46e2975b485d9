"""Triage in the foreground: what the triage process does, now, and with somebody watching."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Final

from tools.campaign.layout import PROGRAM_SUFFIX, YOUNG, Layout
from tools.campaign.settings import Settings

Progress = Callable[[int, int], None]  # programs done, of so many
FOREVER: Final = float("inf")


def drain(layout: Layout, settings: Settings, progress: Progress) -> int:
    """Judge what is in the queue, and the hangs; returns how many programs that were.

    The caller holds the lock.  Interrupted, what was not done stays in the queue.
    """
    triager = import_module("tools.campaign.triager").Triager(layout, settings, FOREVER)
    done = 0
    for next_file, judge in (
        (triager.next_file, triager.one),
        (triager.hangs.next_file, triager.hangs.one),
    ):
        while (path := next_file()) is not None:
            judge(path)
            done += 1
            progress(done, done + waiting(layout))
    return done


def waiting(layout: Layout) -> int:
    """Programs in the queue."""
    names = [path.name for path in layout.queue.iterdir()]
    return sum(name.endswith(PROGRAM_SUFFIX) and not name.startswith(YOUNG) for name in names)


def rejudge(layout: Layout, settings: Settings) -> Iterator[str]:
    """Judge every finding once more; one line on each.  Nothing on disk changes."""
    for each in import_module("tools.campaign.rejudge").rejudge(layout, settings):
        holds = "holds" if each.holds else "is not shown any more"
        yield f"{each.finding.fingerprint}  {holds}: {each.words}"

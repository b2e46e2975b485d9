"""Triage in the foreground: what the triage process does, now, and with somebody watching."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from tools.campaign.layout import PROGRAM_SUFFIX, YOUNG, Layout
from tools.campaign.patience import patiently
from tools.campaign.settings import Settings
from tools.campaign.triage.rejudge import rejudge as rejudge_all
from tools.campaign.triage.triager import Triager
from tools.campaign.triage.watchdog import Stopped

Progress = Callable[[int, int], None]  # programs done, of so many
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)  # which the watchdog takes
FOREVER: Final = float("inf")


def drain(layout: Layout, settings: Settings, progress: Progress) -> int:
    """Judge what is in the queue, and the hangs; returns how many programs that were.

    The caller holds the lock.  Ends early when somebody asks it to stop; what was not done, also
    when it is interrupted, stays in the queue.
    """
    triager = Triager(layout, settings, FOREVER)
    done = 0
    jobs = (triager.next_file, triager.one), (triager.hangs.next_file, triager.hangs.one)
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    triager.dog.start()
    try:
        for next_file, judge in jobs:
            while (path := next_file()) is not None and not triager.asked_to_stop():
                patiently(partial(judge, path))
                done += 1
                progress(done, done + waiting(layout))
    except Stopped as error:  # its way of saying Ctrl-C
        raise KeyboardInterrupt from error
    finally:
        triager.dog.stop()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return done


def waiting(layout: Layout) -> int:
    """Programs in the queue."""
    names = [path.name for path in layout.queue.iterdir()]
    return sum(name.endswith(PROGRAM_SUFFIX) and not name.startswith(YOUNG) for name in names)


def rejudge(layout: Layout, settings: Settings) -> Iterator[str]:
    """Judge every finding once more; one line on each.  Nothing on disk changes."""
    for each in rejudge_all(layout, settings):
        holds = "holds" if each.holds else "is not shown any more"
        yield f"{each.finding.fingerprint}  {holds}: {each.words}"

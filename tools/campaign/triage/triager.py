"""The triage process of a campaign: takes what workers queued, and makes findings of it.

    python -m tools.campaign.triage.triager DIR [--drain-seconds S]

One file of the queue after the other: judged, made small, kept; then the file is removed, and not
before its result is on disk.  So a kill at any moment costs only time.  Kinds that are new come
first, those that were only drift so far come last, the oftener the later: whatever floods the
queue, something new does not wait.  Ends when DIR/stop exists and the queue is empty, or some
seconds after; and when the process that started it is gone.
"""

from __future__ import annotations

import fcntl
import os
import resource
import sys
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import click

from fuzz.finding import kinds_of
from fuzz.judge import Judgement, suspicious
from fuzz.overlay import FILE_SUFFIXES, Model, OverlayError
from fuzz.text import ProgramError, format_program
from fuzz.triage import FollowUp, Triage
from fuzz.vocabulary import Program
from tools import exits
from tools.campaign.child.lossy import lossy_output
from tools.campaign.child.orphans import die_with_parent
from tools.campaign.engine import on_engine
from tools.campaign.layout import (
    PROGRAM_SUFFIX,
    YOUNG,
    Layout,
    content_name,
    queue_name,
    write_whole,
)
from tools.campaign.patience import patiently
from tools.campaign.settings import CampaignError, Settings, load_settings
from tools.campaign.triage.hangs import HangJudge
from tools.campaign.triage.shelf import (
    enqueue,
    keep,
    keep_error,
    load_memory,
    read_program,
    save_memory,
    seen_again,
    to_quarantine,
)  # fmt: skip
from tools.campaign.triage.watchdog import HungError, Stopped, Watchdog
from tools.cases import Models

IDLE: Final = 0.2  # seconds between two looks at an empty queue
DRAIN_SECONDS: Final = 20.0
# Of the address space, which is larger than what is used; a hostile program fails by itself.
MEMORY_TIMES: Final = 4


def model_for_findings(models: Models, root: Path, name: str) -> Model:
    """A model of the settings; a copy in models/ is named as a finding's folder sees it."""
    model = models.get(name, root)
    if not name.endswith(FILE_SUFFIXES) or not (root / name).is_file():
        return model
    return replace(model, name=(Path("..") / ".." / name).as_posix())


class Triager:
    """The queue of one campaign, and what becomes of it."""

    def __init__(self, layout: Layout, settings: Settings, drain_seconds: float) -> None:
        self.layout = layout
        self.drain_seconds = drain_seconds
        self.parent = os.getppid()
        self.stop_since: float | None = None
        self.dog = Watchdog(settings.hang_seconds, self.must_stop)
        models = Models()
        names = (settings.reference, settings.patched)
        python = [model_for_findings(models, layout.root, name) for name in names]
        engine = on_engine(layout.root, settings, (python[0], python[1]))
        sides = [self.dog.counted(model) for model in engine]
        memory = load_memory(layout)
        profiles = settings.parsed_profiles()
        self.triage = Triage(sides[0], sides[1], settings.budget, profiles, memory)
        self.hangs = HangJudge(layout, settings, (python[0], python[1]))

    def asked_to_stop(self) -> bool:
        """Whether the campaign ends: somebody asked, or whoever started us is gone."""
        return self.layout.stop.exists() or os.getppid() != self.parent

    def must_stop(self) -> bool:
        """Whether there is no time left for what is still in the queue."""
        if not self.asked_to_stop():
            self.stop_since = None
            return False
        if self.stop_since is None:
            self.stop_since = time.monotonic()
        return time.monotonic() - self.stop_since >= self.drain_seconds

    def run(self) -> None:
        """Work until the campaign ends."""
        while True:
            path = self.next_file()
            if path is not None:
                patiently(partial(self.one, path))
            elif (hang := self.hangs.next_file()) is not None:
                patiently(partial(self.hangs.one, hang))
            elif self.asked_to_stop():
                return
            else:
                time.sleep(IDLE)

    def next_file(self) -> Path | None:
        """The file of the queue to take next."""
        names = [name for name in os.listdir(self.layout.queue) if not name.startswith(YOUNG)]
        if not names:
            return None
        vain = {kind.fingerprint: looks for kind, looks in self.triage.memory.vain.items()}
        known = {kind.fingerprint for kind in self.triage.memory.same}

        def urgency(name: str) -> tuple[bool, int, str]:
            fingerprint = name.partition("-")[0]
            return fingerprint in known, vain.get(fingerprint, 0), name

        return self.layout.queue / min(names, key=urgency)

    def one(self, path: Path) -> None:
        """Follow up one file, and remove it when all that came of it is on disk."""
        try:
            program = read_program(path)
        except FileNotFoundError:
            return
        except ProgramError as error:
            to_quarantine(self.layout, path, f"{error.line}:{error.column}: {error.message}")
            return
        try:
            self.follow(path, program)
        except OSError:
            raise
        except Exception as error:  # ours, whatever it is: the next file is none the worse for it
            self.failed(program, error)
        patiently(lambda: save_memory(self.layout, self.triage.memory))
        path.unlink(missing_ok=True)

    def follow(self, path: Path, program: Program) -> None:
        """Follow up every kind that a program shows, unless it is queued for that by itself."""
        triage = self.triage
        with self.dog.watching():
            quick = suspicious(program, triage.reference, triage.patched)
        text = format_program(program)
        first: Judgement | None = None
        for kind in kinds_of(quick) if quick is not None else []:
            queued = self.layout.queue / queue_name(kind.fingerprint, text.encode())
            if queued != path and queued.exists():
                continue
            if kind in triage.memory.same:
                seen_again(self.layout, kind, program, kind)
            elif triage.memory.worth(kind):
                with self.dog.watching():
                    first = first or triage.first_look(program)
                    done = triage.follow(program, kind, first)
                self.store(program, done)

    def store(self, program: Program, done: FollowUp) -> None:
        """Put on disk what became of one kind; the finding last: once it is there, the file in
        the queue is not shrunk again, and what the shrink met would be lost."""
        for kind, smaller in self.triage.memory.new(done.others):
            if not self.triage.memory.vain[kind]:
                patiently(partial(enqueue, self.layout, kind, smaller))
        for crashing, error in done.crashed:
            self.failed(crashing, error)
        if done.finding is not None:
            finding = done.finding
            folder = patiently(partial(keep, self.layout, finding, program, done.seen_as))
            print(f"{folder}: {finding.headline}", flush=True)
        elif done.kind is not None:
            patiently(partial(seen_again, self.layout, done.kind, program, done.seen_as))

    def failed(self, program: Program, error: Exception) -> None:
        """Keep a program on which our code failed, or on which a run did not end."""
        if isinstance(error, HungError):
            text = format_program(program)
            path = self.layout.hangs / (content_name(text.encode()) + PROGRAM_SUFFIX)
            patiently(lambda: write_whole(path, text))
        else:
            path = patiently(lambda: keep_error(self.layout, program, error))
        print(f"{path}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--drain-seconds", type=click.FloatRange(min=0), default=DRAIN_SECONDS)
def main(directory: Path, drain_seconds: float) -> None:
    """Follow up what the workers of the campaign in DIR queue, until it ends."""
    die_with_parent()
    lossy_output()
    try:
        settings = load_settings(directory)
        layout = Layout(directory)
        layout.make()
        lock = os.open(layout.queue, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)  # two would do everything twice; the second waits
        triager = Triager(layout, settings, drain_seconds)
        limit = settings.memory_mb * MEMORY_TIMES << 20
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    except (CampaignError, OverlayError) as error:
        print(error, file=sys.stderr)
        sys.exit(exits.BAD_INPUT)
    with suppress(Stopped):
        triager.dog.start()
        triager.run()
    triager.dog.stop()
    sys.exit(exits.CLEAN)


if __name__ == "__main__":
    main()

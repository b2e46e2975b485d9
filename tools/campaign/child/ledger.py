"""What a worker keeps: its statistics, and the programs that triage should look at.

One call per execution, which must be cheap; once a second statistics go to stats.json.  A hit is
queued unless triage has said that its kind is known, enough of its kind wait already, or it was
seen so often without anything coming of it that another look is not due.  A full disk makes the
worker wait: what it has found is not dropped.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import psutil

from fuzz.execution import HarnessError
from fuzz.feedback import Feature
from fuzz.finding import Kind, kinds_of
from fuzz.folder import PROGRAM, findings_in
from fuzz.harness import Harness, Look
from fuzz.judge import Verdict
from fuzz.overlay import Model
from fuzz.port.finding import drift_finding
from fuzz.port.lockstep import Drift
from fuzz.probes import PROBES_MAX
from fuzz.text import ProgramError, format_program, load
from fuzz.tolerance import benefit
from fuzz.vocabulary import Program
from tools.campaign.child.orphans import parent_gone
from tools.campaign.layout import PROGRAM_SUFFIX, Layout, content_name, queue_name, write_whole
from tools.campaign.patience import patiently, whatever_it_is
from tools.campaign.triage.shelf import keep

Learner = Callable[[Sequence[Program]], None]  # takes the programs of all findings
FORMAT: Final = 1
EVERY: Final = 1.0  # seconds between two stats.json
WAITING_MAX: Final = 4  # programs of one kind in the queue
ERRORS_KEPT: Final = 100  # per process; an error on every input must not fill the disk


class StoppedError(Exception):
    """Told to stop while a write had to wait."""


class Ledger:
    """The books of one worker process."""

    def __init__(
        self,
        layout: Layout,
        number: int,
        patched: Model,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.layout = layout
        self.number = number
        self.patched = patched
        self.clock = clock
        self.sleep = sleep
        self.start = self.last_tick = self.last_new = clock()
        self.stopping = False
        self.waiting = ""
        self.unsaved = False  # told to stop while a write had to wait: the input in hand is left
        self.executions = self.steps = self.hits = self.inconclusive = self.errors = 0
        self.features: set[Feature] = set()
        self.lines = 0  # one bit for each probe that was ever hit
        self.windows: Counter[tuple[str, str]] = Counter()
        self.seen: Counter[Kind] = Counter()
        self.benefit: dict[str, list[int]] = {}
        self.known: set[Kind] = set()  # kinds that need no more looks
        self.vain: dict[Kind, int] = {}  # kinds looked at in vain -> how often
        self._known_time = 0
        self._queued: Counter[Kind] = Counter()
        self._process = psutil.Process()
        self.harness: Harness
        self._learn: Learner

    def begin(self, harness: Harness, learn: Learner) -> None:
        """The harness whose counters tell which lines ran, and who wants to know of findings."""
        self.harness = harness
        self._learn = learn

    def note(self, program: Program, look: Look) -> None:
        """One execution that is worth a look (fuzz.target.Listener)."""
        self.executions += 1
        ours, theirs = look.sides
        self.steps += ours.steps + theirs.steps
        self._coverage(look)
        for name, (old, new) in benefit(ours, theirs).items():
            sums = self.benefit.setdefault(name, [0, 0])
            sums[0] += old
            sums[1] += new
        if look.judgement is None:
            return
        if look.judgement.verdict is Verdict.INCONCLUSIVE:
            self.inconclusive += 1
        self.hits += 1
        for kind in kinds_of(look.judgement):
            self.seen[kind] += 1
            if self._due(kind):
                self._queue(kind, program)

    def add_work(self, harness: Harness) -> None:
        """What the harness has executed so far, worth a look or not."""
        self.executions = max(self.executions, harness.executions)
        self.steps = max(self.steps, harness.steps)

    def drifted(self, program: Program, drift: Drift) -> None:
        """Python and C differ on a program (fuzz.port.engine.OnDrift): a finding, at once."""
        finding = drift_finding(program, drift, (self.harness.reference.model, self.patched))

        def write() -> None:
            keep(self.layout, finding, program, finding.kind)

        self._write(write)

    def _coverage(self, look: Look) -> None:
        counters, places = self.harness.counters, len(self.harness.patched.places)
        lines = int.from_bytes(counters[: PROBES_MAX + places], "little") | self.lines
        new = look.features - self.features
        if new or lines != self.lines:
            self.features |= new
            self.lines = lines
            self.last_new = self.clock()
        self.windows.update(look.windows)

    def _due(self, kind: Kind) -> bool:
        """Whether triage should get this hit."""
        if kind in self.known:
            return False
        looks = self.vain.get(kind, 0)
        # The more looks were in vain, the rarer the next one: about the root of all hits.
        if looks and self.seen[kind] % (2 * looks):
            return False
        prefix = f"{kind.fingerprint}-"
        if self._queued[kind] >= WAITING_MAX:
            waiting = sum(name.startswith(prefix) for name in os.listdir(self.layout.queue))
            self._queued[kind] = waiting
        return self._queued[kind] < WAITING_MAX

    def _queue(self, kind: Kind, program: Program) -> None:
        text = format_program(program)
        name = queue_name(kind.fingerprint, text.encode())
        self._queued[kind] += 1
        self._write(partial(write_whole, self.layout.queue / name, text))

    def failed(self, data: bytes, error: HarnessError) -> None:
        """Our own code failed on an input: keep both, unless that has happened very often."""
        self.errors += 1
        if self.errors > ERRORS_KEPT:
            return
        name = content_name(data)
        print(f"errors/{name}{PROGRAM_SUFFIX}: internal error: {error}", file=sys.stderr)
        for suffix, content in ((PROGRAM_SUFFIX, data), (".txt", f"{error}\n".encode())):
            self._write(partial(write_whole, self.layout.errors / (name + suffix), content))

    def _write(self, write: Callable[[], None]) -> None:
        """Do a write, however long the disk is full; give up only when told to stop."""
        try:
            patiently(write, self.sleep, self._wait, whatever_it_is)
        except StoppedError:
            self.unsaved = True
        else:
            self.waiting = ""

    def _wait(self, error: OSError) -> None:
        """Let the supervisor know of it.  Raises StoppedError."""
        waiting = f"cannot write: {error.strerror}"
        if waiting != self.waiting:
            print(waiting, file=sys.stderr)
        self.waiting = waiting
        if self._must_stop():
            raise StoppedError
        self._save()

    def stop(self) -> None:
        """End after the execution in hand."""
        self.stopping = True

    def tick(self) -> bool:
        """Once a second: write statistics, read what triage says.  True: it is time to end."""
        now = self.clock()
        # The clock may be set back; that must not mean silence until it is where it was.
        if 0 <= now - self.last_tick < EVERY and not self.stopping:
            return False
        self.last_tick = now
        self._save()
        if self._read_known():
            self._learn(self._found())
        return self._must_stop()

    def close(self) -> None:
        """Write the last statistics."""
        self._save()

    def _must_stop(self) -> bool:
        return self.stopping or parent_gone() or self.layout.stop.exists()

    def _save(self) -> None:
        data = json.dumps(self.stats(), sort_keys=True)
        path = self.layout.worker(self.number) / "stats.json"
        with suppress(OSError):  # the next one says the same and more
            write_whole(path, data)

    def stats(self) -> dict[str, Any]:
        """Everything that is counted, as stats.json has it."""
        entered: dict[str, dict[str, int]] = {}
        for (window, op), count in sorted(self.windows.items()):
            entered.setdefault(window, {})[op] = count
        groups = Counter(feature[0] for feature in self.features)
        return {
            "format": FORMAT,
            "worker": self.number,
            "pid": os.getpid(),
            "start": self.start,
            "now": self.clock(),
            "executions": self.executions,
            "steps": self.steps,
            "hits": self.hits,
            "inconclusive": self.inconclusive,
            "errors": self.errors,
            "lines": bin(self.lines).count("1"),
            "lines_total": len(self.harness.reference.places) + len(self.harness.patched.places),
            "pairs": groups["meet"] + groups["parked"],
            "windows": groups["window"],
            "last_new": self.last_new,
            "rss_mb": round(self._process.memory_info().rss / 2**20, 1),
            "waiting": self.waiting,
            "windows_entered": entered,
            "seen": [[k.rule, k.site, k.side, n] for k, n in sorted(self.seen.items(), key=str)],
            "benefit": dict(sorted(self.benefit.items())),
        }

    def _read_known(self) -> bool:
        """What triage has settled since last asked; whether there is something new."""
        try:
            changed = self.layout.known.stat().st_mtime_ns
            if changed == self._known_time:
                return False
            data = json.loads(self.layout.known.read_text(encoding="utf-8"))
            known = {Kind(*each) for each in data["kinds"]}
            vain = {Kind(*each[:3]): int(each[3]) for each in data.get("vain", ())}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return False  # not there yet; a broken one only costs more looks
        self._known_time, self.known, self.vain = changed, known, vain
        return True

    def _found(self) -> list[Program]:
        """The programs of all findings that can be read, by fingerprint."""
        programs: list[Program] = []
        for folder in findings_in(self.layout.findings):
            with suppress(ProgramError):
                programs.append(load(folder / PROGRAM))
        return programs

"""Where everything of a campaign lies, and how files are written so that no kill can tear them.

    DIR/campaign.json            settings, written once (tools/campaign/settings.py)
    DIR/models/*.py              copies of overlay files under test, as they were at the start
    DIR/lock                     held by the supervisor while it runs; has its pid
    DIR/stop                     exists when somebody asked the campaign to end
    DIR/corpus/SHA1              programs with new coverage, as text; libFuzzer's naming
    DIR/queue/NAME.prog          programs that broke something, waiting for triage
    DIR/known.json               kinds that need no triage any more (triage -> workers)
    DIR/findings/FINGERPRINT/    fuzz/folder.py, with history.json and members/
    DIR/hangs/SHA1.prog          inputs of workers that had to be killed
    DIR/errors/SHA1.prog         programs on which our own code failed, with SHA1.txt
    DIR/quarantine/              files that were torn or not ours, moved here, never deleted
    DIR/workers/N/               pulse, stats.json, log of worker N; or of a lane, tools/cluster
    DIR/workers/slices           how many slices have been cut for a cluster
    DIR/share/                   where hosts of a cluster exchange programs, unless it is elsewhere
    DIR/stats.jsonl              one line of statistics a second or so, with AFL++'s names
    DIR/events.jsonl             one line for each thing that happened: started, found, died, ...
    DIR/totals.json              what worker processes that have ended had counted
    DIR/triager.log              what the triage process printed
    DIR/hook.log                 what the command given with --on-finding printed
    DIR/ballast                  a file to delete when the disk is full, so that findings fit
    DIR/corpus-old               the corpus that cmin is replacing; only there while it does
    DIR/campaign.db              an index for fast answers; made again from the files if lost

Files are the truth.  Each is made under a hidden name and renamed, so a reader finds a whole file
or none; what a crash leaves behind is a hidden file, which the next resume removes.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from string import hexdigits
from typing import Any, Final

PROGRAM_SUFFIX: Final = ".prog"
FINGERPRINT_DIGITS: Final = 8
YOUNG: Final = ".young."  # prefix of files that are being written


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one campaign directory."""

    root: Path

    @property
    def settings(self) -> Path:
        return self.root / "campaign.json"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def stop(self) -> Path:
        return self.root / "stop"

    @property
    def corpus(self) -> Path:
        return self.root / "corpus"

    @property
    def queue(self) -> Path:
        return self.root / "queue"

    @property
    def known(self) -> Path:
        return self.root / "known.json"

    @property
    def findings(self) -> Path:
        return self.root / "findings"

    @property
    def hangs(self) -> Path:
        return self.root / "hangs"

    @property
    def errors(self) -> Path:
        return self.root / "errors"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def workers(self) -> Path:
        return self.root / "workers"

    @property
    def stats(self) -> Path:
        return self.root / "stats.jsonl"

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def totals(self) -> Path:
        return self.root / "totals.json"

    @property
    def triager_log(self) -> Path:
        return self.root / "triager.log"

    @property
    def hook_log(self) -> Path:
        return self.root / "hook.log"

    @property
    def ballast(self) -> Path:
        return self.root / "ballast"

    @property
    def corpus_old(self) -> Path:
        return self.root / "corpus-old"

    @property
    def database(self) -> Path:
        return self.root / "campaign.db"

    def worker(self, number: int) -> Path:
        """The folder of one worker."""
        return self.workers / str(number)

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that every campaign has."""
        return (
            self.models, self.corpus, self.queue, self.findings, self.hangs, self.errors,
            self.quarantine, self.workers,
        )  # fmt: skip

    def make(self) -> None:
        """Make the folders that are not there yet."""
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)


def content_name(data: bytes) -> str:
    """The name of a file with this content: 40 hex digits, as libFuzzer names corpus files."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def queue_name(fingerprint: str, data: bytes) -> str:
    """The name of a program in the queue: the kind that it showed, zeroes when that is no
    fingerprint, and what it is."""
    known = len(fingerprint) == FINGERPRINT_DIGITS and set(fingerprint) <= set(hexdigits.lower())
    kind = fingerprint if known else "0" * FINGERPRINT_DIGITS
    return f"{kind}-{content_name(data)[:16]}{PROGRAM_SUFFIX}"


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty when there is none that can be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def write_whole(path: Path, data: bytes | str) -> None:
    """Write a file so that it is there whole or not at all, whoever is killed meanwhile.

    Not synced to the disk: that can take a second on a busy machine, for every hit of a worker.
    After a power cut the last files may be empty, which the next resume repairs; findings
    themselves are synced (fuzz/folder.py).  Raises OSError, having removed what it had begun.
    """
    content = data.encode() if isinstance(data, str) else data
    young = path.with_name(f"{YOUNG}{path.name}.{os.getpid()}")
    try:
        with young.open("wb") as file:
            file.write(content)
        young.replace(path)
    except OSError:
        young.unlink(missing_ok=True)
        raise

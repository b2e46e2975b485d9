"""Workers and a triager that do as they are told: small stand-ins that keep the contract.

``python -m tests.fake_children MODE DIR [N]``, with MODE one of

good      counts executions until it is asked to stop
hang      is silent with an input in hand, in every process
hang-once the same, but only in the first process of its slot
crash     dies at once
crash-once dies a little later with an input in hand, the first process only
refuse    says in one line why it cannot work
large     holds more memory than it may, in the first process
stuck     pays no attention to being asked to stop
triage    waits until it is asked to stop
finder    makes a finding, then waits until it is asked to stop
"""

from __future__ import annotations

import faulthandler
import json
import signal
import sys
import time
from pathlib import Path

from fuzz.finding import Finding
from fuzz.folder import save
from fuzz.judge import judge
from fuzz.overlay import load_model
from fuzz.text import parse
from tests.unit import samples
from tools import exits
from tools.campaign.child.orphans import die_with_parent
from tools.campaign.child.pulse import Pulse
from tools.campaign.layout import Layout, write_whole
from tools.campaign.supervise.process import module_command

BEAT = 0.02
INPUT = samples.AGREE.encode()


def command(mode: str, root: Path, number: int = 0) -> list[str]:
    """The command that runs this file."""
    return module_command("tests.fake_children", mode, str(root), str(number))


class Worker:
    """One worker of one mode."""

    def __init__(self, mode: str, layout: Layout, number: int) -> None:
        self.layout = layout
        self.number = number
        self.folder = layout.worker(number)
        again = (self.folder / "been-here").exists()
        self.mode = "good" if again and mode in ("hang-once", "crash-once", "large") else mode
        self.pulse = Pulse(self.folder / "pulse")
        (self.folder / "been-here").touch()
        self.start = time.time()
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, _number: int, _frame: object) -> None:
        self.asked = self.mode != "stuck"

    def run(self) -> int:
        """Until asked to stop."""
        ballast = bytearray(b"x") * (96 << 20) if self.mode == "large" else bytearray()
        while not self.asked:
            if self.layout.stop.exists() and self.mode != "stuck":
                break
            self.pulse.begin(INPUT)
            if self.mode.startswith("hang"):
                time.sleep(3600)
            if self.mode.startswith("crash"):
                print("about to crash", flush=True)
                return 7
            self.stats()
            self.pulse.idle()
            time.sleep(BEAT)
        del ballast
        return 0

    def stats(self) -> None:
        """What a worker writes about once a second."""
        import os

        stats = {
            "format": 1, "worker": self.number, "pid": os.getpid(), "start": self.start,
            "now": time.time(), "executions": self.pulse.executions, "steps": 10, "hits": 1,
            "lines": 5, "lines_total": 10, "pairs": 3, "windows": 1, "last_new": self.start,
            "waiting": "", "windows_entered": {"srcu": {"read": 1}},
            "seen": [["stale-spte", "gmem-only prefetched leaf", "patched-only", 2]],
            "benefit": {"flushes": [4, 1]},
        }  # fmt: skip
        write_whole(self.folder / "stats.json", json.dumps(stats))


def find(layout: Layout) -> None:
    """Make one finding, with its history."""
    models = load_model("stock"), load_model("seed")
    finding = Finding.of(judge(parse(samples.STALE), *models), *models)
    path = save(finding, layout.findings)
    kind = [finding.kind.rule, finding.kind.site, finding.kind.side]
    history = {
        "format": 1, "first_seen": "2026-01-02T03:04:05+00:00", "found_after": 1.5,
        "executions": 10, "count": 1, "seen_as": [kind], "members": [], "shows_on": [],
    }  # fmt: skip
    write_whole(path.parent / "history.json", json.dumps(history))


def main() -> int:
    """Run one child."""
    die_with_parent()
    faulthandler.register(signal.SIGUSR1)
    mode, layout, number = sys.argv[1], Layout(Path(sys.argv[2])), int(sys.argv[3])
    if mode == "crash":
        print("cannot start", flush=True)
        return 3
    if mode == "refuse":
        print("patch.py:3:1: fails", flush=True)
        return exits.BAD_INPUT
    if mode == "finder":
        find(layout)
    if mode in ("triage", "finder"):
        while not layout.stop.exists():
            time.sleep(BEAT)
        return 0
    return Worker(mode, layout, number).run()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""One worker of a campaign, started by the supervisor.

    python -m tools.campaign.child.worker DIR N

Fuzzes until DIR/stop exists, the supervisor is gone, or SIGTERM or SIGINT comes; then it ends with
exit code 0.  What it finds goes to DIR/queue, and somebody else judges it.  Exit code 2, with one
line, when the settings or a model cannot be used.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from pathlib import Path
from typing import Final

from fuzz.execution import HarnessError
from fuzz.overlay import OverlayError, load_model
from fuzz.target import LIBFUZZER_OPTIONS, Target, fuzz
from tools import exits
from tools.campaign.child.ledger import Ledger
from tools.campaign.child.lossy import lossy_output
from tools.campaign.child.orphans import die_with_parent
from tools.campaign.child.pulse import Pulse
from tools.campaign.engine import make_harness
from tools.campaign.layout import Layout
from tools.campaign.settings import CampaignError, Settings, load_settings

SEEDS: Final = 1_000_003  # distance between the libFuzzer seeds of two campaign seeds

# libFuzzer's own signals, limits and messages are off: the supervisor has better ones.
QUIET_OPTIONS: Final = (
    "-handle_int=0",
    "-handle_term=0",
    "-handle_usr1=0",
    "-handle_usr2=0",
    "-rss_limit_mb=0",
    "-malloc_limit_mb=0",
    "-timeout=1000000000",  # seconds; 0 would mean at once
    "-reload=1",  # seconds between looks for what other workers found
    "-print_final_stats=0",
    "-verbosity=0",
    "-print_funcs=0",
)
# libFuzzer keeps a smaller program with the same features in place of the larger one, and removes
# the larger file only when it wrote that itself, in this process.  After a restart the corpus is
# read, not written, so every reduction would leave one more file; and the larger file goes before
# the smaller one is written, which a kill or a full disk in between makes a loss.
CORPUS_OPTIONS: Final = ("-reduce_inputs=0",)
OPTIONS: Final = (*LIBFUZZER_OPTIONS, *QUIET_OPTIONS, *CORPUS_OPTIONS)


class WorkerTarget(Target):
    """A target that shows its pulse, keeps the ledger, and lives through our own errors."""

    pulse: Pulse
    ledger: Ledger

    def test_one_input(self, data: bytes) -> None:
        """Run one input; a failure of our own is kept beside the findings, not among them."""
        self.pulse.begin(data)
        try:
            super().test_one_input(data)
        except HarnessError as error:
            self.ledger.failed(data, error)
        except OverlayError as error:
            self.ledger.close()
            _leave(str(error), exits.BAD_INPUT)
        self.ledger.add_work(self.harness)
        self.pulse.executions = max(self.pulse.executions, self.harness.executions)
        if not self.ledger.unsaved:  # else the next resume finds the input in the pulse
            self.pulse.idle()
        if self.ledger.tick():
            self.ledger.close()
            _leave("", exits.CLEAN)


def _leave(line: str, code: int) -> None:
    """End now: libFuzzer's own way out is to report a crash."""
    if line:
        print(line, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def make_target(layout: Layout, number: int, settings: Settings) -> WorkerTarget:
    """The target of one worker.  Raises OverlayError."""
    os.chdir(layout.root)  # models/ in the settings is below the campaign
    reference, patched = load_model(settings.reference), load_model(settings.patched)
    ledger = Ledger(layout, number, patched)
    ops = (settings.ops_min, settings.ops_max)
    harness = make_harness(layout.root, settings, (reference, patched), ledger.drifted)
    profiles = settings.parsed_profiles()
    target = WorkerTarget(reference, patched, profiles, ops, ledger.note, harness)
    target.pulse = Pulse(layout.worker(number) / "pulse")
    target.ledger = ledger
    ledger.begin(target.harness, target.learn)
    return target


def _generation(folder: Path) -> int:
    """How often this worker was started before: a new start draws new programs."""
    path = folder / "generation"
    try:
        generation = int(path.read_text())
    except (OSError, ValueError):
        generation = 0
    path.write_text(str(generation + 1))
    return generation


def main(arguments: list[str]) -> int:
    """Run one worker."""
    if len(arguments) != 2 or not arguments[1].isdecimal():
        print("usage: python -m tools.campaign.child.worker DIR N", file=sys.stderr)
        return exits.BAD_INPUT
    die_with_parent()
    lossy_output()
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    layout, number = Layout(Path(arguments[0]).resolve()), int(arguments[1])
    try:
        settings = load_settings(layout.root)
        target = make_target(layout, number, settings)
        generation = _generation(layout.worker(number))
    except (CampaignError, OverlayError) as error:
        print(error, file=sys.stderr)
        return exits.BAD_INPUT
    except OSError as error:  # the supervisor knows what to do about a full disk
        print(f"{error.filename or layout.root}: {error.strerror}", file=sys.stderr)
        return exits.INTERNAL
    for number_ in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number_, lambda *_: target.ledger.stop())
    seed = settings.seed * SEEDS + number * 1009 + generation * 101
    options = [f"-seed={seed % ((1 << 31) - 1) + 1}", f"-artifact_prefix={layout.worker(number)}/"]
    fuzz(target, ["gmemdiff", *OPTIONS, *options, str(layout.corpus)])
    return exits.CLEAN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

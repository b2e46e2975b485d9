"""HypoFuzz: Hypothesis' stateful test of stateful.py, guided by coverage, where it is installed.

HypoFuzz runs tests that pytest collects, in processes of its own; the test is hypofuzz_case.py,
which is told what to do by the environment and leaves the outcome in a file.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tools.bench.rivals.rival import Stage
from tools.bench.task import Outcome

PACKAGE: Final = "hypofuzz"
TASK: Final = "GMEMDIFF_BENCH_TASK"
OUTCOME: Final = "GMEMDIFF_BENCH_OUTCOME"
CASE: Final = Path(__file__).with_name("hypofuzz_case.py")
LOOK_EVERY: Final = 0.2  # seconds
PATIENCE: Final = 60.0  # seconds of the wall, and so many for each of machine time
PATIENCE_EACH: Final = 15.0


def run(stage: Stage) -> None:
    """Start HypoFuzz on the test, and wait for what comes of it."""
    task = stage.task
    with tempfile.TemporaryDirectory() as temporary:
        told = Path(temporary) / "outcome.json"
        environment = {**os.environ, TASK: json.dumps(task.to_json()), OUTCOME: str(told)}
        command = "from hypofuzz.entrypoint import fuzz; fuzz()"
        arguments = ["--no-dashboard", "-n", "1", "--", "-p", "no:gmemdiff", str(CASE)]
        process = subprocess.Popen(
            [sys.executable, "-c", command, *arguments],
            cwd=temporary,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        end = time.monotonic() + PATIENCE + PATIENCE_EACH * task.seconds
        while not told.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(LOOK_EVERY)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        said = process.communicate()[0]
        if not told.exists():
            last = said.strip().splitlines()[-1:] or ["nothing"]
            stage.referee.finish(Outcome(False, task.seconds, error=f"HypoFuzz: {last[0]}"))
        outcome = Outcome.from_json(json.loads(told.read_text(encoding="utf-8")))
    stage.referee.finish(outcome)

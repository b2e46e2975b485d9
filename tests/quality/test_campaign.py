"""The real campaign from outside: real workers, real triage, killed and interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tools import exits
from tools.campaign.layout import Layout, content_name

pytestmark = pytest.mark.slow

PATIENCE = 60.0  # seconds; for a machine that has much else to do
QUIET_ENDS = (exits.CLEAN, exits.FINDING, exits.INCONCLUSIVE)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tools.cli", *map(str, arguments)]


def gmemdiff(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=PATIENCE)


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A command that runs meanwhile, and not afterwards."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(command(*arguments), stdout=pipe, stderr=pipe, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(true: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def status(root: Path) -> Any:
    return json.loads(gmemdiff("status", "-w", root, "--json").stdout)


def works(layout: Layout) -> Callable[[], bool]:
    """Whether a campaign has a corpus and statistics."""
    return lambda: (
        layout.totals.parent.exists()
        and (len(list(layout.corpus.glob("*"))) > 20 and any(layout.workers.glob("*/stats.json")))
    )


def test_a_killed_campaign_resumes_and_says_what_it_repaired(tmp_path: Path) -> None:
    root = tmp_path / "campaign"
    layout = Layout(root)
    with running("fuzz", "-w", root, "-j", 2) as process:
        wait_for(works(layout))
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        wait_for(lambda: not any(_alive(child) for child in children))
    assert len(children) >= 3
    before = {path.name for path in layout.corpus.iterdir() if path.name[0] != "."}
    executions = status(root)["executions"]
    assert executions > 0
    (layout.corpus / "torn").write_bytes(b"gmemdiff 1\nprof")
    (layout.queue / "0badbeef-0000000000000000.prog").write_bytes(b"\0")
    ended = gmemdiff("resume", "-w", root, "-j", 1, "--max-total-time", 4)
    assert ended.returncode in QUIET_ENDS, ended.stderr
    assert "repaired: corpus/torn: is torn, or not a program" in ended.stderr
    assert "repaired: queue/0badbeef-0000000000000000.prog: is torn" in ended.stderr
    assert before <= {path.name for path in layout.corpus.iterdir()}
    after = status(root)
    assert after["executions"] > executions
    assert after["quarantined"] == 2
    for path in layout.corpus.iterdir():
        assert path.name == content_name(path.read_bytes())
    again = gmemdiff("resume", "-w", root, "-j", 1, "--max-total-time", 0)
    assert f"{root}: nothing to repair" in again.stderr


def test_a_second_campaign_in_the_directory_is_refused_and_stop_ends_the_first(
    tmp_path: Path,
) -> None:
    root = tmp_path / "campaign"
    with running("fuzz", "-w", root, "-j", 1) as process:
        wait_for(works(Layout(root)))
        second = gmemdiff("fuzz", "-w", root)
        assert second.returncode == exits.BAD_INPUT
        assert f"process {process.pid} is using this directory" in second.stderr
        assert status(root)["state"] == "running"
        stopped = gmemdiff("stop", "-w", root)
        assert (stopped.returncode, stopped.stdout) == (exits.CLEAN, f"{root}: has ended\n")
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode in QUIET_ENDS
        assert out.startswith(f"campaign:   {root}: seed against stock")
    assert status(root)["state"] == "ended"
    assert not Layout(root).stop.exists()


def test_ctrl_c_ends_a_campaign_in_good_order(tmp_path: Path) -> None:
    root = tmp_path / "campaign"
    with running("fuzz", "-w", root, "-j", 1) as process:
        wait_for(works(Layout(root)))
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode in (exits.INTERRUPTED, exits.FINDING)
        assert "stopped: interrupted" in err
        assert "more:       gmemdiff resume" in out


def test_a_campaign_without_a_difference_finds_nothing_against_the_patch(tmp_path: Path) -> None:
    root = tmp_path / "campaign"
    options = ("--patched", "stock", "--profile", "v7.2 x86-tdp")
    ended = gmemdiff("fuzz", "-w", root, "-j", 1, "--max-total-time", 6, *options)
    assert ended.returncode in QUIET_ENDS, ended.stderr
    assert "patched-only" not in ended.stdout
    assert status(root)["executions"] > 0


def _alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE

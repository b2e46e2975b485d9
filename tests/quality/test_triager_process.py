"""The triage process as a whole: killed at any moment it loses nothing, and hangs are judged."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from fuzz.codec import random_program
from fuzz.execution import HarnessError
from fuzz.finding import kinds_of
from fuzz.folder import findings_in, load
from fuzz.judge import suspicious
from fuzz.overlay import load_model
from reference.features import Profile
from tests.unit import samples
from tools.campaign.layout import Layout, write_whole
from tools.campaign.records.history import read_history
from tools.campaign.settings import Settings, save_settings
from tools.campaign.triage.shelf import enqueue

ROOT: Final = Path(__file__).parents[2]
KILLS: Final = 8


def start(layout: Layout, *options: str) -> subprocess.Popen[str]:
    """The triage process of a campaign."""
    command = [sys.executable, "-m", "tools.campaign.triage.triager", str(layout.root), *options]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(layout: Layout, *options: str) -> str:
    """Let it work until the queue is empty; returns what it said."""
    layout.stop.touch()
    child = start(layout, "--drain-seconds", "100", *options)
    out, _ = child.communicate(timeout=120)
    assert child.returncode == 0, out
    return out


@pytest.fixture(name="layout")
def _layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.make()
    save_settings(layout, Settings(budget=500, hang_seconds=1.0))
    return layout


def fill(layout: Layout) -> int:
    """Queue what some random programs show, drift aside."""
    stock, seed = load_model("stock"), load_model("seed")
    rng, count = random.Random(3), 0
    for _ in range(700):
        program = random_program(rng, Profile("v7.2", "x86-direct"), 4, 10)
        try:
            found = suspicious(program, stock, seed)
        except HarnessError:
            continue
        for kind in kinds_of(found) if found is not None else ():
            if kind.rule != "equivalence":
                enqueue(layout, kind, program)
                count += 1
    return count


@pytest.mark.slow
def test_killed_at_any_moment_and_started_again_it_finds_the_same(
    layout: Layout, tmp_path_factory: pytest.TempPathFactory
) -> None:
    undisturbed = Layout(tmp_path_factory.mktemp("undisturbed"))
    undisturbed.make()
    save_settings(undisturbed, Settings(budget=500, hang_seconds=1.0))
    assert fill(layout) == fill(undisturbed) > 10
    finish(undisturbed)
    rng = random.Random(8)
    for _ in range(KILLS):
        child = start(layout)
        time.sleep(0.4 + rng.random() * 0.5)
        child.send_signal(signal.SIGKILL)
        child.communicate()
    finish(layout)
    assert list(layout.queue.iterdir()) == []
    found = {folder.name for folder in findings_in(layout.findings)}
    assert found >= {folder.name for folder in findings_in(undisturbed.findings)}
    for folder in findings_in(layout.findings):
        assert load(folder).replayed == "1 of 1"
        history = read_history(folder)
        assert history["first_seen"]
        assert history["members"]
        assert all((folder / "members" / f"{name}.prog").is_file() for name in history["members"])
    known = json.loads(layout.known.read_text())["kinds"]
    assert ["gmem-backing", "prefetched leaf", "both"] in known
    assert list(layout.quarantine.iterdir()) == []


@pytest.mark.slow
def test_a_hang_is_judged_alone_on_each_side_and_one_that_ends_is_said_so(layout: Layout) -> None:
    write_whole(layout.models / "p.py", "def child_exit(kvm):\n    while True:\n        pass\n")
    save_settings(layout, Settings(patched="models/p.py", hang_seconds=2.0))
    write_whole(layout.hangs / "1.prog", samples.CHILD_EXIT)
    write_whole(layout.hangs / "2.prog", samples.AGREE)
    told = finish(layout)
    (folder,) = findings_in(layout.findings)
    finding = load(folder)
    assert (finding.kind.rule, finding.kind.side) == ("hang", "patched-only")
    assert finding.kind.site == "child_exit"
    assert finding.program.patched == "../../models/p.py"
    assert (layout.hangs / "1.judged").read_text().startswith(f"finding {folder.name}: HANG")
    assert (layout.hangs / "2.judged").read_text().startswith("not reproduced within 2 s a side")
    assert (layout.hangs / "2.prog").exists()
    assert "not reproduced" in told


@pytest.mark.slow
def test_a_queued_program_that_never_ends_does_not_stop_triage(layout: Layout) -> None:
    write_whole(layout.models / "p.py", "def child_exit(kvm):\n    while True:\n        pass\n")
    save_settings(layout, Settings(patched="models/p.py", hang_seconds=1.0, budget=100))
    write_whole(layout.queue / "0.prog", samples.CHILD_EXIT)
    write_whole(layout.queue / "1.prog", samples.STALE)
    finish(layout)
    rules = {load(folder).kind.rule for folder in findings_in(layout.findings)}
    assert {"hang", "gmem-backing"} <= rules


@pytest.mark.slow
def test_a_signal_or_the_end_of_its_parent_ends_it_in_good_order(layout: Layout) -> None:
    write_whole(layout.queue / "1.prog", samples.STALE)
    child = start(layout)
    until = time.monotonic() + 20
    while (layout.queue / "1.prog").exists() and time.monotonic() < until:
        time.sleep(0.05)  # it has come to its work, and so to its handlers
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 0
    command = [sys.executable, "-m", "tools.campaign.triage.triager", str(layout.root)]
    code = (
        "import subprocess, time\n"
        f"child = subprocess.Popen({command!r}, stdout=subprocess.DEVNULL)\n"
        "time.sleep(1.5)\n"
        "print(child.pid)\n"
    )
    parent = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    orphan = Path("/proc") / parent.stdout.strip()
    for _ in range(100):
        if not orphan.exists() or "Z" in (orphan / "stat").read_text().split(")")[1][:3]:
            break
        time.sleep(0.1)
    else:
        raise AssertionError("it goes on without its parent")


@pytest.mark.slow
def test_two_on_one_directory_take_turns(layout: Layout) -> None:
    first = start(layout)
    time.sleep(1.0)
    second = start(layout)
    time.sleep(1.0)
    write_whole(layout.queue / "1.prog", samples.STALE)
    layout.stop.touch()
    assert first.wait(60) == 0
    assert second.wait(60) == 0
    assert list(findings_in(layout.findings))

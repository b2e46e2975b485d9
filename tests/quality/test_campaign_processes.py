"""A campaign with real processes that misbehave: none of it stops the campaign or loses a thing.

The workers are stand-ins (tests/fake_children.py); the supervisor is the real one, in a hurry.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests import fake_children
from tests.watcher import Watcher
from tools import exits
from tools.campaign.layout import Layout, content_name
from tools.campaign.records.totals import load_totals
from tools.campaign.session import Outcome, Session
from tools.campaign.settings import Settings, save_settings
from tools.campaign.supervise.process import child_environment
from tools.campaign.supervise.slot import Timing
from tools.campaign.supervise.supervisor import Supervisor
from tools.campaign.views import snapshot as names

pytestmark = pytest.mark.slow

HURRY = Timing(
    tick=0.05, early=1.0, deaths_max=3, delay=0.05, dump=0.3, stop=1.0, drain=0.5, hook=1.0,
    ballast=0.2,
)  # fmt: skip
LATEST = 30.0  # seconds; no test needs nearly as long
NAME = content_name(fake_children.INPUT)


def campaign(
    root: Path,
    mode: str,
    enough: Callable[[Watcher], bool],
    *,
    triage: str = "triage",
    settings: Settings | None = None,
    hook: tuple[str, ...] = (),
) -> tuple[Outcome, Watcher]:
    """Run one with a single worker of this mode."""
    layout = Layout(root)
    layout.make()
    settings = settings or Settings()
    save_settings(layout, settings)
    watcher = Watcher(enough, LATEST)
    session = Session(
        hook=hook,
        timing=HURRY,
        worker=lambda path, number: fake_children.command(mode, path, number),
        triager=lambda path: fake_children.command(triage, path),
    )
    return Supervisor(layout, settings, session, watcher, watcher).run([]), watcher


def executions(watcher: Watcher) -> int:
    """Of this session's worker."""
    return watcher.last.workers[0].executions if watcher.last else 0


def test_a_worker_that_hangs_is_killed_and_its_input_and_stack_are_kept(tmp_path: Path) -> None:
    outcome, watcher = campaign(
        tmp_path,
        "hang-once",
        lambda w: bool(w.told(names.WORKER_HUNG)) and executions(w) > 3,
        settings=Settings(hang_seconds=0.5),
    )
    assert (tmp_path / "hangs" / f"{NAME}.prog").read_bytes() == fake_children.INPUT
    text = (tmp_path / "hangs" / f"{NAME}.txt").read_text()
    assert "silent for 0.5 s" in text
    assert "fake_children.py" in text  # the stack
    assert len(watcher.told(names.WORKER_HUNG)) == 1
    assert outcome.snapshot.hangs == 1
    assert outcome.executions > 3  # the next process in the slot worked


def test_a_program_that_hangs_every_worker_leaves_the_corpus(tmp_path: Path) -> None:
    Layout(tmp_path).make()
    (tmp_path / "corpus" / NAME).write_bytes(fake_children.INPUT)
    campaign(
        tmp_path,
        "hang-once",
        lambda w: bool(w.told(names.WORKER_HUNG)),
        settings=Settings(hang_seconds=0.5),
    )
    assert not (tmp_path / "corpus" / NAME).exists()
    assert (tmp_path / "quarantine" / f"corpus-{NAME}").read_bytes() == fake_children.INPUT


def test_a_worker_that_dies_is_started_again_and_its_input_is_kept(tmp_path: Path) -> None:
    outcome, watcher = campaign(tmp_path, "crash-once", lambda w: executions(w) > 3)
    assert (tmp_path / "errors" / f"{NAME}.prog").read_bytes() == fake_children.INPUT
    text = (tmp_path / "errors" / f"{NAME}.txt").read_text()
    assert "exit code 7" in text
    assert "about to crash" in text
    assert "exit code 7" in watcher.told(names.WORKER_DIED)[0]
    assert not outcome.gave_up


def test_a_worker_that_dies_of_a_signal_is_started_again(tmp_path: Path) -> None:
    killed: list[int] = []

    def enough(watcher: Watcher) -> bool:
        pid = watcher.last.workers[0].pid if watcher.last else 0
        if executions(watcher) > 3 and not killed:
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)
        return bool(killed) and pid not in (0, killed[0]) and executions(watcher) > 20

    outcome, watcher = campaign(tmp_path, "good", enough)
    assert "killed by SIGKILL" in watcher.told(names.WORKER_DIED)[0]
    assert not outcome.gave_up
    # What the first process had counted is not lost.
    assert outcome.executions == load_totals(Layout(tmp_path)).executions > 20


def test_a_worker_that_dies_at_every_start_ends_the_campaign_with_its_log(tmp_path: Path) -> None:
    outcome, watcher = campaign(tmp_path, "crash", lambda w: False)
    assert outcome.code == exits.INTERNAL
    assert "died 3 times" in outcome.gave_up[0]
    assert "cannot start" in outcome.gave_up[0]
    assert watcher.count == 0


def test_a_worker_that_cannot_use_its_models_ends_the_campaign_as_bad_input(tmp_path: Path) -> None:
    outcome, _ = campaign(tmp_path, "refuse", lambda w: False)
    assert outcome.code == exits.BAD_INPUT
    assert outcome.gave_up == ("worker 0 cannot work: patch.py:3:1: fails",)


def test_a_worker_that_grows_too_large_is_replaced(tmp_path: Path) -> None:
    outcome, watcher = campaign(
        tmp_path,
        "large",
        lambda w: bool(w.told(names.WORKER_REPLACED)) and executions(w) > 3,
        settings=Settings(memory_mb=90),
    )
    assert "beyond 90 MiB" in watcher.told(names.WORKER_REPLACED)[0]
    assert outcome.snapshot.workers[0].restarts >= 1
    assert not any((tmp_path / "errors").iterdir())  # its input did nothing wrong


def test_a_worker_that_will_not_stop_is_killed(tmp_path: Path) -> None:
    start = time.monotonic()
    outcome, _ = campaign(tmp_path, "stuck", lambda w: executions(w) > 3)
    assert time.monotonic() - start < LATEST / 2
    assert outcome.snapshot.workers[0].state == "gone"
    assert not psutil.Process().children(recursive=True)
    assert not (tmp_path / "stop").exists()


def test_a_finding_is_announced_once_and_the_hook_runs_once(tmp_path: Path) -> None:
    write = "import os, sys; print(os.environ['GMEMDIFF_FINGERPRINT'], sys.argv[1])"
    hook = (sys.executable, "-c", write)
    for _ in range(2):
        outcome, watcher = campaign(
            tmp_path, "good", lambda w: executions(w) > 20, triage="finder", hook=hook
        )
    assert outcome.code == exits.FINDING
    assert not watcher.told(names.FOUND)  # the second time it was known
    log = (tmp_path / "hook.log").read_text()
    assert log == f"69a427fe {tmp_path / 'findings' / '69a427fe'}\n"
    assert outcome.snapshot.findings[0].count == 4  # twice in each session's worker


def test_a_hook_that_hangs_is_killed_and_told_about(tmp_path: Path) -> None:
    hook = (sys.executable, "-c", "import time; time.sleep(3600)")
    outcome, watcher = campaign(
        tmp_path, "good", lambda w: bool(w.told(names.HOOK_FAILED)), triage="finder", hook=hook
    )
    assert "took longer than 1 s" in watcher.told(names.HOOK_FAILED)[0]
    assert outcome.code == exits.FINDING


def test_no_child_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    Layout(tmp_path).make()
    save_settings(Layout(tmp_path), Settings())
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.quality.test_campaign_processes import campaign\n"
        "campaign(Path(sys.argv[1]), 'good', lambda w: False)\n"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=child_environment()
    )
    try:
        pulse = tmp_path / "workers" / "0" / "stats.json"
        _wait(lambda: pulse.exists())
        children = psutil.Process(supervisor.pid).children(recursive=True)
        assert len(children) == 2
    finally:
        supervisor.kill()
        supervisor.wait()
    _wait(lambda: not any(_alive(child) for child in children))


def _alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _wait(true: Callable[[], bool]) -> None:
    end = time.monotonic() + LATEST
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)

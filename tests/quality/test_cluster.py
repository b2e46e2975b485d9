"""A campaign on a real Dask cluster of several processes, and slices with real workers.

Where it matters what a worker does, it is a stand-in (tests/fake_children.py).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("distributed", reason="needs the extra: pip install 'gmemdiff[cluster]'")
pytest.importorskip("fsspec", reason="needs the extra: pip install 'gmemdiff[cluster]'")

from distributed import KilledWorker

from tests import fake_children
from tests.unit import samples
from tests.watcher import Watcher
from tools import exits
from tools.campaign.layout import Layout, content_name
from tools.campaign.session import Outcome, Session
from tools.campaign.settings import Settings, load_settings, save_settings
from tools.campaign.supervise.crew import Crew
from tools.campaign.supervise.slot import Timing
from tools.campaign.supervise.supervisor import Supervisor
from tools.campaign.views.snapshot import WORKER_DIED, WORKER_HUNG
from tools.cluster.build import build_id
from tools.cluster.crew import ClusterCrew, Plan
from tools.cluster.dask_engine import Dask, DaskTicket
from tools.cluster.engine import GoneError
from tools.cluster.home import Home
from tools.cluster.job import Job, RefusedError, SliceError
from tools.cluster.share import CORPUS, Share, whole
from tools.cluster.slice import Slice, run_slice

pytestmark = pytest.mark.slow

HURRY = Timing(tick=0.05, early=1.0, deaths_max=2, delay=0.05, dump=0.3, stop=1.0)
PATIENCE = 90.0  # seconds; for a machine that has much else to do
SETTINGS = Settings(profiles=("v7.2 x86-direct",), hang_seconds=0.5)
NAME = content_name(fake_children.INPUT)


def home_of(root: Path, settings: Settings = SETTINGS) -> Home:
    """A campaign that slices can be cut from."""
    layout = Layout(root / "home")
    layout.make()
    save_settings(layout, settings)
    home = Home(Share((root / "share").as_uri()), layout)
    home.claim(settings)
    return home


def job_of(home: Home, **more: Any) -> Job:
    """One slice of it."""
    given = {"seconds": 1.5, "every": 0.2, "settings": SETTINGS, "build": build_id(), **more}
    return Job(name="slice-1-0", number=0, session="s1", share=home.share.url, **given)


def slice_of(root: Path, job: Job, mode: str) -> Slice:
    """A slice whose worker is a stand-in."""
    command = partial(fake_children.command, mode)
    return Slice(job, Layout(root / "away"), command, "tcp://a:1", HURRY, final_seconds=2.0)


def test_a_slice_counts_what_its_worker_counts_and_leaves_nothing_running(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    result = slice_of(tmp_path, job_of(home), "good").run()
    assert result["executions"] > 3
    assert result["state"] == "done"
    beats = home.exchange(["slice-1-0"]).beats
    assert beats["slice-1-0"]["start"] == result["start"]
    assert not [p for p in psutil.Process().children() if "fake_children" in str(p.cmdline())]


def test_a_hang_in_a_slice_comes_home_while_the_slice_goes_on(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    result = slice_of(tmp_path, job_of(home, seconds=4.0), "hang-once").run()
    home.exchange([])
    assert (home.layout.hangs / f"{NAME}.prog").read_bytes() == fake_children.INPUT
    assert "fake_children.py" in (home.layout.hangs / f"{NAME}.txt").read_text()
    [(_, kind, text)] = result["events"]
    assert kind == WORKER_HUNG
    assert str(tmp_path) not in text  # a folder of a host that is long gone
    assert result["executions"] > 3


def test_a_slice_ends_when_its_session_does(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    timer = threading.Timer(0.5, home.stop, ["s1"])
    timer.start()
    begun = time.monotonic()
    slice_of(tmp_path, job_of(home, seconds=PATIENCE), "good").run()
    assert time.monotonic() - begun < PATIENCE / 3


def test_a_slice_whose_worker_cannot_work_says_why(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    with pytest.raises(SliceError, match=r"patch\.py:3:1: fails"):
        slice_of(tmp_path, job_of(home), "refuse").run()


def test_a_slice_that_cannot_send_its_end_fails_and_is_run_again(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    mine = slice_of(tmp_path, job_of(home, seconds=0.5), "good")
    timer = threading.Timer(0.3, (tmp_path / "share").rename, [tmp_path / "moved"])
    timer.start()
    with pytest.raises(SliceError, match="the end of a slice could not be sent"):
        mine.run()


def test_a_host_with_another_gmemdiff_or_another_location_is_refused(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    with pytest.raises(RefusedError, match="install the same on every host"):
        run_slice(job_of(home, build="0.0+0"))
    with pytest.raises(RefusedError, match="every host must reach the same location"):
        run_slice(job_of(home, settings=Settings(seed=77)))


class BadFuture:
    """A future of Dask that ends badly."""

    def __init__(self, status: str, error: Exception | None = None) -> None:
        self.status, self.error = status, error

    def result(self, timeout: float) -> Any:
        assert timeout > 0
        assert self.error is not None
        raise self.error


@pytest.mark.parametrize(
    ("future", "kind", "text"),
    [
        (BadFuture("lost"), GoneError, "the scheduler has lost it"),
        (BadFuture("cancelled"), GoneError, "the scheduler has lost it"),
        (BadFuture("error", KilledWorker("t", None, 3)), SliceError, "4 workers in a row"),
        (BadFuture("error", ModuleNotFoundError("tools")), SliceError, "has no gmemdiff: tools"),
        (BadFuture("error", RefusedError("no", "tcp://a:1")), RefusedError, "no"),
        (BadFuture("finished", TimeoutError()), SliceError, "TimeoutError"),
    ],
)
def test_every_bad_end_of_a_task_is_an_error_of_its_slice(
    future: BadFuture, kind: type[SliceError], text: str
) -> None:
    ticket = DaskTicket(future)
    assert ticket.done
    with pytest.raises(SliceError, match=text) as caught:
        ticket.result()
    assert type(caught.value) is kind


@contextmanager
def cluster(folder: Path, size: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and workers with one thread each, as processes; their address."""
    found = folder / "scheduler.json"
    log = (folder / "dask.log").open("ab")

    def start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", module, "--scheduler-file", str(found), *arguments]
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)

    quick = ("--no-dashboard", "--host", "127.0.0.1")
    processes = [start("distributed.cli.dask_scheduler", "--port", "0", *quick)]
    try:
        wait_for(lambda: found.exists() and found.stat().st_size > 0)
        for _ in range(size):
            one = ("--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
            processes.append(start("distributed.cli.dask_worker", *one, *quick))
        yield json.loads(found.read_text())["address"], processes[1:]
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
        log.close()


def wait_for(true: Callable[[], Any]) -> None:
    """Until something is true."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def lost(watcher: Watcher) -> list[str]:
    """Slices that are run again."""
    return [text for text in watcher.told(WORKER_DIED) if "it runs again" in text]


def campaign(home: Home, address: str, plan: Plan, watcher: Watcher) -> Outcome:
    """Run one on a cluster, with real workers and real triage."""

    def crew(layout: Layout, settings: Settings, *more: Any) -> Crew:
        *rest, _room = more
        return ClusterCrew(Dask(address), home, plan, layout, settings, *rest)

    session = Session(crew=crew, timing=Timing(tick=0.3))
    settings = load_settings(home.layout.root)
    return Supervisor(home.layout, settings, session, watcher, watcher).run([])


def test_a_worker_is_killed_and_the_campaign_goes_on_with_all_that_was_found(
    tmp_path: Path,
) -> None:
    settings = Settings(profiles=SETTINGS.profiles)
    home = home_of(tmp_path, settings)
    # Travels from home to the slices, makes a hit there, and comes home through the queue.
    stale = samples.STALE.encode()
    (home.layout.corpus / content_name(stale)).write_bytes(stale)
    killed: list[psutil.Process] = []
    with cluster(tmp_path, 3) as (address, workers):

        def enough(watcher: Watcher) -> bool:
            last = watcher.last
            if last is None:
                return False
            beating = {view.pid for view in last.workers if view.executions > 50}
            victim = psutil.Process(workers[1].pid)
            if not killed and len(beating) == 3 and (fuzzing := victim.children()):
                killed[:] = [victim, *fuzzing]
                os.kill(victim.pid, signal.SIGKILL)
            return bool(lost(watcher)) and bool(last.findings)

        watcher = Watcher(enough, PATIENCE)
        outcome = campaign(home, address, Plan(slice_seconds=8, every=1), watcher)
    assert len(killed) == 2  # a worker of Dask, and the fuzzing process of its slice
    assert not [process for process in killed if process.is_running()]
    assert len(lost(watcher)) == 1
    assert outcome.code == exits.FINDING
    assert "69a427fe" in {view.fingerprint for view in outcome.snapshot.findings}
    assert not outcome.gave_up
    here = {path.name: path.read_bytes() for path in home.layout.corpus.iterdir()}
    assert all(whole(name, data) for name, data in here.items())
    assert set(home.share.sizes(CORPUS)) <= set(here)
    assert len(here) > 1
    assert outcome.executions > 150


def test_the_command_line_runs_a_campaign_on_a_cluster(tmp_path: Path) -> None:
    with cluster(tmp_path, 1) as (address, _):
        command = [
            sys.executable, "-m", "tools.cli", "fuzz", "-w", str(tmp_path / "c"), "--profile",
            "v7.2 x86-direct", "--cluster", address, "--max-total-time", "12",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode in (exits.CLEAN, exits.FINDING, exits.INCONCLUSIVE), done.stderr
    assert f"cluster {address}, location {(tmp_path / 'c' / 'share').as_uri()}" in done.stderr
    assert "executions" in done.stdout
    assert len(list((tmp_path / "c" / "corpus").iterdir())) > 1


def test_without_a_scheduler_the_command_line_says_how_to_start_one(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "tools.cli", "fuzz", "-w", str(tmp_path / "c"), "--cluster",
        "tcp://127.0.0.1:1",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == exits.BAD_INPUT
    [line] = done.stderr.splitlines()
    assert line.startswith("--cluster tcp://127.0.0.1:1: no Dask scheduler answers there")
    assert line.endswith("start one with: dask scheduler")

"""A child process of the supervisor: in a session of its own, with its output in a log.

A session of its own, so that Ctrl-C reaches the supervisor alone, which then ends its children
in good order, and so that whatever a child starts can be ended with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

import tools
from tools.campaign.child.orphans import PARENT

LOG_MAX: Final = 4 << 20  # a longer log loses its beginning
LOG_KEPT: Final = 64 << 10
TAIL_MAX: Final = 16 << 10
_PROJECT: Final = Path(tools.__file__).resolve().parents[1]
_KILL_SECONDS: Final = 10.0


def module_command(module: str, *arguments: str) -> list[str]:
    """A command that runs one of our modules with this Python.

    -P: a folder called tools or fuzz where the user happens to be must not be taken for ours.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment() -> dict[str, str]:
    """The environment of children: finds our modules, and knows who started it."""
    path = [str(_PROJECT), *filter(None, [os.environ.get("PYTHONPATH", "")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), PARENT: str(os.getpid())}


class Child:
    """A running child.  Starting it may raise OSError."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=child_environment(),
                start_new_session=True,
            )
        self.pid: int = self._process.pid
        self.log = log

    def status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def rss_mb(self) -> float:
        """Memory it holds now, in MiB; 0 when it is gone."""
        try:
            return float(psutil.Process(self.pid).memory_info().rss) / (1 << 20)
        except psutil.Error:
            return 0.0

    def suspended(self) -> bool:
        """Whether somebody stopped it with a signal, or traces it: then silence is no hang."""
        try:
            status = psutil.Process(self.pid).status()
        except psutil.Error:
            return False
        return status in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens when it has ended."""
        if self.status() is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def kill(self) -> None:
        """End it and all that it started, at once, and wait until it is gone."""
        if self.status() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_KILL_SECONDS)


def status_text(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"exit code {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = "; by the kernel when memory is short, or by hand" if name == "SIGKILL" else ""
    return f"killed by {name}{hint}"


def log_size(log: Path) -> int:
    """Bytes in a log; 0 when there is none."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def log_tail(log: Path, start: int = 0) -> str:
    """The end of a log, at most TAIL_MAX bytes of it and nothing before `start`."""
    try:
        with log.open("rb") as file:
            file.seek(max(start, file.seek(0, os.SEEK_END) - TAIL_MAX))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def trim_log(log: Path) -> None:
    """Keep only the end of a log that has become long.

    The child goes on writing to the same file: it appends, so after the cut it goes on behind it.
    """
    if log_size(log) <= LOG_MAX:
        return
    with suppress(OSError), log.open("r+b") as file:
        file.seek(-LOG_KEPT, os.SEEK_END)
        kept = file.read()
        file.truncate(0)
        file.seek(0)
        file.write(b"(the beginning of this log was cut off)\n" + kept)

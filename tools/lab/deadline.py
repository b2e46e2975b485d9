"""Commands that share a budget of time, and that end when we do."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from tools.lab.errors import MissingError


class Deadline:
    """Seconds that remain of a budget that several commands share."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left; negative when the time is over."""
        return self._end - time.monotonic()

    def run(
        self,
        command: Sequence[str],
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, or raise MissingError when the time is over.

        It ends with all that it started: at the deadline, and when we are interrupted.
        """
        late = MissingError(
            f"{Path(command[0]).name} was not done within the {self.seconds:g} s given; run "
            "it again, with a larger --max-time: what is complete is kept"
        )
        seconds = self.left()
        if seconds <= 0:
            raise late
        with _terminated_as_interrupted():
            try:
                process = subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                    start_new_session=True,
                )
            except OSError as error:
                raise MissingError(f"{command[0]} cannot be started: {error.strerror}") from error
            try:
                out, err = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired as error:
                _end(process)
                raise late from error
            except BaseException:
                _end(process)
                raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)


def _end(process: subprocess.Popen[str]) -> None:
    """Kill a command and what it started, which make does not do by itself."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C, unless somebody handles it: neither may leave a build behind."""
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if ours:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt

"""The command that is run once for each new finding: to send a mail, to open a ticket.

One at a time, with the folder of the finding as its argument and the rest in its environment.
A hook that fails or takes too long is told about once; it never stops a campaign.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections import deque
from contextlib import suppress
from pathlib import Path

from tools.campaign.settings import CampaignError
from tools.campaign.supervise.process import status_text
from tools.campaign.views.snapshot import HOOK_FAILED, FindingView, Tell


def split_command(text: str) -> list[str]:
    """A command as words; there is no shell.  Raises CampaignError."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise CampaignError(f"--on-finding {text!r}: {error}; check the quotes") from error
    if not words:
        raise CampaignError("--on-finding is empty; give a command, or leave the option out")
    return words


class Hook:
    """Runs the command for one finding after the other."""

    def __init__(self, words: list[str], log: Path, timeout_seconds: float, tell: Tell) -> None:
        self.words = words
        self.log = log
        self.timeout_seconds = timeout_seconds
        self.tell = tell
        self.told = False
        self._waiting: deque[FindingView] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        self._until = 0.0

    @property
    def busy(self) -> bool:
        """Whether it runs, or is still to be run."""
        return self._process is not None or bool(self._waiting)

    def found(self, finding: FindingView) -> None:
        """There is a new finding."""
        if self.words:
            self._waiting.append(finding)

    def tick(self, now: float) -> None:
        """See how the running one does; start the next."""
        if self._process is not None:
            status = self._process.poll()
            if status is None and now < self._until:
                return
            if status is None:
                self.kill()
                self._complain(f"took longer than {self.timeout_seconds:g} s and was killed")
            elif status != 0:
                self._complain(f"failed: {status_text(status)}")
            self._process = None
        if self._waiting:
            self._start(self._waiting.popleft(), now)

    def kill(self) -> None:
        """End the running one with all that it started."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _start(self, finding: FindingView, now: float) -> None:
        folder = str(Path(finding.path).parent)
        environment = {
            **os.environ,
            "GMEMDIFF_FINGERPRINT": finding.fingerprint,
            "GMEMDIFF_FINDING": folder,
            "GMEMDIFF_HEADLINE": finding.headline,
        }
        try:
            with self.log.open("ab") as output:
                self._process = subprocess.Popen(
                    [*self.words, folder],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
        except (OSError, ValueError) as error:
            self._complain(f"cannot be started: {error}")
            return
        self._until = now + self.timeout_seconds

    def _complain(self, what: str) -> None:
        if not self.told:
            self.told = True
            command = shlex.join(self.words)
            text = f"the command of --on-finding ({command}) {what}; see {self.log}; not said again"
            self.tell(HOOK_FAILED, text)

"""Children that do not outlive their supervisor, however it dies.

The supervisor puts its process id into the environment of its children.  A child asks the kernel
to be killed with its parent, and then looks whether the parent is still the one that started it:
it may have died in between.  Being killed loses nothing, see tools/campaign/layout.py.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

PARENT: Final = "GMEMDIFF_SUPERVISOR"  # environment: process id of the supervisor
_PR_SET_PDEATHSIG: Final = 1


def parent_gone() -> bool:
    """Whether the supervisor that started this process is gone; False when there was none."""
    wanted = os.environ.get(PARENT, "")
    return wanted.isdecimal() and os.getppid() != int(wanted)


def die_with_parent() -> None:
    """To be called first by every child of a supervisor.  Raises SystemExit when it is gone.

    Without a supervisor, as when somebody starts a worker by hand, this does nothing.  Where the
    kernel has no such request (it is Linux's own) a child must ask parent_gone() now and then.
    """
    if not os.environ.get(PARENT, "").isdecimal():
        return
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"prctl: {os.strerror(number)}")
    if parent_gone():
        raise SystemExit(0)

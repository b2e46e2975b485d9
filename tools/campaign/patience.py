"""When the disk is full: wait and try again, so that nothing that was found is lost.

Workers and triage wait in here.  The supervisor has others to see to meanwhile: it does what
failed again at its next tick (supervise/disk.py), for the same errors.
"""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable
from typing import Final, TypeVar

# No room on the disk, none left for this user, or none above a limit for one file.
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
AGAIN_AFTER: Final = 1.0  # seconds

T = TypeVar("T")


def is_full(error: OSError) -> bool:
    """Whether something failed because there is no room.

    Everybody who waits must mean the same by it, or one says that all will go on and another one
    dies.
    """
    return error.errno in FULL


def whatever_it_is(error: OSError) -> bool:
    """For who does nothing but write, and waits until somebody has seen to the reason."""
    return True


def say(error: OSError) -> None:
    """Say on stderr what is waited for."""
    what = "free some space" if is_full(error) else "see to it"
    print(f"{error.filename or 'a file'}: {error.strerror}; {what}, I wait", file=sys.stderr)
    sys.stderr.flush()


def patiently(
    action: Callable[[], T],
    sleep: Callable[[float], None] = time.sleep,
    waiting: Callable[[OSError], None] | None = None,
    waits_for: Callable[[OSError], bool] = is_full,
) -> T:
    """Do something that writes; on a full disk do it again until it works.

    `waiting` is told why each time before it waits, and may raise to end that; by default one line
    says so when it begins.  `waits_for` says for which errors; others are raised.
    """
    first = True
    while True:
        try:
            return action()
        except OSError as error:
            if not waits_for(error):
                raise
            why = error
        if waiting is not None:
            waiting(why)
        elif first:
            say(why)
        first = False
        sleep(AGAIN_AFTER)

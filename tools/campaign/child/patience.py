"""When the disk is full: wait and try again, so that nothing that was found is lost."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable
from typing import Final, TypeVar

# No room on the disk, none left for this user, or none above a limit for one file.  Everybody who
# waits must mean the same by it, or one says that all will go on and another one dies.
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
AGAIN_AFTER: Final = 1.0  # seconds

T = TypeVar("T")


def patiently(
    action: Callable[[], T],
    sleep: Callable[[float], None] = time.sleep,
    waiting: Callable[[str], None] | None = None,
) -> T:
    """Do something that writes; on a full disk do it again until it works.

    `waiting` is told why each time it waits; by default one line says so when that begins.
    """
    first = True
    while True:
        try:
            return action()
        except OSError as error:
            if error.errno not in FULL:
                raise
            why = f"{error.filename or 'a file'}: {error.strerror}; free some space, I wait"
            if waiting is not None:
                waiting(why)
            elif first:
                print(why, file=sys.stderr, flush=True)
            first = False
            sleep(AGAIN_AFTER)

"""The pulse of a worker: a small memory-mapped file with what it is doing right now.

Written once per execution, so it must cost next to nothing: no system call, only memory.  It
outlives the worker however that dies, so the supervisor can tell a hang from work, and which
program it was.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Final

SIZE: Final = 1 << 16
# Executions, length of the input in hand (0: none).  Of the machine's own byte order, so that each
# number is written by one store, which no kill can interrupt.
_HEAD: Final = struct.Struct("QI")
INPUT_MAX: Final = SIZE - _HEAD.size


class Pulse:
    """The writer's side."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            # Not only its length: a page that a full disk cannot give would be a SIGBUS later.
            os.posix_fallocate(file.fileno(), 0, SIZE)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), SIZE)
        self.executions = 0

    def begin(self, data: bytes) -> None:
        """An execution starts.  The length comes last: a kill between leaves no input."""
        self.executions += 1
        head, size = _HEAD.size, len(data)
        if size > INPUT_MAX:
            size = 0
        _HEAD.pack_into(self._map, 0, self.executions, 0)
        self._map[head : head + size] = data[:size]
        _HEAD.pack_into(self._map, 0, self.executions, size)

    def idle(self) -> None:
        """Nothing is being executed."""
        _HEAD.pack_into(self._map, 0, self.executions, 0)


def read_pulse(path: Path) -> tuple[int, bytes]:
    """Executions so far and the input in hand; (0, nothing) when there is no pulse to read."""
    try:
        with path.open("rb") as file:
            data = file.read(SIZE)
    except OSError:
        return 0, b""
    if len(data) < _HEAD.size:
        return 0, b""
    executions, size = _HEAD.unpack_from(data)
    return executions, data[_HEAD.size : _HEAD.size + min(size, INPUT_MAX)]

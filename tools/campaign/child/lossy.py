"""Output of a child that may not fail: on a full disk the log loses lines, and that is all."""

from __future__ import annotations

import io
import sys
from typing import Any, TextIO


class LossyFile(io.FileIO):
    """Takes whatever is written to it, and drops what the system does not take."""

    def write(self, data: Any, /) -> int:
        """Write what the system takes; never raises OSError."""
        size = memoryview(data).nbytes
        try:
            written = super().write(data)
        except OSError:
            return size
        return size if written is None else written


def lossy_output() -> None:
    """Let stdout and stderr of this process never raise; to be called once, at the start."""
    sys.stdout, sys.stderr = _lossy(1), _lossy(2)


def _lossy(number: int) -> TextIO:
    raw = LossyFile(number, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding="utf-8", errors="replace", line_buffering=True
    )

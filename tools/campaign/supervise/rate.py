"""How fast a count grows, lately."""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_SECONDS: Final = 10.0


class Rate:
    """Counts a second over the last WINDOW_SECONDS."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def at(self, now: float, count: int) -> float:
        """Note a count; the rate since about WINDOW_SECONDS ago."""
        points = self._points
        points.append((now, count))
        while len(points) > 2 and points[1][0] <= now - WINDOW_SECONDS:
            points.popleft()
        seconds = now - points[0][0]
        return max(0.0, (count - points[0][1]) / seconds) if seconds > 0 else 0.0

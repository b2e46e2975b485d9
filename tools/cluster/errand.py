"""Something slow that runs beside a loop which must not wait: one at a time, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Errand(Generic[T]):
    """Runs a function again and again, when asked, never twice at the same time.

    The thread is a daemon: a location that never answers must not keep the process from ending.
    """

    def __init__(self, do: Callable[[], T], name: str) -> None:
        self._do = do
        self._name = name
        self._thread: threading.Thread | None = None
        self._result: list[T] = []
        self._error: Exception | None = None

    @property
    def running(self) -> bool:
        """Whether it has been started and its result was not taken yet."""
        return self._thread is not None

    def start(self) -> None:
        """Do it, from now on."""
        assert self._thread is None, f"{self._name} runs already"
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = [self._do()]
        except Exception as error:  # raised again where somebody can do something about it
            self._error = error

    def take(self, wait_seconds: float = 0.0) -> T | None:
        """What it returned, once; None while it runs.  Raises what it raised."""
        if self._thread is None:
            return None
        self._thread.join(wait_seconds)
        if self._thread.is_alive():
            return None
        result, error = self._result, self._error
        self._thread, self._result, self._error = None, [], None
        if error is not None:
            raise error
        return result[0]

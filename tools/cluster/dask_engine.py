"""Dask distributed: the only file that knows of it.  Installed by the extra called cluster."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

from distributed import Client, Future, KilledWorker, get_worker

from tools.cluster.engine import ClusterError, GoneError
from tools.cluster.job import Job, SliceError
from tools.cluster.slice import run_slice

CONNECT_SECONDS: Final = 10.0
RESULT_SECONDS: Final = 5.0
# Loggers with handlers of their own, which would write over the screen.
LOGGERS: Final = ("distributed", "distributed.client", "tornado", "tornado.application")


def slice_task(job: Job) -> dict[str, Any]:
    """The task as Dask runs it, on one of its workers.

    Its scratch folder is below the worker's own, which the next worker on that host clears up
    when this one is killed.
    """
    worker = get_worker()
    return run_slice(job, scratch=worker.local_directory, address=worker.address)


class DaskTicket:
    """A slice that was given to the cluster."""

    def __init__(self, future: Future) -> None:
        self._future = future

    @property
    def done(self) -> bool:
        """Whether there is a result, or an error."""
        return bool(self._future.status != "pending")

    def result(self) -> dict[str, Any]:
        """What the slice counted.  Raises SliceError of some kind."""
        status = self._future.status
        if status in ("cancelled", "lost"):
            raise GoneError("the scheduler has lost it")
        try:
            return dict(self._future.result(timeout=RESULT_SECONDS))
        except SliceError:
            raise
        except KilledWorker as error:
            raise SliceError(f"{error.allowed_failures + 1} workers in a row were lost") from error
        except ModuleNotFoundError as error:
            raise SliceError(f"a worker of the cluster has no gmemdiff: {error}") from error
        except Exception as error:  # whatever went wrong on some host, or on the way
            raise SliceError(f"{type(error).__name__}: {error}") from error

    def forget(self) -> None:
        """Do not run it if it was not begun; nobody wants its result."""
        self._future.cancel()


class Dask:
    """One connection to a scheduler, made again when it breaks.

    `capacity` waits for the network; everything else returns at once.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._client = self._connect()

    def _connect(self) -> Client:
        try:
            return Client(self.address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            text = " ".join(str(error).split())
            raise ClusterError(
                f"--cluster {self.address}: no Dask scheduler answers there ({text}); start one "
                "with: dask scheduler"
            ) from error

    def capacity(self) -> dict[str, int]:
        """Threads of each worker, by its address.  Raises ClusterError when nobody answers."""
        if self._client.status == "closed":
            self._client = self._connect()
        try:
            return {str(name): int(n) for name, n in sorted(self._client.nthreads().items())}
        except (OSError, TimeoutError, RuntimeError) as error:
            raise ClusterError(f"{self.address}: the scheduler does not answer: {error}") from error

    def submit(self, job: Job, workers: Sequence[str] | None = None) -> DaskTicket:
        """Give a slice to the cluster: to one of these workers, or to any."""
        try:
            future = self._client.submit(
                slice_task, job, key=job.name, pure=False, workers=workers,
                allow_other_workers=False,
            )  # fmt: skip
        except (OSError, RuntimeError) as error:  # the connection broke a moment ago
            raise ClusterError(f"{self.address}: takes no slice: {error}") from error
        return DaskTicket(future)

    def close(self) -> None:
        """End the connection; slices that run go on until they see the stop."""
        self._client.close(timeout=CONNECT_SECONDS)

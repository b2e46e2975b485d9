"""What a campaign asks of the engine that runs its slices; Dask's answer is in dask_engine.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tools.campaign.settings import CampaignError
from tools.cluster.job import Job, SliceError


class ClusterError(CampaignError):
    """A cluster that cannot be reached."""


class GoneError(SliceError):
    """The scheduler has forgotten a slice, or cannot be reached any more."""


class Ticket(Protocol):
    """A slice that was given to the cluster."""

    @property
    def done(self) -> bool:
        """Whether there is a result, or an error."""

    def result(self) -> dict[str, Any]:
        """What the slice counted.  Raises SliceError of some kind."""

    def forget(self) -> None:
        """Do not run it if it was not begun; nobody wants its result."""


class Engine(Protocol):
    """Runs slices on whatever workers there are, and again when a worker is lost.

    Only `capacity` waits for the network.
    """

    address: str

    def capacity(self) -> dict[str, int]:
        """Slots of each worker, by its address.  Raises ClusterError when nobody answers."""

    def submit(self, job: Job, workers: Sequence[str] | None = None) -> Ticket:
        """Give a slice to one of these workers, or to any.  Raises ClusterError."""

    def close(self) -> None:
        """End the connection."""

"""What a host of the cluster is given: everything that a slice needs, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fuzz.overlay import FILE_SUFFIXES
from tools.campaign.layout import Layout, write_whole
from tools.campaign.settings import Settings, save_settings
from tools.campaign.start import OVERLAYS


class SliceError(Exception):
    """A slice that could not be run; says on which host, and why."""

    def __init__(self, text: str, address: str = "") -> None:
        super().__init__(text, address)  # both, or it does not survive pickling
        self.address = address  # of the worker; empty when that is not known

    def __str__(self) -> str:
        return str(self.args[0])


class RefusedError(SliceError):
    """A host that must not get slices of this campaign, and why."""


@dataclass(frozen=True, slots=True)
class Job:
    """One slice: a worker's run of some seconds, anywhere."""

    name: str  # of this slice, unlike any other of the campaign
    number: int  # decides its random numbers
    session: str  # which the slice belongs to; see "stop" in tools/cluster/share.py
    seconds: float
    share: str  # URL
    build: str  # of the gmemdiff that the campaign runs
    settings: Settings
    models: tuple[tuple[str, str], ...] = ()  # overlays: file name, source
    every: float = 5.0  # seconds between exchanges


def overlays(settings: Settings) -> tuple[tuple[str, str], ...]:
    """The overlay files that the settings name, with their sources.  Raises OSError."""
    paths = sorted({Path(name) for name in _models(settings) if name.endswith(FILE_SUFFIXES)})
    return tuple((path.name, path.read_text(encoding="utf-8")) for path in paths)


def _models(settings: Settings) -> list[str]:
    return [getattr(settings, side) for side in OVERLAYS]


def unpack(job: Job, layout: Layout) -> Settings:
    """Lay out a campaign directory for one slice, on the host that runs it."""
    layout.make()
    for name, source in job.models:
        write_whole(layout.models / name, source)
    settings = job.settings
    for side in OVERLAYS:
        if getattr(settings, side).endswith(FILE_SUFFIXES):
            path = layout.models / Path(getattr(settings, side)).name
            changed: dict[str, Any] = {side: str(path)}
            settings = replace(settings, **changed)
    save_settings(layout, settings)
    # A worker draws its random numbers from the seed and from how often it was started.
    layout.worker(0).mkdir(parents=True, exist_ok=True)
    write_whole(layout.worker(0) / "generation", str(job.number))
    return settings

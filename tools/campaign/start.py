"""Make a campaign directory, or go on in one that is there: what is given must fit it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from fuzz.overlay import FILE_SUFFIXES, Model, load_model
from fuzz.port.build import BuildError, Options, build_library, sources_of
from fuzz.port.compiler import NoCompilerError
from fuzz.port.patching import PatchError
from tools.campaign.layout import Layout, write_whole
from tools.campaign.settings import (
    CampaignError,
    Settings,
    load_settings,
    model_path,
    save_settings,
)

OVERLAYS: Final = ("reference", "patched")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was given on the command line; None for what was not."""

    reference: str | None = None
    patched: str | None = None
    profiles: tuple[str, ...] | None = None
    seed: int | None = None
    ops: tuple[int, int] | None = None
    budget: int | None = None
    engine: str | None = None

    def changes(self) -> dict[str, Any]:
        """The settings that were given, overlays aside."""
        low, high = self.ops or (None, None)
        given = {
            "profiles": self.profiles,
            "seed": self.seed,
            "ops_min": low,
            "ops_max": high,
            "budget": self.budget,
            "engine": self.engine,
        }
        return {name: value for name, value in given.items() if value is not None}


def make_root(root: Path) -> Layout:
    """The directory of a campaign, made if need be.  Raises CampaignError.

    A folder with other things in it is refused: repair would move them to quarantine.
    """
    layout = Layout(root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        others = sorted(p.name for p in root.iterdir() if p.is_file() and p != layout.lock)
    except OSError as error:
        raise CampaignError(f"{root}: cannot be used: {error.strerror}; check -w") from error
    if others and not layout.settings.exists():
        raise CampaignError(
            f"{root}: is no campaign ({layout.settings.name} is missing) and not empty "
            f"({others[0]}); give another directory with -w"
        )
    if not os.access(root, os.W_OK | os.X_OK):
        raise CampaignError(f"{root}: cannot be written to; check its permissions")
    return layout


def open_settings(layout: Layout, wanted: Wanted) -> Settings:
    """The settings of a campaign, new or as they were.  Raises CampaignError, OverlayError.

    The caller holds the lock.
    """
    if not layout.settings.exists():
        return _new(layout, wanted)
    settings = load_settings(layout.root)
    given_options = _options(replace(settings, **wanted.changes()))
    for option, mine in _options(settings).items():
        if given_options[option] != mine:
            raise _differs(layout, option, mine, given_options[option])
    for side in OVERLAYS:
        given, mine = getattr(wanted, side), getattr(settings, side)
        if given is not None and not _same_model(layout, given, mine):
            raise _differs(layout, side, mine, given)
    for side in OVERLAYS:
        campaign_model(layout, getattr(settings, side))
    other = "or start another campaign with --engine python and another -w"
    _engine(layout, settings, settings.engine, other)
    return settings


def _engine(
    layout: Layout, settings: Settings, wanted: str | None, advice: str = "or use --engine python"
) -> str:
    """The engine to use: what is wanted, else C when there is a compiler and both sides exist in C.

    What it needs is built here, once, and not by each worker.  Raises CampaignError, with advice.
    """
    if wanted == "python":
        return wanted
    options = Options(coverage=True)
    try:
        for model in dict.fromkeys((settings.reference, settings.patched)):
            build_library(sources_of(model_path(layout.root, model)).sources, options)
    except (NoCompilerError, BuildError, PatchError) as error:
        if wanted is None:
            return "python"
        raise CampaignError(f"engine c: {error}; {advice}") from error
    return "c"


def _new(layout: Layout, wanted: Wanted) -> Settings:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        version = metadata.version("gmemdiff")
    except metadata.PackageNotFoundError:
        version = ""
    settings = replace(Settings(), **wanted.changes(), created=created, version=version)
    if settings.ops_min > settings.ops_max:
        raise CampaignError(f"--ops {settings.ops_min}..{settings.ops_max}: lower first")
    models = {
        side: _adopt(layout, side, getattr(wanted, side) or getattr(settings, side))
        for side in OVERLAYS
    }
    settings = replace(settings, reference=models["reference"], patched=models["patched"])
    settings = replace(settings, engine=_engine(layout, settings, wanted.engine))
    try:
        save_settings(layout, settings)
    except OSError as error:
        raise CampaignError(
            f"{layout.settings}: cannot be written: {error.strerror}; check the disk"
        ) from error
    return settings


def _adopt(layout: Layout, side: str, name: str) -> str:
    """Check a model; an overlay is copied, since it must not change while it is fuzzed."""
    load_model(name)
    if not name.endswith(FILE_SUFFIXES):
        return name
    # The side is part of the name: both may be called patch.py.
    copy = layout.models / f"{side}_{Path(name).name}"
    copy.parent.mkdir(parents=True, exist_ok=True)
    write_whole(copy, Path(name).read_bytes())
    return copy.relative_to(layout.root).as_posix()


def campaign_model(layout: Layout, name: str) -> Model:
    """A model of the settings; copies of overlays are named from the campaign's directory."""
    return load_model(model_path(layout.root, name))


def _same_model(layout: Layout, given: str, mine: str) -> bool:
    if not given.endswith(FILE_SUFFIXES) or not mine.endswith(FILE_SUFFIXES):
        return given == mine
    load_model(given)  # a bad file gets its own line
    try:
        return Path(given).read_bytes() == (layout.root / mine).read_bytes()
    except OSError:
        return False


def _options(settings: Settings) -> dict[str, str]:
    """The settings as one writes them on the command line, overlays aside."""
    return {
        "profile": ", ".join(settings.profiles) or "for all",
        "seed": str(settings.seed),
        "ops": f"{settings.ops_min}..{settings.ops_max}",
        "budget": str(settings.budget),
        "engine": settings.engine,
    }


def _differs(layout: Layout, option: str, mine: str, given: str) -> CampaignError:
    note = ""
    if mine.endswith(FILE_SUFFIXES) and given.endswith(FILE_SUFFIXES):
        note = " (its copy of then differs from the file of now)"
    return CampaignError(
        f"{layout.root}: this campaign has --{option} {mine}, not {given}{note}; "
        f"leave --{option} out to go on with it, or start another one with another -w"
    )

"""What a campaign was started with; campaign.json, written once and read by every process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Any, Final

from fuzz.overlay import FILE_SUFFIXES
from reference.features import KERNELS, MMUS, Profile
from tools.campaign.layout import Layout, write_whole

FORMAT: Final = 1
ENGINES: Final = ("c", "python")
# What workers would die of, one after the other.
AT_LEAST: Final = {
    "ops_min": 1, "ops_max": 1, "budget": 0, "hang_seconds": 0.1, "memory_mb": 1,
}  # fmt: skip


class CampaignError(ValueError):
    """A campaign directory that cannot be used: says which file, and what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a campaign.  Times are in seconds, memory in MiB.

    invariant: everything that decides what is fuzzed is here; how long and how fast is not.
    """

    reference: str = "stock"  # a model's name, or the path of a copy in models/
    patched: str = "seed"
    engine: str = "python"  # or "c": what runs the programs; Python judges
    profiles: tuple[str, ...] = ()  # "v7.2 x86-tdp"; empty: all
    seed: int = 0
    ops_min: int = 2
    ops_max: int = 10
    budget: int = 10_000  # schedules to try when settling a finding
    hang_seconds: float = 30.0  # a worker silent for so long is killed
    memory_mb: int = 1024  # a worker larger than this is replaced
    created: str = ""  # UTC, ISO 8601
    version: str = ""  # of gmemdiff

    def parsed_profiles(self) -> tuple[Profile, ...]:
        """The profiles as the engine takes them."""
        pairs = [text.split() for text in self.profiles]
        return tuple(Profile(kernel, mmu) for kernel, mmu in pairs)


def model_path(root: Path, name: str) -> str:
    """A model of the settings as one names it from anywhere: files are in the campaign."""
    return str(root / name) if name.endswith(FILE_SUFFIXES) else name


def settings_text(settings: Settings) -> str:
    """The text of campaign.json."""
    data = {"format": FORMAT, **asdict(settings)}
    return json.dumps(data, indent=2, sort_keys=True) + "\n"


def save_settings(layout: Layout, settings: Settings) -> None:
    """Write campaign.json."""
    write_whole(layout.settings, settings_text(settings))


def load_settings(root: Path) -> Settings:
    """Read campaign.json of a campaign directory.  Raises CampaignError."""
    path = Layout(root).settings
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        text = f"{root}: no campaign here (no {path.name}); start one with: gmemdiff fuzz -w {root}"
        raise CampaignError(text) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CampaignError(f"{path}: cannot be read: {error}") from error
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        line, column, why = 1, 1, str(error)
        if isinstance(error, json.JSONDecodeError):
            line, column, why = error.lineno, error.colno, error.msg
        raise CampaignError(
            f"{path}:{line}:{column}: is not JSON: {why}; "
            "restore the file, or move it away and start again with the same -w"
        ) from error
    return _checked(path, data)


def _checked(path: Path, data: Any) -> Settings:
    if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
        raise CampaignError(f"{path}:1:1: is not format {FORMAT}; written by another gmemdiff?")
    defaults = asdict(Settings())
    for name, value in data.items():
        if name not in defaults:
            raise CampaignError(f"{path}:1:1: unknown setting {name!r}; remove it")
        want = type(defaults[name])
        good = isinstance(value, list if want is tuple else (int, float) if want is float else want)
        if not good or isinstance(value, bool):
            raise CampaignError(f"{path}:1:1: {name} is {value!r}; want {want.__name__}")
    for text in data.get("profiles", ()):
        words = text.split() if isinstance(text, str) else ()
        if len(words) != 2 or words[0] not in KERNELS or words[1] not in MMUS:
            raise CampaignError(f"{path}:1:1: {text!r} is no profile; write 'v7.2 x86-tdp'")
    given: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in data.items()}
    settings = Settings(**given)
    for name, least in AT_LEAST.items():
        value = getattr(settings, name)
        if not least <= value < inf:
            raise CampaignError(f"{path}:1:1: {name} is {value}; want {least} or more")
    if settings.engine not in ENGINES:
        raise CampaignError(f"{path}:1:1: engine is {settings.engine!r}; want python or c")
    if settings.ops_min > settings.ops_max:
        both = f"{settings.ops_min} to {settings.ops_max}"
        raise CampaignError(f"{path}:1:1: ops_min to ops_max is {both}; exchange them")
    return settings

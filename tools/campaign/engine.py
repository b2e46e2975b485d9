"""The engine that a campaign's settings name: the harness of a worker, the models of triage."""

from __future__ import annotations

from pathlib import Path

from fuzz.harness import Harness
from fuzz.overlay import Model
from fuzz.port.build import BuildError, Options
from fuzz.port.compiler import NoCompilerError
from fuzz.port.engine import OnDrift, PortHarness
from fuzz.port.library import load_port
from fuzz.port.pair import Pair
from fuzz.port.patching import PatchError
from fuzz.port.runner import on_port
from tools.campaign.settings import CampaignError, Settings, model_path


def make_harness(
    root: Path, settings: Settings, models: tuple[Model, Model], on_drift: OnDrift
) -> Harness:
    """The harness of a worker.  Raises CampaignError."""
    if settings.engine == "python":
        return Harness(*models)
    return PortHarness(*models, _pair(root, settings), on_drift)


def on_engine(root: Path, settings: Settings, models: tuple[Model, Model]) -> tuple[Model, Model]:
    """The models that triage judges with: run in C where the workers are.  Raises CampaignError."""
    if settings.engine == "python":
        return models
    pair = _pair(root, settings)
    reference = on_port(models[0], pair.reference)
    # One that exists in C only is run there already.
    return reference, models[1] if models[1].c_only else on_port(models[1], pair.patched)


def _pair(root: Path, settings: Settings) -> Pair:
    options = Options(coverage=True)
    try:
        names = (model_path(root, name) for name in (settings.reference, settings.patched))
        return Pair(*(load_port(name, options) for name in names))
    except (NoCompilerError, BuildError, PatchError) as error:
        raise CampaignError(f"engine c cannot be used: {error}") from error

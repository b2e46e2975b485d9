"""The engine that a campaign's settings name: the harness of a worker, the models of triage."""

from __future__ import annotations

from fuzz.harness import Harness
from fuzz.overlay import Model
from fuzz.port.build import BuildError, Options
from fuzz.port.compiler import NoCompilerError
from fuzz.port.engine import OnDrift, PortHarness
from fuzz.port.library import load_port
from fuzz.port.pair import Pair
from fuzz.port.patching import PatchError
from fuzz.port.runner import on_port
from tools.campaign.settings import CampaignError, Settings


def make_harness(
    settings: Settings, reference: Model, patched: Model, on_drift: OnDrift
) -> Harness:
    """The harness of a worker.  Raises CampaignError."""
    if settings.engine == "python":
        return Harness(reference, patched)
    return PortHarness(reference, patched, _pair(settings), on_drift)


def on_engine(settings: Settings, models: tuple[Model, Model]) -> tuple[Model, Model]:
    """The models that triage judges with: run in C where the workers are.  Raises CampaignError."""
    if settings.engine == "python":
        return models
    pair = _pair(settings)
    return on_port(models[0], pair.reference), on_port(models[1], pair.patched)


def _pair(settings: Settings) -> Pair:
    options = Options(coverage=True)
    try:
        return Pair(load_port(settings.reference, options), load_port(settings.patched, options))
    except (NoCompilerError, BuildError, PatchError) as error:
        raise CampaignError(f"engine c cannot be used: {error}") from error

"""A program on which Python and C differ, as a finding of its own kind, made without the judge."""

from __future__ import annotations

from fuzz.finding import Finding, Kind, annotated
from fuzz.judge import BOTH, Broken
from fuzz.overlay import Model
from fuzz.port.lockstep import Drift
from fuzz.rules import PORT_DRIFT
from fuzz.vocabulary import Program

VERDICT = "DRIFT"


def drift_finding(program: Program, drift: Drift, models: tuple[Model, Model]) -> Finding:
    """The finding; its site is the model and the step at which the two part."""
    step = drift.python.splitlines()[0] if drift.step and drift.python else "the outcome"
    site = f"{drift.model}: {step.partition('] ')[2] or step}"
    kind = Kind(PORT_DRIFT.slug, site, BOTH)
    lines = (f"{BOTH} {PORT_DRIFT.slug}",)
    where = f"step {drift.step}" if drift.step else "the outcome"
    broken = Broken(PORT_DRIFT.slug, site, BOTH, str(drift), where, patched=True)
    names = (models[0].name, models[1].name)
    return Finding(
        kind=kind,
        verdict=VERDICT,
        lines=lines,
        program=annotated(program, lines, kind, VERDICT, *names),
        models=names,
        broken=(broken,),
        differing=(),
        evidence="",
        sides=("", ""),
        results=(),
        needed=(),
        drift=(),
        benefit={},
        replayed="1 of 1",
    )

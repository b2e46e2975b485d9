"""A program on which a model does not come back: a finding of its own kind, made without the judge.

Every step of a model ends, and a run has a budget of steps; so what does not come back loops
inside one step, as a task does that spins in the kernel without ever letting anybody else run.
Whoever watches the clock (tools/campaign/triage/alone.py) says which side hung; here that becomes a
Finding.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from fuzz.finding import Finding, Kind, annotated
from fuzz.judge import BOTH, PATCHED_ONLY, REFERENCE_ONLY, UNSETTLED, Broken
from fuzz.overlay import Model
from fuzz.rules import HANG
from fuzz.vocabulary import Program

VERDICT: Final = "HANG"
UNKNOWN: Final = "unknown"
_FRAME: Final = re.compile(r'^\s*File "(.+)", line \d+ in (\S+)$')


def hung_side(reference: bool | None, patched: bool | None) -> str:
    """The side of a hang; True hung, False came back, None could not be told."""
    if reference is None or patched is None:
        return UNSETTLED
    if reference and patched:
        return BOTH
    return PATCHED_ONLY if patched else REFERENCE_ONLY


def hung_at(stacks: str, overlays: Collection[str] = ()) -> str:
    """The model function that does not come back, from stack dumps as faulthandler writes them.

    Of several dumps it is the innermost function that stands in all of them: what it calls comes
    and goes.
    """
    chains: list[list[str]] = []
    for dump in re.split(r"^.*\(most recent call first\):$", stacks, flags=re.MULTILINE):
        frames = [match for line in dump.splitlines() if (match := _FRAME.match(line))]
        chain = [m[2] for m in reversed(frames) if _is_model(m[1], overlays)]
        if chain:
            chains.append(chain)
    site = UNKNOWN
    for level in zip(*chains, strict=False):
        if len(set(level)) > 1:
            break
        site = level[0]
    return site


def _is_model(path: str, overlays: Collection[str]) -> bool:
    parts = path.replace("\\", "/").split("/")
    return path in overlays or bool({"reference", "patched"} & set(parts[-3:-1]))


def hang_finding(
    program: Program,
    side: str,
    site: str,
    ends: tuple[str, str],
    models: tuple[Model, Model],
    seconds: float,
) -> Finding:
    """The finding: `ends` says in words how each side ended."""
    kind = Kind(HANG.slug, site, side)
    lines = (f"{side} {HANG.slug}",)
    text = f"one step does not end; given up after {seconds:g} s"
    broken = Broken(HANG.slug, site, side, text, f"in {site}", side != REFERENCE_ONLY)
    return Finding(
        kind=kind,
        verdict=VERDICT,
        lines=lines,
        program=annotated(program, lines, kind, VERDICT, models[0].name, models[1].name),
        models=(models[0].name, models[1].name),
        broken=(broken,),
        differing=(),
        evidence="",
        sides=ends,
        results=(),
        needed=(),
        drift=(),
        benefit={},
        replayed="1 of 1",
    )

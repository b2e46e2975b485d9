"""Exploring one program on both sides, bound by bound, so that it can be stopped and resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzz.port.exhaustive import BYTES_MAX, Exhaustive, Survey
from fuzz.text import format_program
from fuzz.vocabulary import Program
from tools.explore import state as states
from tools.explore.verdict import Sides

NAMES = ("reference", "patched")
Told = Callable[[str, Survey], bool]  # side, totals so far -> whether to go on


@dataclass(frozen=True, slots=True)
class Engines:
    """What explores each side, with the models that replay what it finds."""

    reference: Exhaustive
    patched: Exhaustive
    sides: Sides

    def of(self, name: str) -> Exhaustive:
        """By the side's name."""
        return self.reference if name == "reference" else self.patched


def identity(program: Program, sides: Sides, preemptions: int, reduced: bool) -> str:
    """What a checkpoint is of: the program, the models, the bound, the search."""
    names = f"{sides.reference.name} {sides.patched.name}"
    how = "" if reduced else " unreduced"
    return f"{names} {preemptions}{how}\n{format_program(program)}"


def explore(
    program: Program,
    engines: Engines,
    preemptions: int,
    told: Told,
    checkpoint: Path | None = None,
    bytes_max: int = BYTES_MAX,
    reduced: bool = True,
) -> dict[str, Survey]:
    """Survey both sides.  A side that is cut short is not complete, and says why.

    Each bound from 0 on is explored by itself: a few per cent more work, and the results of the
    last complete bound stand when the next does not get through.
    """
    what = identity(program, engines.sides, preemptions, reduced)
    saved: dict[str, Any] = states.load(checkpoint, what) if checkpoint is not None else {}
    done = {name: states.survey_from_json(data) for name, data in saved.get("sides", {}).items()}
    for bound in range(preemptions + 1):
        for name in NAMES:
            before = done.get(name)
            if before is not None and before.complete and before.preemptions >= bound:
                continue
            resumed = before if before is not None and before.preemptions == bound else None
            survey = engines.of(name).explore(
                program, bound, lambda s, side=name: told(side, s),  # type: ignore[misc]
                bytes_max, resumed.units if resumed is not None else 0, reduced=reduced,
            )  # fmt: skip
            if resumed is not None:
                survey.add(resumed)
            # What a smaller bound reached, this one would reach again.
            elif before is not None and not survey.complete:
                survey.add(before)
                survey.skipped = 0
            done[name] = survey
            if checkpoint is not None:
                data = {side: states.survey_to_json(s) for side, s in done.items()}
                states.save(checkpoint, what, {"sides": data})
            if not survey.complete:
                return {side: done.get(side, Survey(bound, why="not begun")) for side in NAMES}
    return done

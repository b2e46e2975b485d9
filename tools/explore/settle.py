"""Settling what a search left open: explore the other side, within the bound of that search.

The search runs schedule by schedule and gives up after so many (fuzz/search.py); exploring covers
the same schedules in C, and more in the same time.  A model without a port stays unsettled, as
does what takes too long.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from fuzz.counted import counted
from fuzz.execution import HarnessError
from fuzz.judge import BOTH, PATCHED_ONLY, REFERENCE_ONLY, UNSETTLED, Broken, Judgement, Verdict
from fuzz.overlay import Model
from fuzz.port.build import BuildError
from fuzz.port.compiler import NoCompilerError
from fuzz.port.encode import BeyondPortError
from fuzz.port.exhaustive import PREEMPTIONS_MAX, Exhaustive, Survey, port_to_explore
from fuzz.port.patching import PatchError
from fuzz.search import PREEMPTIONS_MIN, execute
from fuzz.tolerance import differences
from fuzz.vocabulary import Program

SECONDS: Final = 60.0  # for one side of one program
_CANNOT: Final = (NoCompilerError, BuildError, PatchError, BeyondPortError, HarnessError)


def is_open(judgement: Judgement) -> bool:
    """Whether a search gave up; a run that used up its steps is another matter."""
    if judgement.verdict is Verdict.INCONCLUSIVE:
        return bool(judgement.differing)
    return any(b.side == UNSETTLED for b in judgement.broken)


@dataclass(slots=True)
class Settler:
    """Settles judgements, each side of a program within `seconds`; builds each port once."""

    seconds: float = SECONDS
    _engines: dict[str, Exhaustive | None] = field(default_factory=dict)

    def settle(self, judgement: Judgement, reference: Model, patched: Model) -> Judgement:
        """The judgement with all that exploring settles; the same one when that is nothing."""
        if not is_open(judgement) or self.seconds <= 0:
            return judgement
        if judgement.verdict is Verdict.INCONCLUSIVE:
            return self._difference(judgement, reference, patched)
        surveys: dict[str, Survey | None] = {}
        for b in judgement.broken:
            if b.side == UNSETTLED:
                other = reference if b.patched else patched
                if other.name not in surveys:
                    surveys[other.name] = self._explore(judgement.program, other)
        broken = [
            _settled(b, surveys.get((reference if b.patched else patched).name))
            for b in judgement.broken
        ]
        return judgement if broken == judgement.broken else replace(judgement, broken=broken)

    def _difference(self, judgement: Judgement, reference: Model, patched: Model) -> Judgement:
        """Whether the reference can end as the patched side did."""
        until = time.monotonic() + 2 * self.seconds
        survey = self._explore(judgement.program, reference)
        if survey is None:
            return judgement
        program = judgement.program
        for outcome in sorted(survey.outcomes.values(), key=lambda o: (len(o.schedule), o.key)):
            run = execute(reference, replace(program, schedule=outcome.schedule))
            if not differences(program, run, judgement.patched, patched.promises):
                how = _found(outcome.schedule)
                told = f"the reference does the same under another schedule; {how}"
                return replace(judgement, verdict=Verdict.AGREE, evidence=told)
            if time.monotonic() > until:
                return judgement
        if not survey.complete:
            return judgement
        return replace(judgement, verdict=Verdict.DIVERGE, evidence=_not_found(survey))

    def _explore(self, program: Program, model: Model) -> Survey | None:
        bound = min(max(PREEMPTIONS_MIN, len(program.schedule)), PREEMPTIONS_MAX)
        until = time.monotonic() + self.seconds
        bare = replace(program, schedule=(), expect=())
        try:
            engine = self._engine(model.name)
            if engine is None:
                return None
            return engine.explore(bare, bound, lambda _: time.monotonic() < until)
        except _CANNOT:
            return None

    def _engine(self, name: str) -> Exhaustive | None:
        if name not in self._engines:
            self._engines[name] = None
            self._engines[name] = Exhaustive(port_to_explore(name))
        return self._engines[name]


def _settled(b: Broken, survey: Survey | None) -> Broken:
    if b.side != UNSETTLED or survey is None:
        return b
    if (b.rule, b.site) in survey.rules:
        schedule = survey.rules[b.rule, b.site]
        return replace(b, side=BOTH, evidence=_found(schedule))
    if survey.complete:
        side = PATCHED_ONLY if b.patched else REFERENCE_ONLY
        return replace(b, side=side, evidence=_not_found(survey))
    return b


def _found(schedule: Iterable[object]) -> str:
    return f"found by exploring, with {counted(len(tuple(schedule)), 'preemption')}"


def _not_found(survey: Survey) -> str:
    return (
        f"not found in any schedule of up to {counted(survey.preemptions, 'preemption')}, all "
        f"explored ({counted(survey.states, 'state')})"
    )

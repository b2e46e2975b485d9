"""Who has found something, and when: one judge and one clock for every rival.

What a rival shows counts when it holds: a rule that the mutant breaks, or a difference, and the
model without the mistake was searched for the same and cannot do it.  The clock is the processor
time of the rival's own process.  It stands still while the judge works, which is the same work for
everybody and none of a rival's own; what came to nothing is counted instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NoReturn

from fuzz.execution import HarnessError
from fuzz.finding import Kind, kinds_of
from fuzz.judge import PATCHED_ONLY, Judgement
from fuzz.overlay import Model
from fuzz.shrink.predicates import settled_as
from fuzz.text import format_program
from fuzz.triage import Triage
from fuzz.vocabulary import Program
from reference.features import Profile
from tools.bench.task import Outcome

SEARCH_MAX: Final = 2_000  # schedules of one search: whoever shows a mistake clearly needs fewer

Confirm = Callable[[Program, Judgement], Kind | None]


class Judge:
    """Says of what a rival shows whether it holds."""

    def __init__(self, reference: Model, patched: Model, profiles: tuple[Profile, ...]) -> None:
        self.triage = Triage(reference, patched, SEARCH_MAX, profiles)

    def __call__(self, program: Program, judgement: Judgement) -> Kind | None:
        """The first kind of finding that holds; None when none does."""
        triage = self.triage
        seen = [kind for kind in kinds_of(judgement) if kind.side == PATCHED_ONLY]
        due = [kind for kind in seen if triage.memory.worth(kind)]
        if not due:
            return None
        first = triage.first_look(program)
        for kind in due:
            settled = settled_as(kind, first)
            if settled is not None and settled.side == PATCHED_ONLY:
                return settled
            finding = triage.follow(program, kind, first).finding
            if finding is not None and finding.kind.side == PATCHED_ONLY:
                return finding.kind
        return None


class Referee:
    """Keeps a rival's time, and ends the race.

    finish: is called once, with the outcome, and must not return: a rival may be in the hands of
    a library that would not give control back.
    """

    def __init__(
        self,
        seconds: float,
        confirm: Confirm,
        finish: Callable[[Outcome], NoReturn],
        clock: Callable[[], float] = time.process_time,
    ) -> None:
        self.seconds = seconds
        self.confirm = confirm
        self.finish = finish
        self.clock = clock
        self.begin: float | None = None
        self.executions = self.vain = 0

    def start(self) -> None:
        """The rival is ready: from now on, its time counts."""
        self.begin = self.clock()

    def spent(self) -> float:
        """The machine time so far, without the judge's."""
        return 0.0 if self.begin is None else self.clock() - self.begin

    def ran(self, executions: int) -> None:
        """So many more programs were run on both sides; the race ends when the time is over."""
        self.executions += executions
        if self.spent() >= self.seconds:
            self.finish(Outcome(False, self.seconds, self.executions, self.vain))

    def look(self, program: Program, judgement: Judgement | None) -> None:
        """What running a program showed; the race ends here when it holds."""
        if judgement is None or self.begin is None:
            return
        before = self.clock()
        spent = before - self.begin
        try:
            kind = self.confirm(program, judgement)
        except HarnessError as error:
            self.finish(Outcome(False, spent, self.executions, self.vain, error=str(error)))
        self.begin += self.clock() - before
        if kind is not None and spent < self.seconds:
            text = format_program(program)
            name = f"{kind.side} {kind.rule} at {kind.site}"
            self.finish(Outcome(True, spent, self.executions, self.vain, name, text))
        self.vain += any(kind.side == PATCHED_ONLY for kind in kinds_of(judgement))

"""When the run of one model is the run of the other, too, and need not be done twice.

Most patches change how a question is answered ("which memslots are in this range?"), and nothing
else.  So the patched side's questions are put to the reference as well.  As long as the answers
are the same, the reference is in the same state and would have taken the same steps; if they
were the same to the end, its run is this run.  Four of ten programs of a campaign never get to
the point where the seed patch matters.

This is exact for functions that only look.  A model says so of all of its functions with PURE
(fuzz/overlay.py); others are run on both sides always.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from types import FunctionType
from typing import Any

from fuzz.execution import Plan, Run
from fuzz.overlay import PROMISABLE, Model
from fuzz.search import execute
from fuzz.strategies.driven import drive
from fuzz.strategies.strategy import Strategy
from fuzz.vocabulary import Program


class Twins:
    """Two models, one of which may be run on behalf of both.

    asked: the functions in which they differ, if they may; else none.
    """

    def __init__(self, reference: Model, patched: Model) -> None:
        self.asked = _questions(reference, patched)
        self._models = reference, self.asking(reference, patched)
        self._differed = False

    def run(self, program: Program) -> tuple[Run, Run]:
        """A program on both sides; one run twice when the other would be the same."""
        reference, asking = self._models
        plan = Plan.of(program)
        self.begin()
        theirs = execute(asking, program, plan)
        ours = theirs if self.agree(theirs) else execute(reference, program, plan)
        return ours, theirs

    def drive(self, program: Program, strategy: Strategy) -> tuple[Program, Run, Run]:
        """The same with a strategy instead of the program's schedule, on the patched side.

        Returns the program with the schedule that came of it, which the reference follows.
        """
        reference, asking = self._models
        self.begin()
        scheduled, theirs = drive(asking, program, strategy)
        ours = theirs if self.agree(theirs) else execute(reference, scheduled)
        return scheduled, ours, theirs

    def asking(self, reference: Model, patched: Model) -> Model:
        """A version of the patched model that puts each question to a version of the reference."""
        body: dict[str, Any] = {}
        for name in self.asked:
            ours, theirs = getattr(reference.kvm, name), getattr(patched.kvm, name)
            ask = self._listed if _iterates(ours) else self._answered
            body[name] = ask(ours, theirs)
        kvm = type(patched.kvm.__name__, (patched.kvm,), {"__slots__": (), **body})
        return replace(patched, kvm=kvm)

    def begin(self) -> None:
        """A run of the asking model starts."""
        self._differed = not self.asked

    def agree(self, theirs: Run) -> bool:
        """Whether the reference's run would be the same as the run that has just ended.

        A broken promise is not looked for on the reference, and so not the same.
        """
        if self._differed:
            return False
        return all(rule not in PROMISABLE for rule, _ in theirs.kvm.violations)

    def _answered(self, ours: Callable[..., Any], theirs: Callable[..., Any]) -> Callable[..., Any]:
        """A function that answers as `theirs` does."""

        def answer(*args: Any, **kwargs: Any) -> Any:
            given = theirs(*args, **kwargs)
            if not self._differed:
                self._differed = given != ours(*args, **kwargs)
            return given

        return answer

    def _listed(
        self, ours: Callable[..., Iterable[Any]], theirs: Callable[..., Iterable[Any]]
    ) -> Callable[..., Iterator[Any]]:
        """A function that gives the items that `theirs` does, one by one: there may be steps
        between them, and whoever takes them may stop before the end."""

        def items(*args: Any, **kwargs: Any) -> Iterator[Any]:
            others = iter(() if self._differed else ours(*args, **kwargs))
            for given in theirs(*args, **kwargs):
                self._differed = self._differed or next(others, others) is not given
                yield given
            self._differed = self._differed or next(others, others) is not others

        return items


def _questions(reference: Model, patched: Model) -> tuple[str, ...]:
    """The functions in which two models differ; none when one of them does more than to answer."""
    if not (reference.pure and patched.pure):
        return ()
    names = [
        name
        for name in dir(patched.kvm)
        if isinstance(getattr(patched.kvm, name), FunctionType)
        and getattr(patched.kvm, name) is not getattr(reference.kvm, name)
    ]
    return tuple(names)


def _iterates(function: Callable[..., Any]) -> bool:
    return "Iterable" in str(inspect.signature(function).return_annotation)

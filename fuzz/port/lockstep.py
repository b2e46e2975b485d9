"""Python and C run the same program; every step, every state, every result must be the same."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from fuzz.digest import state_text
from fuzz.execution import Plan
from fuzz.overlay import Model
from fuzz.port.library import Port, PortStep
from fuzz.port.outcome import outcome_text
from fuzz.search import execute
from fuzz.vocabulary import Program
from reference.kvm import Kvm


@dataclass(frozen=True, slots=True)
class Drift:
    """The first place at which the two models part.

    step: number from 1; 0 when all steps are the same and what they came to is not.
    """

    model: str
    step: int
    python: str
    c: str

    def __str__(self) -> str:
        where = f"step {self.step}" if self.step else "the outcome"
        lines = difflib.unified_diff(
            self.python.splitlines(), self.c.splitlines(), "Python", "C", lineterm="", n=100
        )
        return "\n".join((f"{self.model}: Python and C differ at {where}", *lines))


class _Trace:
    """A recorder that keeps every step as the port writes it."""

    def __init__(self) -> None:
        self.steps: list[PortStep] = []

    def step(self, kvm: Kvm, actor: str, op: int, label: str) -> None:
        self.steps.append(PortStep(f"{actor}[{op}] {label}", state_text(kvm)))


def lockstep(program: Program, model: Model, port: Port) -> Drift | None:
    """Run a program on a model and on its port; None when they are the same to the byte.

    Raises HarnessError, BeyondPortError.
    """
    port.load(program)
    port.run(traced=True)
    trace = _Trace()
    run = execute(model, program, Plan.of(program), trace)
    theirs = port.trace()
    for number, (ours, other) in enumerate(zip(trace.steps, theirs, strict=False), 1):
        if ours != other:
            return Drift(model.name, number, _show(ours), _show(other))
    before = outcome_text(program, run)
    after = port.outcome()
    if len(trace.steps) != len(theirs):
        number = min(len(trace.steps), len(theirs))
        longer = trace.steps if len(trace.steps) > number else theirs
        extra = _show(longer[number])
        sides = (extra, "") if longer is trace.steps else ("", extra)
        return Drift(model.name, number + 1, sides[0] + before, sides[1] + after)
    return None if before == after else Drift(model.name, 0, before, after)


def _show(step: PortStep) -> str:
    return f"{step.name}\n{step.state}\n"

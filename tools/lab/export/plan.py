"""How a finding is shown on a real kernel: in which order, by which checks, with what outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from fuzz.finding import Kind
from fuzz.judge import STUCK_RULES
from fuzz.overlay import Model
from fuzz.vocabulary import Program
from reference.features import Profile
from tools.lab.case import Turn
from tools.lab.export.checks import (
    Check,
    Expected,
    checks_of,
    checks_of_threads,
    expectations,
)
from tools.lab.export.errors import NotExpressibleError
from tools.lab.export.observe import Observed, observe, observe_scheduled
from tools.lab.export.order import (
    merges,
    natural_order,
    phases,
    serial_witness,
    turns_of,
)
from tools.lab.export.refused import REFUSED

SERIAL_LIMITS_MAX: Final = 64  # serial orders that are asked how many leaves there may be
ATTEMPTS_THREADS: Final = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """A finding made ready to be written in C.

    order: the turns one after the other; of threads, group by group.  groups: empty when serial.
    why: how the order came about, in words.  cut: turns at the end that were left out.
    """

    program: Program
    kind: Kind
    order: tuple[Turn, ...]
    groups: tuple[tuple[Turn, ...], ...]
    sides: tuple[Observed, Observed]
    expected: tuple[tuple[Expected, ...], tuple[Expected, ...]]
    checks: tuple[Check, ...]
    why: str
    cut: int = 0

    @property
    def threads(self) -> bool:
        """Whether the actors run at the same time."""
        return bool(self.groups)

    @property
    def deciding(self) -> tuple[Check, ...]:
        """The checks that show the finding's own rule."""
        return tuple(c for c in self.checks if c.rule == self.kind.rule and c.shows)


def make_plan(program: Program, kind: Kind, reference: Model, patched: Model) -> Plan:
    """The plan of a finding.  Raises NotExpressibleError."""
    _require_x86(program.profile)
    for op in (*program.setup, *(turn.op for turn in turns_of(program))):
        if op.name in REFUSED:
            raise NotExpressibleError(f"{op.name}: {REFUSED[op.name]}")
    natural = natural_order(program, reference, patched)
    if natural is not None and _shown(program, natural, kind, reference, patched):
        words = "the steps one after the other, as the program has them"
        return _serial(program, kind, natural, reference, patched, words)
    witness = serial_witness(program, kind, reference, patched)
    if witness is not None:
        words = (
            "the steps one after the other: the program's schedule preempts an operation in the "
            "middle, but this serial order breaks the same rule at the same site"
        )
        return _serial(program, kind, witness, reference, patched, words)
    if natural is not None and kind.rule not in STUCK_RULES:
        words = "the steps one after the other, as the program has them"
        return _serial(program, kind, natural, reference, patched, words)
    return _threads(program, kind, reference, patched)


def _require_x86(profile: Profile) -> None:
    if profile.mmu == "arm64":
        raise NotExpressibleError("arm64: the reproducer's guest code and statistics are x86's")


def _shown(
    program: Program, order: Sequence[Turn], kind: Kind, reference: Model, patched: Model
) -> bool:
    """Whether a serial order breaks the rule at the site on every side that the kind names."""
    key = (kind.rule, kind.site)
    ours = key in observe(program, order, reference).broken
    theirs = key in observe(program, order, patched).broken
    return {"both": ours and theirs, "reference-only": ours and not theirs}.get(
        kind.side, theirs and not ours
    )


def _serial(
    program: Program,
    kind: Kind,
    order: tuple[Turn, ...],
    reference: Model,
    patched: Model,
    why: str,
) -> Plan:
    """The longest beginning of the order in whose end the rule is seen to be broken."""
    reason: NotExpressibleError | None = None
    for end in range(len(order), 0, -1):
        part = order[:end]
        sides = observe(program, part, reference), observe(program, part, patched)
        try:
            checks = checks_of(program, part, kind, sides, patched)
        except NotExpressibleError as error:
            reason = reason or error
            continue
        expected = expectations(program, part, kind, sides, patched)
        cut = len(order) - end
        return Plan(program, kind, part, (), sides, expected, checks, why, cut)
    raise reason or NotExpressibleError("the program has no steps")


def _threads(program: Program, kind: Kind, reference: Model, patched: Model) -> Plan:
    turns = turns_of(program)
    groups = phases(program, patched)
    sides = (
        observe_scheduled(program, turns, reference),
        observe_scheduled(program, turns, patched),
    )
    serial = [
        (observe(program, order, reference), observe(program, order, patched))
        for order in islice(merges(program), SERIAL_LIMITS_MAX)
    ]
    checks = checks_of_threads(kind, sides, serial)
    order = tuple(turn for group in groups for turn in group)
    why = "threads that meet again and again: an operation has to be preempted in the middle"
    return Plan(program, kind, order, groups, sides, ((), ()), checks, why)

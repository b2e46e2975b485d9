"""Model and kernel side by side, value by value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tools.lab.case import DONE, SKIPPED, Case, CaseResult, Observation, Turn
from tools.lab.conform.limits import RESULT, Limit, Limits, Where
from tools.lab.conform.observe import COUNTERS, ModelRun

ABSENT: Final = "absent"  # one side has nothing to say


class Verdict(Enum):
    """What comparing one value came to."""

    SAME = "same"
    LIMIT = "limit"  # they differ for a known reason
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Compared:
    """One value of one op.  about: "result", or a counter, of which the change by this op counts.

    at: index into the case's order.
    """

    at: int
    about: str
    model: str
    kernel: str
    verdict: Verdict
    limit: Limit | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One case, compared.

    reached: ops up to the one at which comparing had to stop, or all.  skipped: why the kernel
    did not run it, if so; then nothing is compared.
    """

    case: Case
    values: tuple[Compared, ...] = ()
    reached: int = 0
    skipped: str = ""

    @property
    def first_difference(self) -> Compared | None:
        """Where model and kernel first part without a known reason."""
        return next((v for v in self.values if v.verdict is Verdict.DIFFERS), None)


def compare(
    case: Case, ours: ModelRun, theirs: CaseResult, limits: Limits, lab: Where
) -> Comparison:
    """Compare what both sides say of a case, up to the first op after which they are apart.

    A result that differs ends it, as does a known limit that says so: from there on the two are
    in different states.  A counter that differs is told, and the next op's change is compared.
    """
    if theirs.status == SKIPPED:
        return Comparison(case, skipped=theirs.log or "skipped without a reason")
    values: list[Compared] = []
    seen = theirs.attempts[0] if theirs.attempts else ()
    kernel, model = _by_turn(seen), _by_turn(ours.observations)
    before: tuple[Observation | None, Observation | None] = (None, None)
    for at, turn in enumerate(case.order):
        key = (turn.actor, turn.index)
        one, other = model.get(key), kernel.get(key)
        stop = False
        for about, sides in _pairs(one, other, before, theirs):
            value = _judged(case.order, at, about, sides, limits, lab)
            values.append(value)
            if value.verdict is Verdict.LIMIT:
                stop |= value.limit is not None and value.limit.spoils
            elif value.verdict is Verdict.DIFFERS:
                stop |= about == RESULT
            if stop:
                break
        if stop:
            return Comparison(case, tuple(values), at + 1)
        before = (one, other)
    values += _warnings(case.order, ours, theirs)
    return Comparison(case, tuple(values), len(case.order))


def _by_turn(seen: Sequence[Observation]) -> dict[tuple[str, int], Observation]:
    return {(each.actor, each.index): each for each in seen}


def _pairs(
    one: Observation | None,
    other: Observation | None,
    before: tuple[Observation | None, Observation | None],
    theirs: CaseResult,
) -> Iterator[tuple[str, tuple[str, str]]]:
    """What both sides say of one op: its result, and by how much it changed each counter.

    The first op only says where the counters start.
    """
    ours_text = one.result if one is not None else ABSENT
    theirs_text = other.result if other is not None else _missing(theirs)
    yield RESULT, (ours_text, theirs_text)
    if one is None or other is None or before[0] is None or before[1] is None:
        return
    for name in COUNTERS:
        if name in one.stats and name in other.stats and name in before[1].stats:
            change = one.stats[name] - before[0].stats[name]
            real = other.stats[name] - before[1].stats[name]
            yield name, (f"{change:+d}", f"{real:+d}")


def _missing(theirs: CaseResult) -> str:
    line = theirs.log.strip().splitlines()[0] if theirs.log.strip() else "no log"
    return f"{theirs.status}: {line}" if theirs.status != DONE else ABSENT


def _judged(
    order: Sequence[Turn],
    at: int,
    about: str,
    sides: tuple[str, str],
    limits: Limits,
    lab: Where,
) -> Compared:
    if sides[0] == sides[1]:
        return Compared(at, about, *sides, Verdict.SAME)
    limit = limits.find(order, at, about, sides, lab)
    verdict = Verdict.DIFFERS if limit is None else Verdict.LIMIT
    return Compared(at, about, *sides, verdict, limit)


def _warnings(order: Sequence[Turn], ours: ModelRun, theirs: CaseResult) -> list[Compared]:
    """Whether the kernel warned although every op came back, and whether the model did."""
    kernel = _missing(theirs) if theirs.status != DONE else ""
    model = "; ".join(ours.warned)
    if not model and not kernel:
        return []
    verdict = Verdict.SAME if bool(model) == bool(kernel) else Verdict.DIFFERS
    return [Compared(len(order) - 1, RESULT, model or "no warning", kernel or "none", verdict)]

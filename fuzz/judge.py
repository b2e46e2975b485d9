"""From a Program and two models to a Verdict.

Rules first: what each side breaks by itself.  Then what differs without a broken rule.  A rule
that one side alone breaks, or a difference, is only worth that name if the other side cannot do
the same under some schedule: the two sides take different steps, so the same schedule may give
them different interleavings.  The bounded search settles that, and what it leaves open is said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

from fuzz.execution import End, Plan, Run
from fuzz.overlay import Model
from fuzz.search import RUNS_MAX, SearchResult, execute, search
from fuzz.tolerance import Difference, benefit, differences, op_names
from fuzz.vocabulary import Preemption, Program

STUCK_RULES: Final = frozenset({"deadlock", "livelock", "missed-wakeup"})


class Verdict(IntEnum):
    """Ordered; of several, the worst counts."""

    INVALID = 0
    INCONCLUSIVE = 1
    AGREE = 2
    DIVERGE = 3
    DEADLOCK = 4
    INVARIANT = 5


EQUIVALENCE: Final = "equivalence"
PATCHED_ONLY: Final = "patched-only"
REFERENCE_ONLY: Final = "reference-only"
BOTH: Final = "both"
UNSETTLED: Final = "unsettled"  # one side broke it; the search for the other ran out of budget


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule broken at a site, on which side, with the words of the side that broke it."""

    rule: str
    site: str
    side: str
    text: str
    where: str
    patched: bool  # the patched side broke it in the run at hand
    evidence: str = ""  # what the search on the other side said

    @property
    def fingerprint(self) -> str:
        """Eight hex digits of rule, side and site."""
        return fingerprint(self.rule, self.side, self.site)


def fingerprint(rule: str, side: str, site: str) -> str:
    """The name of a finding: from rule, side and site, never from words."""
    return hashlib.blake2b(f"{rule}|{side}|{site}".encode(), digest_size=4).hexdigest()


@dataclass(slots=True)
class Judgement:
    """Everything the judge has to say of one program."""

    program: Program
    reference: Run
    patched: Run
    verdict: Verdict = Verdict.AGREE
    broken: list[Broken] = field(default_factory=list)
    differing: list[Difference] = field(default_factory=list)
    evidence: str = ""  # what the search said of the differences
    benefit: dict[str, tuple[int, int]] = field(default_factory=dict)
    stale: list[Preemption] = field(default_factory=list)  # reached on neither side
    drift: list[Preemption] = field(default_factory=list)  # reached on one side only
    expectation: list[str] = field(default_factory=list)  # op results that are not as expected

    @property
    def lines(self) -> tuple[str, ...]:
        """The verdict as an ``expect:`` header writes it, sorted: ``patched-only stale-spte``."""
        if self.verdict is Verdict.AGREE:
            return ("agree",)
        if self.verdict is Verdict.INCONCLUSIVE:
            return ("inconclusive",)
        if self.verdict is Verdict.DIVERGE:
            return ("diverge",)
        return tuple(sorted({f"{b.side} {b.rule}" for b in self.broken}))

    @property
    def primary(self) -> Broken | None:
        """The broken rule that names the finding: patched-only before both, the first of them."""
        order = (PATCHED_ONLY, UNSETTLED, BOTH, REFERENCE_ONLY)
        return min(self.broken, key=lambda b: order.index(b.side), default=None)

    @property
    def fingerprint(self) -> str:
        """The finding's name; empty when there is none."""
        if self.primary is not None:
            return self.primary.fingerprint
        if self.verdict is Verdict.DIVERGE:
            return fingerprint(EQUIVALENCE, PATCHED_ONLY, self.differing[0].kind)
        return ""

    @property
    def headline(self) -> str:
        """One line: verdict, side, rule, site."""
        if self.primary is not None:
            b = self.primary
            return f"{self.verdict.name} {b.side} {b.rule} at {b.site}"
        if self.differing:
            return f"{self.verdict.name} {self.differing[0]}"
        return self.verdict.name


def run_both(program: Program, reference: Model, patched: Model) -> tuple[Run, Run]:
    """The program on both sides."""
    plan = Plan.of(program)
    return execute(reference, program, plan), execute(patched, program, plan)


def suspicious(program: Program, reference: Model, patched: Model) -> Judgement | None:
    """The quick look that fuzzing takes: None when both sides agree and break nothing.

    No search: sides of broken rules are those of this one schedule.
    """
    ours, theirs = run_both(program, reference, patched)
    return compare(program, patched, ours, theirs)


def judge(
    program: Program, reference: Model, patched: Model, runs_max: int = RUNS_MAX
) -> Judgement:
    """The whole verdict, with the search where it is needed.  Raises HarnessError."""
    ours, theirs = run_both(program, reference, patched)
    found = compare(program, patched, ours, theirs)
    result = found if found is not None else Judgement(program, ours, theirs)
    if found is not None:
        _settle(result, reference, patched, runs_max)
    result.benefit = benefit(ours, theirs)
    sides = ours.taken, theirs.taken
    for preemption in program.schedule:
        missing = [preemption not in side for side in sides]
        if all(missing):
            result.stale.append(preemption)
        elif any(missing):
            result.drift.append(preemption)
    result.expectation = unexpected_results(program, ours, theirs)
    return result


def compare(program: Program, patched: Model, ours: Run, theirs: Run) -> Judgement | None:
    """Broken rules and differences of two runs; None when there are none.

    Of the models only what the patched one promises counts: the runs say the rest.
    """
    old, new = ours.kvm.violations, theirs.kvm.violations
    if old or new:
        result = Judgement(program, ours, theirs)
        for key, text in new.items():
            side = BOTH if key in old else PATCHED_ONLY
            result.broken.append(_broken(key, side, text, theirs, patched=True))
        for key, text in old.items():
            if key not in new:
                result.broken.append(_broken(key, REFERENCE_ONLY, text, ours, patched=False))
        for difference in differences(program, ours, theirs, patched.promises)[:1]:
            result.differing = [difference]
            text = str(difference)
            result.broken.append(
                Broken(EQUIVALENCE, difference.kind, PATCHED_ONLY, text, "at the end", True)
            )
        result.verdict = _worst(result.broken)
        return result
    if End.BUDGET in (ours.end, theirs.end):
        result = Judgement(program, ours, theirs, Verdict.INCONCLUSIVE)
        result.evidence = "the step budget was used up"
        return result
    found = differences(program, ours, theirs, patched.promises)
    if found:
        return Judgement(program, ours, theirs, Verdict.DIVERGE, differing=found)
    return None


def _broken(key: tuple[str, str], side: str, text: str, run: Run, patched: bool) -> Broken:
    where = run.where.get(key)
    return Broken(*key, side, text, str(where) if where else "at the end", patched)


def _worst(broken: list[Broken]) -> Verdict:
    rules = {b.rule for b in broken}
    return Verdict.DEADLOCK if rules <= STUCK_RULES else Verdict.INVARIANT


def _settle(result: Judgement, reference: Model, patched: Model, runs_max: int) -> None:
    """Ask, for what one side alone showed, whether the other can do it too."""
    program = result.program
    settled: list[Broken] = []
    for b in result.broken:
        if b.side == BOTH or (b.rule == "gmem-survival" and b.patched):
            settled.append(b)  # nobody but a patch promises survival: nothing to look for
            continue
        if b.rule == EQUIVALENCE:
            if any(s.side != BOTH for s in settled):
                continue  # a consequence of what one side does wrong, or of the patch curing it
            answer = _search_outcome(result, reference, patched, runs_max)
            result.evidence = str(answer)
            if answer.found is None and answer.complete:
                settled.append(_with_answer(b, answer))
            continue
        other = reference if b.patched else patched
        answer = search(program, other, _breaks(b.rule, b.site), runs_max)
        settled.append(_with_answer(b, answer))
    result.broken = settled
    if result.verdict is Verdict.DIVERGE:
        answer = _search_outcome(result, reference, patched, runs_max)
        result.evidence = str(answer)
        if answer.found is not None:
            result.verdict = Verdict.AGREE
            result.evidence = f"the reference does the same under another schedule; {answer}"
        elif not answer.complete:
            result.verdict = Verdict.INCONCLUSIVE


def _search_outcome(
    result: Judgement, reference: Model, patched: Model, runs_max: int
) -> SearchResult:
    """Look for a schedule under which the reference ends as the patched run at hand did."""
    program, theirs, promises = result.program, result.patched, patched.promises

    def same(run: Run) -> bool:
        return not differences(program, run, theirs, promises)

    return search(program, reference, same, runs_max)


def _breaks(rule: str, site: str) -> Callable[[Run], bool]:
    return lambda run: (rule, site) in run.kvm.violations


def _with_answer(b: Broken, answer: SearchResult) -> Broken:
    side = b.side
    if answer.found is not None:
        side = BOTH
    elif not answer.complete:
        side = UNSETTLED
    return Broken(b.rule, b.site, side, b.text, b.where, b.patched, str(answer))


def in_words(judgement: Judgement, reference: Model, patched: Model) -> Judgement:
    """A judgement of runs in C with the words that only Python has; others stay as they are."""
    if reference.runner is None and patched.runner is None:
        return judgement
    in_python = replace(reference, runner=None), replace(patched, runner=None)
    if patched.c_only:
        in_python = in_python[0], in_python[0]
    ours, theirs = run_both(judgement.program, *in_python)
    said = {**ours.kvm.violations, **theirs.kvm.violations}
    broken = [replace(b, text=said.get((b.rule, b.site), b.text)) for b in judgement.broken]
    for side, words in ((judgement.reference, ours), (judgement.patched, theirs)):
        if (side.end, side.steps) == (words.end, words.steps):
            side.stuck = words.stuck
    return replace(judgement, broken=broken)


def unexpected_results(program: Program, ours: Run, theirs: Run) -> list[str]:
    """Op results that are not what the program's ``=>`` says, in words."""
    wrong: list[str] = []
    for key, op in op_names(program).items():
        if not op.expect:
            continue
        wanted = [part.strip() for part in op.expect.split("|")]
        got = [ours.results.get(key, "did not end"), theirs.results.get(key, "did not end")]
        if got != [wanted[0], wanted[-1]]:
            wrong.append(
                f"{key[0]}[{key[1]}] {op.name}: expected {op.expect}, got {' | '.join(got)}"
            )
    return wrong

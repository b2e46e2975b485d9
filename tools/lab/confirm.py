"""Asking real kernels about findings: stock and patched, many findings to a boot.

A finding is confirmed by what its reproducer sees of the broken rule itself, on the sides that
the finding names and on no other.  That every other step came out as the models say is told
beside it, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from fuzz.counted import counted
from fuzz.judge import BOTH, REFERENCE_ONLY
from reference.features import KERNELS, Profile
from tools.lab import by_executor
from tools.lab import plan as lab_plan
from tools.lab.confirmation import (
    CONFIRMED,
    DISAGREES,
    NOT_REPRODUCED,
    NOT_RUN,
    Confirmation,
    KernelRun,
    KernelVerdict,
    digest,
)
from tools.lab.errors import MissingError
from tools.lab.export.bundle import headline_of, name_of
from tools.lab.export.errors import NotExpressibleError
from tools.lab.export.plan import Plan, make_plan
from tools.lab.export.render import source
from tools.lab.export.subject import Subject
from tools.lab.kernels import Kernel
from tools.lab.lab import Lab, results_of
from tools.lab.outputs import kernel_run
from tools.lab.programs import Executable, ProgramLab
from tools.lab.static import build_static

ATTEMPTS_SERIAL: Final = 5
ATTEMPTS_THREADS: Final = 300
CPUS_THREADS: Final = 2  # threads meet rarely on one
SIDES: Final = (lab_plan.STOCK, lab_plan.PATCHED)
MODELS: Final = ("stock", "seed")  # what the distribution's kernel and the default patch are
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What to ask.  series: kernels, empty for each program's own; mmu: instead of theirs."""

    series: tuple[str, ...] = ()
    mmu: str | None = None
    patch: str | None = None
    attempts: int | None = None


@dataclass(frozen=True, slots=True)
class _Ask:
    """One finding on one series."""

    subject: Subject
    series: str
    plan: Plan
    attempts: int
    binary: bytes | None  # the reproducer; None: the lab's executor asks
    remark: str = ""  # what the reader of its verdict should know


@dataclass(slots=True)
class _Answer:
    """What is known of a finding so far."""

    runs: list[KernelRun] = field(default_factory=list)
    verdicts: list[KernelVerdict] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


def confirm(subjects: Sequence[Subject], wish: Wish, told: Told) -> list[Confirmation]:
    """One confirmation per finding, in their order.

    told: of what goes on.  Raises NoCompilerError when nothing can compile the reproducers, and
    LabError when one of ours does not compile or the patch is wrong.
    """
    answers = {subject.path: _Answer() for subject in subjects}
    asks: dict[tuple[str, str, int], list[_Ask]] = {}
    for subject in subjects:
        for series in wish.series or (subject.finding.program.profile.kernel.removeprefix("v"),):
            ask = _ask(subject, series, wish, answers[subject.path])
            if ask is not None:
                mmu = ask.plan.program.profile.mmu.removeprefix("x86-")
                cpus = CPUS_THREADS if ask.plan.threads else 1
                asks.setdefault((series, mmu, cpus), []).append(ask)
    for (series, mmu, cpus), group in asks.items():
        _run_group(series, mmu, cpus, group, wish, answers, told)
    return [_confirmation(subject, answers[subject.path]) for subject in subjects]


def _ask(subject: Subject, series: str, wish: Wish, answer: _Answer) -> _Ask | None:
    """The reproducer for a series; None, with the reason in the answer, when there is none."""
    finding = subject.finding
    wanted = (MODELS[0], MODELS[1] if wish.patch is None else subject.patched.name)
    if (subject.reference.name, subject.patched.name) != wanted:
        answer.reasons.append(
            f"it compares {subject.reference.name} and {subject.patched.name}, and the kernels "
            f"are stock and with the seed's patch; give the patch of {subject.patched.name} with "
            "--patch"
        )
        return None
    profile = Profile(f"v{series}", f"x86-{wish.mmu}" if wish.mmu else finding.program.profile.mmu)
    if profile.kernel not in KERNELS:
        answer.verdicts.append(KernelVerdict(series, NOT_RUN, f"not run on {series}: no model"))
        return None
    try:
        plan, text, remark = plan_for(subject, profile)
    except NotExpressibleError as error:
        if str(error) not in answer.reasons:
            answer.reasons.append(str(error))
        return None
    binary = None
    if text:
        binary = build_static("the reproducer", {"reproducer.c": text}).read_bytes()
    usual = ATTEMPTS_THREADS if plan.threads else ATTEMPTS_SERIAL
    return _Ask(subject, series, plan, wish.attempts or usual, binary, remark)


def plan_for(subject: Subject, profile: Profile) -> tuple[Plan, str, str]:
    """Plan, C and remark for a profile; where its model does not show the finding, those of the
    finding's own profile: the kernel is asked all the same.

    Without C the lab's executor can ask.  Raises NotExpressibleError.
    """
    finding = subject.finding
    own = finding.program.profile
    for chosen in dict.fromkeys((profile, own)):
        program = replace(finding.program, profile=chosen)
        try:
            plan = make_plan(program, finding.kind, subject.reference, subject.patched)
            text = _source_of(subject, plan)
        except NotExpressibleError:
            if chosen == own or own.mmu != profile.mmu:
                raise
            continue
        remark = "" if chosen == profile else f"the model of {profile} says it is not there"
        return plan, text, remark
    raise AssertionError("a program has a profile")


def _source_of(subject: Subject, plan: Plan) -> str:
    """The reproducer; empty when only the executor can ask.  Raises NotExpressibleError."""
    try:
        return source(plan, headline_of(subject), subject.finding.broken, name_of(subject))
    except NotExpressibleError:
        if by_executor.refusals(plan):
            raise
        return ""


def _run_group(
    series: str,
    mmu: str,
    cpus: int,
    group: Sequence[_Ask],
    wish: Wish,
    answers: Mapping[str, _Answer],
    told: Told,
) -> None:
    """All findings of one series and MMU flavour, on the stock kernel and on the patched one."""
    request = lab_plan.Request(patch=wish.patch)
    pairs: list[list[KernelRun]] = [[] for _ in group]
    for side in SIDES:
        try:
            kernel = lab_plan.kernel_for(request, series, side, mmu)
            told(f"kernel:   {kernel.name}, {mmu}: {counted(len(group), 'finding')}")
            seen = _on_kernel(kernel, mmu, cpus, group, told)
        except MissingError as error:
            for ask, runs in zip(group, pairs, strict=True):
                answers[ask.subject.path].runs += runs
                verdict = verdict_without(ask.plan.kind.side, series, runs, f"{side}: {error}")
                answers[ask.subject.path].verdicts.append(verdict)
            return
        for runs, run in zip(pairs, seen, strict=True):
            runs.append(run)
    for ask, (stock, patched) in zip(group, pairs, strict=True):
        answer = answers[ask.subject.path]
        answer.runs += [stock, patched]
        verdict = verdict_of(ask.plan.kind.side, stock, patched, ask.plan.threads)
        if ask.remark:
            verdict = replace(verdict, text=f"{verdict.text}; {ask.remark}")
        answer.verdicts.append(verdict)


def _on_kernel(
    kernel: Kernel, mmu: str, cpus: int, group: Sequence[_Ask], told: Told
) -> list[KernelRun]:
    """What one kernel says of all findings of a group, in their order."""
    patched = kernel.patched
    runs: dict[int, KernelRun] = {}
    printing = [ask for ask in group if ask.binary is not None]
    programs = [
        Executable(ask.subject.finding.fingerprint, ask.binary or b"", (str(ask.attempts),))
        for ask in printing
    ]
    lab = ProgramLab(kernel, mmu, cpus=cpus)
    outputs = lab.run(programs, lambda output: told(f"  {output.name}: {output.ended}"))
    for ask, output in zip(printing, outputs, strict=True):
        runs[id(ask)] = kernel_run(ask.plan, output, kernel.release, patched, mmu, ask.attempts)
    for ask in group:
        if ask.binary is None:
            name = ask.subject.finding.fingerprint
            cases = [by_executor.case_of(ask.plan, name)] * ask.attempts
            results = list(results_of(Lab(kernel, mmu).run(cases)))
            run = by_executor.kernel_run(ask.plan, results, kernel.release, patched, mmu)
            told(f"  {name}, by the executor: {run.hits} of {run.attempts}")
            runs[id(ask)] = run
    return [runs[id(ask)] for ask in group]


def verdict_of(
    side: str, stock: KernelRun, patched: KernelRun, race: bool = False
) -> KernelVerdict:
    """What two runs say of a finding of this side (fuzz/judge.py).

    race: it takes luck to see it, so a side on which it was not seen contradicts nothing; what both
    sides are said to do is then confirmed by the stock kernel alone.
    """
    where = f"{stock.release} {stock.mmu}"
    counts = (
        f"stock {stock.hits} of {stock.attempts} attempts, "
        f"patched {patched.hits} of {patched.attempts}"
    )
    trouble = "; ".join(
        f"{name}: {run.trouble}" for name, run in (("stock", stock), ("patched", patched))
        if run.trouble
    )  # fmt: skip
    if not stock.attempts or not patched.attempts:
        return KernelVerdict(stock.release, NOT_RUN, f"not run on {where}: {trouble}")
    shown = stock.hits > 0, patched.hits > 0
    wanted = {BOTH: (True, True), REFERENCE_ONLY: (True, False)}.get(side, (False, True))
    if shown == wanted or (race and side == BOTH and shown[0]):
        word = CONFIRMED
    elif (race and side == BOTH) or shown == (False, False):
        word = NOT_REPRODUCED
    else:
        word = DISAGREES
    text = f"{word} on {where}: {counts}" + (f" ({trouble})" if trouble else "")
    return KernelVerdict(stock.release, word, text)


def verdict_without(
    side: str, series: str, runs: Sequence[KernelRun], missing: str
) -> KernelVerdict:
    """What can be said without the patched kernel, or without any: what both sides are said to do
    is confirmed by the stock kernel alone."""
    if not runs:
        return KernelVerdict(series, NOT_RUN, f"not run on {series} {missing}")
    (stock,) = runs
    word = CONFIRMED if side == BOTH and stock.hits else NOT_RUN
    seen = f"stock {stock.hits} of {stock.attempts} attempts"
    where = f"{stock.release} {stock.mmu}"
    return KernelVerdict(stock.release, word, f"{word} on {where}: {seen}; not run on {missing}")


def _confirmation(subject: Subject, answer: _Answer) -> Confirmation:
    return Confirmation(
        fingerprint=subject.finding.fingerprint,
        program=digest(subject.finding.program),
        runs=tuple(answer.runs),
        verdicts=tuple(answer.verdicts),
        reason="; ".join(answer.reasons) if not answer.runs else "",
    )

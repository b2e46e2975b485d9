"""Conformance of one kernel and MMU flavour: run, compare, and make small what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from fuzz.overlay import Model
from fuzz.vocabulary import VMS, Op, Program
from reference.features import Profile
from tools.lab import express
from tools.lab.case import Case, CaseResult
from tools.lab.conform.bench import Bench
from tools.lab.conform.compare import Comparison, Verdict, compare
from tools.lab.conform.draw import Able
from tools.lab.conform.limits import Limits, Where
from tools.lab.conform.observe import observe
from tools.lab.conform.shrink import one_of_each, shrink
from tools.lab.conform.tally import Tally

REPEATS: Final = 2  # more runs of what differs in flush counters alone
LOGS: Final = ("get_dirty_log", "clear_dirty_log")
FLUSHES: Final = ("tlb_flush", "remote_tlb_flush_requests")
ORDERS_MAX: Final = 4  # serial orders of a corpus program
SHRUNK_MAX: Final = 12  # kinds of difference that are made small


@dataclass(slots=True)
class Session:
    """One kernel, ready for cases.  profile: what stands for it among the models."""

    bench: Bench
    model: Model
    profile: Profile
    limits: Limits
    patched: bool = False
    shrinks: bool = True
    tell: Callable[[str], None] = field(default=lambda text: None)
    tally: Tally = field(init=False)

    def __post_init__(self) -> None:
        self.tally = Tally("", self.profile.mmu.removeprefix("x86-"), self.patched)

    def run(self, cases: Sequence[Case]) -> list[Comparison]:
        """Compare all cases; returns those that differ, the first of each kind made small."""
        comparisons = self.look(cases, counted=True)
        unsure = [at for at, one in enumerate(comparisons) if _only_flushes(one)]
        for again in self._again([comparisons[at].case for at in unsure]):
            for at, comparison in zip(unsure, again, strict=True):
                if comparisons[at].first_difference and comparison.first_difference is None:
                    comparisons[at] = comparison
                    self.tally.unsteady += 1
        self.tally.add(comparisons)
        kinds = one_of_each(comparisons)
        if not kinds or not self.shrinks:
            return kinds
        self.tell(f"kinds of difference: {len(kinds)}; making {min(len(kinds), SHRUNK_MAX)} small")
        small = shrink(kinds[:SHRUNK_MAX], self.look)
        return one_of_each(small) + kinds[SHRUNK_MAX:]

    def _again(self, cases: Sequence[Case]) -> Iterable[list[Comparison]]:
        for _ in range(REPEATS if cases else 0):
            yield self.look(cases)

    def look(self, cases: Sequence[Case], counted: bool = False) -> list[Comparison]:
        """Run and compare, and nothing else; counted: the boots are those of the tally."""
        if not cases:
            return []
        boots = self.bench.run(cases)
        results = [result for boot in boots for result in boot.results]
        if counted:
            self.tally.kernel = boots[0].kernel
            self.tally.boots += [boot.boot_seconds for boot in boots]
            self.tally.run_seconds += sum(boot.run_seconds for boot in boots)
        return [self._compare(case, one) for case, one in zip(cases, results, strict=True)]

    def _compare(self, case: Case, theirs: CaseResult) -> Comparison:
        ours = observe(case, self.model, self.profile)
        return compare(case, ours, theirs, self.limits, Where(self.profile, self.patched))


def _only_flushes(comparison: Comparison) -> bool:
    """Whether all that differs are counts of flushes.

    KVM flushes once more when it gives mmu_lock away in the middle of a range, which is up to the
    scheduler (tdp_mmu_iter_cond_resched(), arch/x86/kvm/mmu/tdp_mmu.c).
    """
    wrong = [v.about for v in comparison.values if v.verdict is Verdict.DIFFERS]
    return bool(wrong) and all(about in FLUSHES for about in wrong)


def able(capabilities: Iterable[str] = ()) -> Able:
    """What the executor can carry out.  capabilities: names of VM types beyond the default."""
    return Able(
        ops=frozenset(express.EXECUTED - {"stat", "exit_mm"} | {"gpc_read"}),
        vms=frozenset(VMS[:1]) | (frozenset(capabilities) & frozenset(VMS)),
        refuses=refused,
        fit=fitted,
    )


def refused(op: Op, profile: Profile) -> str:
    """Why a single op cannot be asked for on a real kernel; "" when it can."""
    reasons = express.reasons(Program(profile, setup=(op,)))
    if not reasons and op.name in LOGS and op.args[0] + (op.args[-1] << 16) >= 1 << 32:
        return "the kernel's slot field has 32 bits"
    return reasons[0] if reasons else ""


def fitted(op: Op, profile: Profile) -> Op:
    """The op with the values that KVM itself would use, where it chooses them."""
    return express.with_kvms_values(Program(profile, setup=(op,))).setup[0]


def corpus_cases(
    programs: Iterable[tuple[str, Program]], profile: Profile
) -> tuple[list[Case], dict[str, str]]:
    """Cases of the programs of that architecture, and of the others that cannot run, why not."""
    cases: list[Case] = []
    cannot: dict[str, str] = {}
    for path, program in programs:
        if (program.profile.mmu == "arm64") != (profile.mmu == "arm64"):
            cannot[path] = "it is for another architecture"
            continue
        reasons = express.reasons(program)
        if reasons:
            cannot[path] = reasons[0].split(": ", 1)[-1]
            continue
        try:
            cases += express.serial_cases(path, replace(program, profile=profile), ORDERS_MAX)
        except ValueError as error:
            cannot[path] = str(error)
    return cases, cannot

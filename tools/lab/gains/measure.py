"""Counting: what a workload costs on a kernel and on a model, and whether the two agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fuzz.execution import End, Execution, Plan, Run
from fuzz.overlay import Model
from fuzz.strategies.driven import Driven
from fuzz.strategies.strategy import Chance
from fuzz.strategies.walk import Walk
from fuzz.vocabulary import SETUP
from reference.observer import Observer
from tools.lab.case import DONE, SERIAL, THREADS, Case, CaseResult
from tools.lab.conform.bench import Bench
from tools.lab.errors import LabError
from tools.lab.lab import results_of
from tools.lab.plan import THREAD_CPUS

SCHEDULES: Final = 40  # random ones that a model runs of a workload "at once"
RETRIES: Final = "retries"
# Counter -> from KVM's statistics.  A fault that is none of the others came to nothing, and the
# guest makes it again: RET_PF_RETRY (kvm_mmu_page_fault(), arch/x86/kvm/mmu/mmu.c).
KERNEL: Final[Mapping[str, Callable[[Mapping[str, int]], int]]] = {
    "pf_fixed": lambda stats: stats["pf_fixed"],
    RETRIES: lambda stats: (
        stats["pf_taken"] - stats["pf_fixed"] - stats["pf_emulate"] - stats["pf_spurious"]
    ),
    "remote_tlb_flush_requests": lambda stats: stats["remote_tlb_flush_requests"],
    "remote_tlb_flush": lambda stats: stats["remote_tlb_flush"],
    "tlb_flush": lambda stats: stats["tlb_flush"],
    "pages_4k": lambda stats: stats["pages_4k"],
}
# Counter -> what the model calls it.  It has no count of vCPUs that were interrupted.
MODEL: Final = {
    "pf_fixed": "pf_fixed",
    RETRIES: "fault_retries",
    "remote_tlb_flush_requests": "remote_tlb_flush",
    "tlb_flush": "tlb_flush",
    "pages_4k": "pages_4k",
}
Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Span:
    """The least and the most that a counter came to."""

    least: int
    most: int

    def __str__(self) -> str:
        return str(self.least) if self.least == self.most else f"{self.least}..{self.most}"

    @property
    def certain(self) -> bool:
        """Whether it always came to the same."""
        return self.least == self.most


Spans = Mapping[str, Span]


@dataclass(frozen=True, slots=True)
class Row:
    """One counter of one workload: what kernels and models say, without the patch and with it.

    None: that side does not have the counter, or was not asked.
    """

    workload: str
    counter: str
    stock: Span | None
    stock_model: Span | None
    patched: Span | None
    patched_model: Span | None

    @property
    def disagreements(self) -> tuple[str, ...]:
        """The sides on which the kernel is not as a model that is certain says."""
        pairs = {
            "stock": (self.stock, self.stock_model),
            "patched": (self.patched, self.patched_model),
        }
        return tuple(name for name, (seen, said) in pairs.items() if _contradict(seen, said))

    @property
    def compared(self) -> int:
        """On how many sides there was something to compare."""
        pairs = ((self.stock, self.stock_model), (self.patched, self.patched_model))
        return sum(1 for seen, said in pairs if seen and said and said.certain)


def _contradict(seen: Span | None, said: Span | None) -> bool:
    """A model that says different things under different schedules says nothing about one run."""
    return seen is not None and said is not None and said.certain and seen != said


def spans(counts: Sequence[Counts]) -> Spans:
    """What repetitions came to, counter by counter."""
    names = counts[0] if counts else ()
    return {
        name: Span(min(each[name] for each in counts), max(each[name] for each in counts))
        for name in names
    }


def kernel_counts(result: CaseResult) -> list[Counts]:
    """The counts at the end of each attempt.

    Raises LabError when the kernel did not run the workload to its end, or lacks a statistic.
    """
    if result.status != DONE or not result.attempts:
        raise LabError(f"{result.name}: {result.status}: {result.log or 'no log'}")
    try:
        return [
            {name: count(attempt[-1].stats) for name, count in KERNEL.items()}
            for attempt in result.attempts
        ]
    except KeyError as error:
        raise LabError(f"{result.name}: this kernel's KVM has no statistic {error}") from error


def model_counts(case: Case, model: Model) -> list[Counts]:
    """The counts of a model: of the one order in turns, else of many schedules.

    The schedules are random ones and, since chance keeps to the middle, also those in which one
    actor does all it has to do before the other begins.  Raises LabError when the workload does
    not end there.
    """
    order = [turn.actor for turn in case.order]
    if case.mode != THREADS:
        return [_in_order(case, model, order)]
    after = order[len(case.program.setup) :]
    extremes = [[SETUP] * len(case.program.setup) + sorted(after, reverse=r) for r in (False, True)]
    random = [
        Driven(model.kvm, case.program, Walk(Chance(seed)), Observer()).run()
        for seed in range(SCHEDULES)
    ]
    return [_in_order(case, model, each) for each in extremes] + [_counts(case, r) for r in random]


def _in_order(case: Case, model: Model, order: Sequence[str]) -> Counts:
    return _counts(case, Execution(model.kvm, Plan.of(case.program), Observer()).run(order))


def _counts(case: Case, run: Run) -> Counts:
    if run.end is not End.FINISHED:
        raise LabError(f"{case.name}: the model does not end: {run.end.value}")
    return {name: int(getattr(run.kvm, attribute)) for name, attribute in MODEL.items()}


def on_kernel(cases: Sequence[Case], bench_with: Callable[[int], Bench]) -> dict[str, Spans]:
    """What each workload came to on a kernel; cases of one name are repetitions.

    bench_with: the kernel on a machine of so many processors.  Raises as kernel_counts() does.
    """
    counts: dict[str, list[Counts]] = {}
    for mode, cpus in ((SERIAL, 1), (THREADS, THREAD_CPUS)):
        wanted = [case for case in cases if case.mode == mode]
        for result in results_of(bench_with(cpus).run(wanted)) if wanted else ():
            counts.setdefault(result.name, []).extend(kernel_counts(result))
    return {name: spans(each) for name, each in counts.items()}


def compare(
    cases: Sequence[Case],
    stock: Mapping[str, Spans],
    patched: Mapping[str, Spans],
    models: tuple[Model, Model],
) -> list[Row]:
    """All counters of all workloads, beside what the models of both sides say."""
    found: list[Row] = []
    for name, case in {case.name: case for case in cases}.items():
        said, said_patched = (spans(model_counts(case, model)) for model in models)
        found += [
            Row(
                name,
                counter,
                stock[name].get(counter),
                said.get(counter),
                patched[name].get(counter),
                said_patched.get(counter),
            )
            for counter in KERNEL
        ]
    return found

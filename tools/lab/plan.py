"""From program files and wishes to jobs: which kernel, which MMU flavour, which cases.

Programs that want the same kernel and MMU share boots.  Every program has an outcome, also one
that cannot be expressed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Final, TypeAlias

from fuzz.vocabulary import Program
from tools.lab import express
from tools.lab.build import build_modules
from tools.lab.case import SERIAL, SKIPPED, THREADS, BootResult, Case, CaseResult, Turn
from tools.lab.errors import LabError, MissingError
from tools.lab.kernel_patch import find_patch
from tools.lab.kernels import AMD64, ARM64, Kernel, find_kernel, own_kernel
from tools.lab.lab import Lab, results_of
from tools.lab.machines import ARM_MMU, TCG

STOCK: Final = "stock"
PATCHED: Final = "patched"
SEED: Final = "seed"
THREAD_CPUS: Final = 2
Key: TypeAlias = tuple[str, str, str, str]  # series, stock or patched, MMU, mode


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for.  series, mmu: None leaves it to each program."""

    kinds: tuple[str, ...] = (STOCK,)
    series: str | None = None
    mmu: str | None = None
    patch: str | None = None
    vmlinuz: Path | None = None
    modules: Path | None = None
    threads: int = 0  # attempts as threads, besides the serial orders
    accel: str = TCG


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one case of one program, or of a program that has none."""

    path: str
    program: Program
    order: tuple[Turn, ...] = ()
    mode: str = SERIAL
    kernel: str = ""
    patched: bool = False
    mmu: str = ""
    reasons: tuple[str, ...] = ()
    result: CaseResult | None = None


@dataclass(slots=True)
class Job:
    """Cases for one kernel and MMU flavour; outcomes: theirs, as far as they are known now."""

    lab: Lab
    cases: list[Case] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def kernel_name(self) -> str:
        """For people."""
        return self.lab.kernel.name


def plan(
    programs: Sequence[tuple[str, Program]], request: Request
) -> tuple[list[Job], list[Outcome]]:
    """The jobs, and outcomes of programs that need no kernel to be told.

    Raises LabError when the request is wrong, MissingError when a kernel or QEMU is not there and
    no program could run.
    """
    jobs: dict[Key, Job] = {}
    missing: dict[Key, MissingError] = {}
    told: list[Outcome] = []
    ran = False
    for path, program in programs:
        mmu = request.mmu or program.profile.mmu.removeprefix("x86-")
        reasons = express.reasons(program, mmu)
        if reasons:
            told.append(Outcome(path, program, reasons=reasons))
            continue
        series = request.series or program.profile.kernel.removeprefix("v")
        wanted = [(SERIAL, list(express.serial_cases(path, program)))]
        if request.threads:
            wanted.append((THREADS, [express.threads_case(path, program, request.threads)]))
        for kind, (mode, cases) in product(request.kinds, wanted):
            key = (series, kind, mmu, mode)
            if key not in jobs and key not in missing:
                try:
                    jobs[key] = _job(request, key)
                except MissingError as error:
                    missing[key] = error
            if key in missing:
                told.append(_skipped(path, program, key, missing[key]))
                continue
            ran = True
            _add(jobs[key], path, program, cases)
    if missing and not ran:
        raise next(iter(missing.values()))
    return list(jobs.values()), told


def _job(request: Request, key: Key) -> Job:
    series, kind, mmu, mode = key
    cpus = THREAD_CPUS if mode == THREADS else 1
    kernel = kernel_for(request, series, kind, mmu)
    return Job(Lab(kernel, mmu, accel=request.accel, cpus=cpus))


def _skipped(path: str, program: Program, key: Key, error: MissingError) -> Outcome:
    series, kind, mmu, mode = key
    result = CaseResult(path, SKIPPED, log=str(error))
    return Outcome(path, program, (), mode, series, kind == PATCHED, mmu, (), result)


def _add(job: Job, path: str, program: Program, cases: Sequence[Case]) -> None:
    kernel = job.lab.kernel
    for case in cases:
        job.cases.append(case)
        job.outcomes.append(
            Outcome(
                path, program, case.order, case.mode, kernel.release, kernel.patched, job.lab.mmu
            )
        )


def kernel_for(request: Request, series: str, kind: str, mmu: str) -> Kernel:
    """The kernel of a job; patched modules are built when they are not.

    Raises LabError, MissingError.
    """
    if request.vmlinuz is not None:
        if kind == PATCHED:
            raise LabError(
                "--vmlinuz is a kernel of your own: build it patched, and leave out --kernel"
            )
        return own_kernel(request.vmlinuz, request.modules)
    if request.modules is not None:
        raise LabError("--modules goes with --vmlinuz: they must be of the same build")
    kernel = find_kernel(series, ARM64 if mmu == ARM_MMU else AMD64)
    if kind == STOCK:
        return kernel
    return build_modules(kernel, find_patch(request.patch or SEED))


def run_jobs(
    jobs: Sequence[Job], told: Callable[[Job, Sequence[BootResult]], None]
) -> list[Outcome]:
    """Run all jobs, one after the other; told: of the boots of each."""
    outcomes: list[Outcome] = []
    for job in jobs:
        boots = job.lab.run(job.cases)
        told(job, boots)
        for outcome, result in zip(job.outcomes, results_of(boots), strict=True):
            outcomes.append(replace(outcome, result=result))
    return outcomes


def mismatches(outcome: Outcome) -> list[str]:
    """Results that are not what the program expects of this side.

    Only of programs without preemptions: an expectation belongs to its schedule.
    """
    if outcome.result is None or outcome.program.schedule or outcome.mode != SERIAL:
        return []
    wanted = {(turn.actor, turn.index): turn.op.expect for turn in outcome.order}
    wrong: list[str] = []
    for attempt in outcome.result.attempts:
        for seen in attempt:
            reference, _, patched = wanted[seen.actor, seen.index].partition("|")
            want = (patched if outcome.patched and patched else reference).strip()
            if want and want != seen.result:
                wrong.append(f"{seen.actor}[{seen.index}] => {seen.result}, expected {want}")
    return wrong

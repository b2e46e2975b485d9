"""The model's side: a case in its serial order, and what each op came to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from fuzz.execution import End, Execution, Plan, Run
from fuzz.overlay import Model
from fuzz.vocabulary import SETUP, Program
from reference.features import KERNELS, Profile
from reference.kvm import Kvm
from reference.observer import Observer
from tools.lab.case import Case, Observation, Turn

# KVM's statistic -> what the model calls it.  The model counts flushes that were asked for, which
# KVM counts as requests: its remote_tlb_flush counts only those that had to interrupt somebody.
COUNTERS: Final = {
    "pages_4k": "pages_4k",
    "pf_fixed": "pf_fixed",
    "tlb_flush": "tlb_flush",
    "remote_tlb_flush_requests": "remote_tlb_flush",
}


@dataclass(slots=True)
class ModelRun:
    """What a case came to on a model.

    observations: one for each op of the case that began.  stuck: why not all did, if so.
    warned: conditions of the kernel's WARNs and BUGs that the model raised.
    """

    observations: list[Observation] = field(default_factory=list)
    stuck: str = ""
    warned: tuple[str, ...] = ()


def observe(case: Case, model: Model, profile: Profile) -> ModelRun:
    """Run a case on a model as if on that kernel and MMU, whatever its program's own profile.

    Raises fuzz.execution.HarnessError when our own code fails.
    """
    out = ModelRun()
    program = replace(case.program, profile=profile, schedule=())
    execution = Execution(model.kvm, Plan.of(program), Observer())
    run = execution.run_

    def after(kvm: Kvm, actor: str, op: int) -> None:
        result = run.results.get((actor, op), run.end.value)
        stats = {name: int(getattr(kvm, ours)) for name, ours in COUNTERS.items()}
        out.observations.append(Observation(actor, op, result, stats))

    execution.run([turn.actor for turn in case.order], after)
    if run.end is not End.FINISHED:
        out.stuck = "; ".join((run.end.value, *run.stuck))
    out.warned = _warned(run)
    return out


def _warned(run: Run) -> tuple[str, ...]:
    found = [site for rule, site in run.kvm.violations if rule in ("warn", "bug")]
    return tuple(sorted(found))


def profile_of(release: str, mmu: str) -> Profile:
    """The profile that stands for a kernel release, such as 7.2.12+deb13-cloud-amd64.

    A kernel that no profile is named after is taken for the newest one before it, or the oldest.
    """
    version = _version(release)
    known = [kernel for kernel in KERNELS if _version(kernel[1:]) <= version]
    return Profile(known[-1] if known else KERNELS[0], mmu if mmu == "arm64" else f"x86-{mmu}")


def _version(text: str) -> tuple[int, int]:
    found = re.match(r"(\d+)(?:\.(\d+))?", text)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def serial_case(name: str, program: Program, actors: Iterable[str]) -> Case:
    """A case whose order is the setup and then the actors as named, each for its next op."""
    turns = [Turn(SETUP, at, op) for at, op in enumerate(program.setup)]
    ops = {actor.name: actor.ops for actor in program.actors}
    done = dict.fromkeys(ops, 0)
    for actor in actors:
        turns.append(Turn(actor, done[actor], ops[actor][done[actor]]))
        done[actor] += 1
    return Case(name, program, tuple(turns))

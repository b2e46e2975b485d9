"""What a run in Python comes to, in the words of the C port (fuzz/c/port.c)."""

from __future__ import annotations

from fuzz.execution import End, Run
from fuzz.vocabulary import SETUP, Program


def outcome_text(program: Program, run: Run) -> str:
    """End, steps, results, preemptions, broken rules and counters: one line each."""
    kvm = run.kvm
    site = run.site if run.end in (End.DEADLOCK, End.LIVELOCK) else ""
    lines = [f"end {run.end.value}", f"steps {run.steps}", f"stuck {site}"]
    actors = [(SETUP, program.setup), *((a.name, a.ops) for a in program.actors)]
    for name, ops in actors:
        for at in range(len(ops)):
            if (name, at) in run.results:
                lines.append(f"{name}[{at}] = {run.results[name, at]}")
    lines += [f"taken {program.schedule.index(p)}" for p in run.taken]
    lines += [f"void {program.schedule.index(p)}" for p in run.void]
    for rule, rule_site in kvm.violations:
        lines.append(f"broken {rule} at {rule_site}: {run.where[rule, rule_site]}")
    lines.append(
        f"pages_4k {kvm.pages_4k} pf_fixed {kvm.pf_fixed} tlb_flush {kvm.tlb_flush} "
        f"remote_tlb_flush {kvm.remote_tlb_flush}"
    )
    lines.append(
        f"notifier_zaps {kvm.notifier_zaps} notifier_locks {kvm.notifier_locks} "
        f"fault_retries {kvm.fault_retries}"
    )
    lines.append(f"mmu_invalidate_seq {kvm.mmu_invalidate_seq}")
    return "\n".join(lines) + "\n"

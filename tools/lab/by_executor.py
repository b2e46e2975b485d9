"""Findings that no C program of ours shows, asked by the lab's executor: those of nested guests.

The checks are those of a reproducer (tools/lab/export/checks.py), made from what the executor
saw.  In place of the reproducer's look at freed pages there are probes: a stranger takes fresh
pages and marks them, and the guest reads and writes where a leaf should not be any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from fuzz.actors import result_text
from fuzz.vocabulary import SETUP, Op
from tools.lab import express
from tools.lab.case import DONE, LAB, MARKER, OOPS, Case, CaseResult, Observation, Turn
from tools.lab.confirmation import KernelRun
from tools.lab.export.checks import LEAVES, LOG, STEP, Check
from tools.lab.export.observe import FREED
from tools.lab.export.plan import Plan

STRANGER_PAGES: Final = 2048
PROBED_MAX: Final = 4
WRITTEN: Final = 5
_PROBED_RULES: Final = ("stale-spte", "use-after-free", "truncate-before-zap")


def refusals(plan: Plan) -> tuple[str, ...]:
    """Why the executor cannot ask either; empty when it can."""
    if plan.threads:
        return ("the executor is asked for serial programs only",)
    return express.reasons(plan.program)


def case_of(plan: Plan, name: str) -> Case:
    """The program in the plan's order, and probes of what should not be mapped in the end."""
    setup = tuple(Turn(SETUP, at, op) for at, op in enumerate(plan.program.setup))
    return Case(name, plan.program, (*setup, *plan.order), probes=tuple(_probes(plan)))


def _freed(plan: Plan) -> list[tuple[int, bool]]:
    """(gfn, nested) of the translations that map a freed page in the end, on either side."""
    leaves = (leaf for side in plan.sides for leaf in side.last.bad)
    found = dict.fromkeys((b.gfn, b.l2) for b in leaves if b.why == FREED and b.as_id == 0)
    return list(found)[:PROBED_MAX] if plan.kind.rule in _PROBED_RULES else []


def _probes(plan: Plan) -> Iterator[Op]:
    freed = _freed(plan)
    if freed:
        yield Op("grab", (STRANGER_PAGES,))
    for gfn, nested in freed:
        yield Op("read", (gfn, int(nested), 0))
        yield Op("write", (gfn, WRITTEN, int(nested), 0))
    if freed:
        yield Op("damage")


def kernel_run(
    plan: Plan, results: Sequence[CaseResult], release: str, patched: bool, mmu: str
) -> KernelRun:
    """What one kernel said; results: one for each attempt."""
    whole = [result for result in results if result.status in (DONE, OOPS) and result.attempts]
    attempts = [result.attempts[0] for result in whole]
    evidence: list[str] = []
    hits: set[int] = set()
    for check in plan.deciding:
        broken = {at for at, result in enumerate(whole) if _fails(plan, check, result)}
        hits |= broken
        if broken:
            evidence.append(f"broken in {len(broken)} of {len(whole)}: {check.holds}")
    told: dict[str, int] = {}
    for at, attempt in enumerate(attempts):
        for text in _strange(plan, attempt):
            hits.add(at)
            told[text] = told.get(text, 0) + 1
    evidence += [f"in {times} of {len(whole)}: {text}" for text, times in told.items()]
    traces = [_trace(plan, attempt, int(patched)) for attempt in attempts]
    trouble = next((f"{r.status}: {r.log}" for r in results if r not in whole), "")
    return KernelRun(
        release=release,
        patched=patched,
        mmu=mmu,
        attempts=len(whole),
        hits=len(hits),
        evidence=tuple(evidence),
        trace=(sum(same for same, _ in traces), sum(steps for _, steps in traces)),
        output=tuple(_lines(plan, attempts[0])) if attempts else (),
        trouble=trouble,
    )


def _seen(attempt: Sequence[Observation]) -> dict[tuple[str, int], Observation]:
    return {(each.actor, each.index): each for each in attempt}


def _fails(plan: Plan, check: Check, result: CaseResult) -> bool:
    """Whether an attempt did not pass a check."""
    if check.kind == LOG:
        return plan.kind.site.split(":")[0] in result.log
    if check.kind not in (STEP, LEAVES):
        return False
    turn = plan.order[check.at]
    seen = _seen(result.attempts[0]).get((turn.actor, turn.index))
    if seen is None:
        return False
    if check.kind == LEAVES:
        return seen.stats.get("pages_4k", 0) > check.limit
    return seen.result not in plan.expected[1][check.at].results


def _strange(plan: Plan, attempt: Sequence[Observation]) -> Iterator[str]:
    """What of an attempt's probes proves that a freed page is still mapped."""
    seen = _seen(attempt)
    freed = _freed(plan)
    for at, (gfn, nested) in enumerate(freed):
        read = seen.get((LAB, 1 + 2 * at))
        if read is not None and read.result == result_text(MARKER):
            who = "nested guest" if nested else "guest"
            yield f"the {who} reads at gfn {gfn:#x} what a stranger wrote into the page"
    damage = seen.get((LAB, 1 + 2 * len(freed))) if freed else None
    if damage is not None and damage.result != "0":
        yield "a guest's write shows in the stranger's memory"


def _trace(plan: Plan, attempt: Sequence[Observation], side: int) -> tuple[int, int]:
    """(steps whose result and leaves are as the model of a side says, all steps)."""
    seen = _seen(attempt)
    same = steps = 0
    for at, turn in enumerate(plan.order):
        real, said = seen.get((turn.actor, turn.index)), plan.sides[side].turns[at]
        steps += 1
        if real is not None:
            same += (real.result, real.stats.get("pages_4k")) == (said.result, said.pages_4k)
    return same, steps


def _lines(plan: Plan, attempt: Sequence[Observation]) -> Iterator[str]:
    """What an attempt came to, for people."""
    probes = {(LAB, at): op for at, op in enumerate(_probes(plan))}
    ops = {(turn.actor, turn.index): turn.op for turn in plan.order} | probes
    for each in attempt:
        op = ops.get((each.actor, each.index))
        if op is not None:
            leaves = each.stats.get("pages_4k")
            yield f"# {each.actor} {op.name} => {each.result}, {leaves} leaves"

"""``gmemdiff lab run``: programs on a real kernel, and what each op came to there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import click

from fuzz.counted import counted
from fuzz.text import format_op, load
from tools import exits
from tools.cases import program_files
from tools.lab.case import DONE, SKIPPED, BootResult, CaseResult
from tools.lab.machines import ACCELS, ALL_MMUS, TCG
from tools.lab.plan import PATCHED, STOCK, Job, Outcome, Request, mismatches, plan, run_jobs

BOTH: Final = "both"
LOG_LINES: Final = 12


@click.command(name="run")
@click.argument("paths", nargs=-1, required=True, metavar="FILE|DIR...")
@click.option(
    "--kernel",
    "which",
    type=click.Choice([STOCK, PATCHED, BOTH]),
    default=STOCK,
    show_default=True,
    help="The distribution's KVM, KVM built with the patch, or one after the other.",
)
@click.option("--version", "series", metavar="SERIES", help="Kernel, instead of the programs' own.")
@click.option("--mmu", type=click.Choice(ALL_MMUS), help="MMU, instead of the programs' own.")
@click.option("--patch", metavar="FILE", help="The patch of the patched KVM; else the seed's.")
@click.option("--vmlinuz", type=click.Path(path_type=Path), help="A kernel of your own.")
@click.option("--modules", type=click.Path(path_type=Path), help="The folder of its modules.")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Also as threads, N times.")
@click.option("--accel", type=click.Choice(ACCELS), default=TCG, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all there.")
def lab_run(
    paths: tuple[str, ...],
    which: str,
    series: str | None,
    mmu: str | None,
    patch: str | None,
    vmlinuz: Path | None,
    modules: Path | None,
    threads: int | None,
    accel: str,
    json_file: Path | None,
) -> int:
    """Run programs on a real kernel and tell each op's result and KVM's counters.

    A program with preemptions runs in each serial order that its schedule allows.  Exit code: 0
    all ran and no result is against an expectation, 1 the kernel complained, a program did not
    end, or a result is not as expected, 2 bad input, 4 nothing could run, 5 no program there.
    """
    files = program_files(paths)
    if not files:
        click.echo(f"no *.prog below {', '.join(paths)}; nothing was run", err=True)
        return exits.NOTHING
    programs = [(path, load(path)) for path in files]
    kinds = (STOCK, PATCHED) if which == BOTH else (which,)
    request = Request(kinds, series, mmu, patch, vmlinuz, modules, threads or 0, accel)
    jobs, outcomes = plan(programs, request)
    outcomes += run_jobs(jobs, told=_tell_boot)
    for outcome in outcomes:
        _tell(outcome, alone=len(files) == 1)
    if json_file is not None:
        json_file.write_text(json.dumps([_data(o) for o in outcomes], indent=1) + "\n")
    _tell_summary(outcomes)
    return exits.worst(_code(outcome) for outcome in outcomes)


def _tell_boot(job: Job, boots: Sequence[BootResult]) -> None:
    for boot in boots:
        count = len(boot.results)
        rate = count / boot.run_seconds if boot.run_seconds else 0.0
        click.echo(
            f"kernel:   {job.kernel_name}, {boot.mmu}: {counted(count, 'case')}, "
            f"{boot.boot_seconds:.1f} s to boot, {boot.run_seconds:.1f} s to run "
            f"({rate:.0f} a second)"
        )


def _tell(outcome: Outcome, alone: bool) -> None:
    where = f"{outcome.path}: {outcome.kernel} {outcome.mmu}".rstrip()
    if outcome.result is None:
        click.echo(f"{outcome.path}: not expressible: {'; '.join(outcome.reasons)}")
        return
    result = outcome.result
    click.echo(f"{where}: {result.name}: {result.status}")
    if result.log:
        for line in result.log.splitlines()[: None if alone else LOG_LINES]:
            click.echo(f"  {line}")
    if alone:
        _tell_ops(outcome, result)
    for text in mismatches(outcome):
        click.echo(f"  not as expected: {text}")


def _tell_ops(outcome: Outcome, result: CaseResult) -> None:
    ops = {(turn.actor, turn.index): turn.op for turn in outcome.order}
    for attempt in result.attempts[:1]:
        for seen in attempt:
            text = format_op(replace(ops[seen.actor, seen.index], expect=""))
            stats = " ".join(f"{name}={value}" for name, value in seen.stats.items())
            click.echo(f"  {seen.actor}[{seen.index}] {text} => {seen.result}")
            click.echo(f"      {stats}")


def _tell_summary(outcomes: Sequence[Outcome]) -> None:
    if len(outcomes) > 1:
        words = Counter(o.result.status if o.result else "not expressible" for o in outcomes)
        counts = ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
        click.echo(f"{len(outcomes)} cases: {counts}")


def _code(outcome: Outcome) -> int:
    if outcome.result is None or outcome.result.status == SKIPPED:
        return exits.SKIPPED
    if outcome.result.status != DONE or mismatches(outcome):
        return exits.FINDING
    return exits.CLEAN


def _data(outcome: Outcome) -> dict[str, Any]:
    return {
        "path": outcome.path,
        "kernel": outcome.kernel,
        "patched": outcome.patched,
        "mmu": outcome.mmu,
        "reasons": list(outcome.reasons),
        "order": [[turn.actor, turn.index] for turn in outcome.order],
        "result": asdict(outcome.result) if outcome.result else None,
        "mismatches": mismatches(outcome),
    }

"""``gmemdiff minimize``: the same finding in a smaller program."""

from __future__ import annotations

from pathlib import Path

import click

from fuzz import edit
from fuzz.finding import Finding, kind_of, kinds_of
from fuzz.judge import Verdict, judge, suspicious
from fuzz.reduce import Task, reduce
from fuzz.text import format_program
from fuzz.triage import replayed
from tools import exits
from tools.cases import Models, load_case
from tools.commands.options import budget_option, model_options


@click.command()
@click.argument("path", metavar="FILE")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="Default: stdout."
)
@click.option("--force", is_flag=True, help="Overwrite OUT.")
@model_options
@budget_option
def minimize(
    path: str,
    out: Path | None,
    force: bool,
    budget: int,
    reference: str | None,
    patched: str | None,
) -> int:
    """Make a failing program small, while it fails in the same way."""
    if out is not None and out.exists() and not force:
        raise click.UsageError(f"{out} exists; choose another name, or add --force")
    case = load_case(path, Models(), reference, patched)
    judgement = judge(case.program, case.reference, case.patched, budget)
    if judgement.verdict is Verdict.AGREE:
        click.echo(f"{path}: both sides agree; there is nothing to minimise", err=True)
        return exits.CLEAN
    quick = suspicious(case.program, case.reference, case.patched)
    if judgement.verdict < Verdict.DIVERGE or quick is None:
        click.echo(f"{path}: inconclusive, {judgement.evidence}; try a larger --budget", err=True)
        return exits.INCONCLUSIVE
    kind = kinds_of(judgement)[0] if judgement.primary is None else kind_of(judgement.primary)
    seen_as = next(k for k in kinds_of(quick) if (k.rule, k.site) == (kind.rule, kind.site))
    task = Task(seen_as, kind, case.reference, case.patched, budget)
    reduced = reduce(case.program, task)
    if reduced is None:
        click.echo(f"{path}: every smaller program shows something else", err=True)
        return exits.FINDING
    before, after = edit.size(case.program)[0], edit.size(reduced.judgement.program)[0]
    finding = Finding.of(reduced.judgement, case.reference, case.patched, reduced.kind, before)
    finding = replayed(finding, case.reference, case.patched)
    for name, attempts in reduced.shrunk.attempts.items():
        click.echo(f"{attempts:6} attempts of {name}", err=True)
    small = "" if reduced.shrunk.minimal else "; stopped early, it may get smaller still"
    click.echo(f"{finding.headline}: {after} ops (was {before}){small}", err=True)
    text = format_program(finding.program)
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        click.echo(f"written to {out}", err=True)
    return exits.CLEAN

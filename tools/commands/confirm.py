"""``gmemdiff confirm``: findings on real kernels, stock and patched."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from fuzz.counted import counted
from fuzz.folder import findings_in
from tools import exits
from tools.campaign.layout import Layout
from tools.cases import Models
from tools.lab import confirmation
from tools.lab.confirm import Wish, confirm
from tools.lab.confirmation import (
    CONFIRMED,
    DISAGREES,
    NOT_EXPRESSIBLE,
    NOT_REPRODUCED,
    NOT_RUN,
    Confirmation,
)
from tools.lab.export.subject import Subject, load_subject
from tools.lab.machines import MMUS

WORDS = (CONFIRMED, DISAGREES, NOT_REPRODUCED, NOT_RUN, NOT_EXPRESSIBLE)


@click.command(name="confirm")
@click.argument("paths", nargs=-1, metavar="[FINDING...]")
@click.option(
    "-w", "--workdir", type=click.Path(path_type=Path), metavar="CAMPAIGN",
    help="All findings of a campaign.",
)  # fmt: skip
@click.option(
    "--version", "series", multiple=True, metavar="SERIES",
    help="A kernel, such as 7.3; may be given again; default: each program's own.",
)  # fmt: skip
@click.option("--mmu", type=click.Choice(MMUS), help="MMU, instead of the programs' own.")
@click.option("--patch", metavar="FILE", help="The patch of the patched KVM; default: the seed's.")
@click.option("--attempts", type=click.IntRange(1), metavar="N", help="Attempts on each kernel.")
@click.option("--rule", metavar="RULE", help="Of a program that breaks several, the rule to show.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all there.")
def confirm_command(
    paths: tuple[str, ...],
    workdir: Path | None,
    series: tuple[str, ...],
    mmu: str | None,
    patch: str | None,
    attempts: int | None,
    rule: str | None,
    json_file: Path | None,
) -> int:
    """Run the reproducers of findings on real kernels, stock and patched, and say what they show.

    FINDING: the folder of a finding, a file in it, or any .prog file.  Results are kept in the
    findings' folders.  Exit code: 1 a real kernel breaks a rule, 0 none was seen to, 2 bad input,
    4 nothing could run, 5 no finding there.
    """
    given = list(paths)
    if workdir is not None:
        given += [str(folder) for folder in findings_in(Layout(workdir).findings)]
    subjects = _subjects(given, rule)
    if not subjects:
        click.echo("no finding there; nothing was run", err=True)
        return exits.NOTHING
    wish = Wish(series, mmu, patch, attempts)
    answers = confirm(subjects, wish, click.echo)
    for subject, answer in zip(subjects, answers, strict=True):
        if subject.folder is not None:
            confirmation.save(answer, subject.folder)
        _tell(subject, answer)
    if json_file is not None:
        data = [{"path": s.path, **a.to_json()} for s, a in zip(subjects, answers, strict=True)]
        json_file.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    return _summary(answers)


def _subjects(given: Sequence[str], rule: str | None) -> list[Subject]:
    models = Models()
    subjects: dict[str, Subject] = {}
    for path in given:
        subject = load_subject(path, models, rule)
        if subject is None:
            click.echo(f"{path}: breaks nothing and differs in nothing; left out")
        else:
            subjects[subject.path] = subject
    return list(subjects.values())


def _tell(subject: Subject, answer: Confirmation) -> None:
    click.echo(f"{subject.finding.fingerprint} {subject.finding.headline}   {subject.path}")
    if answer.reason:
        click.echo(f"  {answer.summary}")
    for verdict in answer.verdicts:
        click.echo(f"  {verdict.text}")
        for run in answer.runs:
            if run.release == verdict.release:
                side = "patched" if run.patched else "stock"
                for text in run.evidence:
                    click.echo(f"      {side}: {text}")
                if run.trace[1]:
                    click.echo(
                        f"      {side}: {run.trace[0]} of {run.trace[1]} steps as the model says"
                    )


def _summary(answers: Sequence[Confirmation]) -> int:
    words = [NOT_EXPRESSIBLE for answer in answers if answer.reason]
    words += [verdict.verdict for answer in answers for verdict in answer.verdicts]
    counts = [f"{words.count(word)} {word}" for word in WORDS if word in words]
    click.echo(f"{counted(len(answers), 'finding')}: {', '.join(counts)}")
    if CONFIRMED in words or DISAGREES in words:
        return exits.FINDING
    return exits.CLEAN if NOT_REPRODUCED in words else exits.SKIPPED

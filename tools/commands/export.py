"""``gmemdiff export``: a finding as a bundle that can be sent."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tools import exits
from tools.cases import Models
from tools.lab import confirmation
from tools.lab.export.bundle import name_of, reproducer_of, write_bundle
from tools.lab.export.errors import NotExpressibleError
from tools.lab.export.subject import load_subject


@click.command()
@click.argument("path", metavar="FINDING")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="DIR",
    help="Where to write; default: export-FINGERPRINT in the current folder.",
)  # fmt: skip
@click.option("--rule", metavar="RULE", help="Of a program that breaks several, the rule to show.")
def export(path: str, output: Path | None, rule: str | None) -> int:
    """Write a finding as a C reproducer in the style of a KVM selftest, with all that a mail needs.

    FINDING: the folder of a campaign's finding, a file in it, or any .prog file.  Exit code: 0
    written, 2 bad input, 4 a real kernel cannot be asked for this (the reason is said), 5 the
    program breaks nothing.
    """
    subject = load_subject(path, Models(), rule)
    if subject is None:
        click.echo(f"{path}: breaks nothing and differs in nothing; nothing to export", err=True)
        return exits.NOTHING
    finding = subject.finding
    try:
        made = reproducer_of(subject)
    except NotExpressibleError as error:
        print(f"{path}: not expressible: {error}", file=sys.stderr)
        return exits.SKIPPED
    kept = None
    if subject.folder is not None:
        kept = confirmation.load(subject.folder, finding.program)
    directory = output or Path(f"export-{finding.fingerprint}")
    try:
        write_bundle(made, kept, directory)
    except OSError as error:
        raise click.BadParameter(f"{directory}: cannot be written: {error.strerror}") from error
    click.echo(f"finding:  {finding.fingerprint} {finding.headline}")
    click.echo(f"order:    {made.plan.why}")
    for check in made.plan.deciding:
        click.echo(f"shown by: {check.holds}")
    click.echo(f"written:  {directory}/{name_of(subject)}.c, run.sh, what to expect, report draft")
    return exits.CLEAN

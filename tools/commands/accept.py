"""``gmemdiff accept``: say that a finding is known, and why; it fails no build any more."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from fuzz.folder import load
from tools import exits
from tools.campaign.accept import FILE, FINGERPRINT, Acceptance, append
from tools.campaign.layout import Layout
from tools.commands.fuzzing import accept_option, root_option


@click.command()
@click.argument("fingerprint")
@click.option("--reason", required=True, metavar="TEXT", help="Why; it is reviewed and reported.")
@click.option("--by", default="", metavar="NAME", help="Who says so.")
@click.option("--until", metavar="YYYY-MM-DD", help="The last day on which it is accepted.")
@root_option
@accept_option
def accept(
    fingerprint: str, reason: str, by: str, until: str | None, root: Path, accept: Path | None
) -> int:
    """Accept a finding of a campaign: add an entry to a file that is reviewed like code.

    The finding stays in every list and count, as accepted; it fails no build any more.
    """
    if not FINGERPRINT.fullmatch(fingerprint):
        raise click.UsageError(f"{fingerprint!r} is no fingerprint; want eight hex digits")
    if not reason.strip():
        raise click.UsageError("--reason is empty; say why the finding is accepted")
    folder = Layout(root).findings / fingerprint
    if not folder.is_dir():
        raise click.UsageError(f"no finding {fingerprint} in {folder.parent}; see gmemdiff status")
    finding = load(folder)
    path = accept or Path(FILE)
    entry = Acceptance(fingerprint, reason.strip(), by.strip(), _day(until))
    try:
        append(path, entry, [finding.headline])
    except OSError as error:
        raise click.UsageError(f"{path}: cannot be written: {error.strerror}") from error
    click.echo(f"{path}: accepts {fingerprint}, {finding.headline}; have the file reviewed")
    return exits.CLEAN


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(f"--until {text!r} is no day; write it as 2027-01-31") from error

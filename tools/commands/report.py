"""``gmemdiff report``: a campaign as a page, and as files for continuous integration."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from fuzz.overlay import OverlayError
from fuzz.windows import WINDOWS
from tools import exits
from tools.campaign.accept import load_accepted
from tools.campaign.layout import write_whole
from tools.cases import Models
from tools.commands.fuzzing import accept_option, root_option
from tools.commands.options import json_option, version
from tools.report.gather import Campaign, gather
from tools.report.junit import to_junit
from tools.report.page import load_side, make_page, render
from tools.report.port_sources import measure_port
from tools.report.sarif import to_sarif
from tools.report.sources import Sources, annotate, chosen, measure, programs_in
from tools.report.summary import to_json

PAGE: Final = "report.html"
KNOWN: Final[Mapping[str, str]] = {window.name: window.sentence for window in WINDOWS}
FILE: Final = click.Path(path_type=Path, dir_okay=False)


@click.command()
@root_option
@click.option("-o", "--output", type=FILE, metavar="FILE", help=f"Default: DIR/{PAGE}.")
@click.option("--junit", type=FILE, metavar="FILE", help="Write JUnit XML as well.")
@click.option("--sarif", type=FILE, metavar="FILE", help="Write SARIF 2.1.0 as well.")
@accept_option
@click.option("--check", is_flag=True, help="Exit with 1 if a finding is not accepted.")
@json_option
def report(
    root: Path,
    output: Path | None,
    junit: Path | None,
    sarif: Path | None,
    accept: Path | None,
    check: bool,
    as_json: bool,
) -> int:
    """Write what a campaign found as one HTML file that needs nothing beside itself.

    Works while the campaign runs, after it, and on what is left of a broken one.
    """
    campaign = gather(root, load_accepted(accept), datetime.now(UTC))
    sources = _sources(campaign)
    page = render(make_page(campaign, KNOWN, sources, version()))
    written = [_write(output or root / PAGE, page)]
    if junit is not None:
        written.append(_write(junit, to_junit(campaign)))
    if sarif is not None:
        written.append(_write(sarif, to_sarif(campaign, version())))
    if as_json:
        data = to_json(campaign, KNOWN, sources)
        click.echo(json.dumps({**data, "written": [str(path) for path in written]}, indent=2))
    else:
        _tell(campaign, written)
    return exits.FINDING if check and campaign.failing else exits.CLEAN


def _write(path: Path, text: str) -> Path:
    try:
        write_whole(path, text)
    except OSError as error:
        raise click.UsageError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def _sources(campaign: Campaign) -> Sources | None:
    """Source coverage; None when the models cannot be loaded or the corpus is empty."""
    models = Models()
    try:
        ours = load_side(models, campaign.settings.reference, campaign)
        theirs = load_side(models, campaign.settings.patched, campaign)
    except OverlayError:
        return None  # the page says so next to the model's name
    try:
        paths = sorted(p for p in campaign.layout.corpus.iterdir() if p.is_file())
    except OSError:
        return None
    sample = chosen(paths)
    programs = list(programs_in(sample))
    if not programs:
        return None
    covered = {side: dict(files) for side, files in measure(programs, ours, theirs).items()}
    with tempfile.TemporaryDirectory() as folder:
        if campaign.settings.engine == "c":
            port = measure_port(campaign.layout.root, campaign.settings, sample, Path(folder))
            for side, files in port.items():
                covered[side].update(files)
        return annotate(covered, len(programs), len(paths))


def _tell(campaign: Campaign, written: list[Path]) -> None:
    """A few lines on stdout, then what is to be cleaned up on stderr."""
    for entry in campaign.findings:
        mark = "accepted" if entry.accepted is not None else "new"
        headline = entry.finding.headline if entry.finding is not None else ""
        click.echo(f"{entry.fingerprint}  {mark:<8}  seen {entry.count:4}  {headline}")
    total, new = len(campaign.findings), len(campaign.failing)
    click.echo(f"findings: {total}, of them {new} new, {total - new} accepted")
    for path in written:
        click.echo(f"written: {path}")
    broken = [entry.broken for entry in campaign.entries if entry.broken]
    for text in (*campaign.problems, *broken, *campaign.remarks):
        click.echo(text, err=True)

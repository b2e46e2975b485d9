"""``gmemdiff status``, ``stop``, ``cmin`` and ``triage``: what is done about a campaign."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from tools import exits
from tools.campaign.accept import load_accepted
from tools.campaign.cmin import features_of, minimise
from tools.campaign.layout import Layout, write_whole
from tools.campaign.records.listing import keep_counts
from tools.campaign.records.store import recent_events
from tools.campaign.records.totals import campaign_totals
from tools.campaign.settings import CampaignError, load_settings
from tools.campaign.start import campaign_model
from tools.campaign.supervise.lock import Lock, holder
from tools.campaign.triage.foreground import drain, rejudge
from tools.campaign.views.snapshot import ENDED
from tools.campaign.views.status import current, lately
from tools.campaign.views.words import ago, event_line, line, summary, to_json
from tools.commands.fuzzing import accept_option, reasons, root_option, told_repair
from tools.commands.options import json_option

POLL_SECONDS: Final = 0.2
EVENTS_SHOWN: Final = 5
PROGRESS_SECONDS: Final = 1.0


@click.command()
@root_option
@accept_option
@json_option
def status(root: Path, accept: Path | None, as_json: bool) -> int:
    """Say how a campaign does, while it runs and afterwards.

    Exit code: 0, whatever was found; 2 when there is no campaign.
    """
    settings, layout = load_settings(root), Layout(root)
    pid = holder(layout)
    snapshot = current(layout, settings, reasons(load_accepted(accept)), time.time())
    if as_json:
        data = {"pid": pid, **to_json(snapshot)}
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return exits.CLEAN
    if pid is None:
        click.echo("state:      not running")
    elif snapshot.state == ENDED:
        click.echo(f"state:      process {pid} uses it, for triage or cmin, or has just started")
    else:
        click.echo(f"state:      running as process {pid}; {line(snapshot)}")
    for text in summary(snapshot):
        click.echo(text)
    now = snapshot.now
    click.echo(
        f"last:       new coverage {ago(now, snapshot.last_cover)}, "
        f"finding {ago(now, snapshot.last_finding)}, hang {ago(now, snapshot.last_hang)}"
    )
    if text := lately(layout, now):
        click.echo(f"            {text}")
    for event in recent_events(layout, EVENTS_SHOWN):
        click.echo(f"  {event_line(event)}")
    return exits.CLEAN


@click.command()
@root_option
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=90.0, show_default=True, metavar="SECONDS",
    help="How long to wait for it to end.",
)  # fmt: skip
def stop(root: Path, timeout: float) -> int:
    """Ask a running campaign to end in good order, and wait until it has.

    Exit code: 0 it has ended, or was not running; 6 it still runs after the timeout.
    """
    load_settings(root)
    layout = Layout(root)
    pid = holder(layout)
    if pid is None:
        click.echo(f"{root}: is not running")
        return exits.CLEAN
    until = time.monotonic() + timeout
    while holder(layout) is not None:
        if time.monotonic() >= until:
            click.echo(f"{root}: process {pid} was asked to end, and still runs", err=True)
            return exits.INCONCLUSIVE
        # Again each time: a session that was just starting removes old requests.
        _ask(layout)
        time.sleep(POLL_SECONDS)
    with suppress(OSError):
        layout.stop.unlink(missing_ok=True)
    click.echo(f"{root}: has ended")
    return exits.CLEAN


def _ask(layout: Layout) -> None:
    try:
        write_whole(layout.stop, "")
    except OSError as error:
        raise CampaignError(f"{layout.stop}: cannot be written: {error.strerror}") from error


@click.command()
@root_option
def cmin(root: Path) -> int:
    """Make the corpus small: the fewest programs with the same coverage.

    Refuses while the campaign runs.  A kill loses nothing.
    """
    settings, layout = load_settings(root), Layout(root)
    with Lock(layout, "minimise the corpus"):
        told_repair(layout)
        sides = [campaign_model(layout, name) for name in (settings.reference, settings.patched)]
        try:
            result = minimise(layout, features_of(*sides), _progress("programs run"))
        except OSError as error:
            text = f"{error.filename or layout.corpus}: {error.strerror}"
            raise CampaignError(f"{text}; the corpus is as it was") from error
    click.echo(
        f"{layout.corpus}: {result.before} programs before, {result.after} after, which cover the "
        f"same {result.features} features"
    )
    if result.unread:
        click.echo(f"{result.unread} of them cannot be run; they were kept", err=True)
    return exits.CLEAN if result.before else exits.NOTHING


@click.command()
@root_option
@click.option("--all", "again", is_flag=True, help="Also judge every finding there is once more.")
@accept_option
@json_option
def triage(root: Path, again: bool, accept: Path | None, as_json: bool) -> int:
    """Judge the programs that wait in the queue, now and here.

    A running campaign does this by itself, so this refuses while one runs.

    Exit code: 0 no finding, 1 a finding that is not accepted.
    """
    settings, layout = load_settings(root), Layout(root)
    accepted = reasons(load_accepted(accept))
    with Lock(layout, "triage"):
        told_repair(layout)
        drain(layout, settings, _progress("programs judged"))
        for text in rejudge(layout, settings) if again else ():
            click.echo(text, err=as_json)
        with suppress(OSError):
            keep_counts(layout, campaign_totals(layout).seen)
    snapshot = current(layout, settings, accepted, time.time())
    if as_json:
        click.echo(json.dumps(to_json(snapshot), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(summary(snapshot)))
    return exits.FINDING if snapshot.new_findings else exits.CLEAN


def _progress(what: str) -> Callable[[int, int], None]:
    """Says on stderr, about every second, how far a job is."""
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_SECONDS:
            last = now
            click.echo(f"{done} of {total} {what}", err=True)

    return tell

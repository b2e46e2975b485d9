"""``gmemdiff fuzz`` and ``gmemdiff resume``: run a campaign."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from reference.features import Profile
from tools.campaign.accept import Accepted, load_accepted
from tools.campaign.cluster import cluster_crew
from tools.campaign.layout import Layout
from tools.campaign.repair.campaign import repair
from tools.campaign.session import Outcome, Session
from tools.campaign.settings import ENGINES, CampaignError, Settings, load_settings
from tools.campaign.start import Wanted, make_root, open_settings
from tools.campaign.supervise.hook import split_command
from tools.campaign.supervise.interrupts import Interrupts
from tools.campaign.supervise.lock import Lock
from tools.campaign.supervise.supervisor import Supervisor
from tools.campaign.views.screen import view_for
from tools.campaign.views.snapshot import View
from tools.campaign.views.words import summary, to_json
from tools.commands.options import BUDGET, json_option, ops_range, profile

F = TypeVar("F", bound=Callable[..., Any])
DEFAULTS: Final = Settings()


@dataclass(frozen=True, slots=True)
class How:
    """The options that fuzz and resume share: how to run, not what."""

    jobs: int | None
    max_total_time: float | None
    on_finding: str | None
    accept: Path | None
    as_json: bool
    cluster: str | None
    share: str | None


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def root_option(command: F) -> F:
    """-w."""
    return click.option(
        "-w",
        "--workdir",
        "root",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("campaign"),
        show_default=True,
        metavar="DIR",
        help="The campaign's directory.",
    )(command)


def profiles_option(command: F) -> F:
    """--profile."""
    return click.option(
        "--profile",
        "profiles",
        type=profile,
        multiple=True,
        metavar="'KERNEL MMU'",
        help="Only this profile; may be repeated.  Default: all.",
    )(command)


def accept_option(command: F) -> F:
    """--accept."""
    return click.option(
        "--accept",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Findings that are accepted, each with a reason; they are listed and counted, and "
        "fail nothing.  Default: accepted.toml, if there is one here.",
    )(command)


def how_options(command: F) -> F:
    """-j, --max-total-time, --on-finding, --cluster, --share, --accept, --json."""
    for option in reversed((
        click.option(
            "-j", "--jobs", type=click.IntRange(min=1, max=1024), metavar="N",
            help="Worker processes.  Default: one for each core this process may use; triage "
            "runs beside them when there is something to do.",
        ),
        click.option(
            "--max-total-time", type=click.FloatRange(min=0), metavar="SECONDS",
            help="End after so long.  Default: run until stopped, by Ctrl-C or gmemdiff stop.",
        ),
        click.option(
            "--on-finding", metavar="COMMAND",
            help="Run this once for each new finding, with its folder as the last argument and "
            "GMEMDIFF_FINGERPRINT, GMEMDIFF_FINDING, GMEMDIFF_HEADLINE in the environment.",
        ),
        click.option(
            "--cluster", metavar="ADDRESS",
            help="Fuzz on the workers of the Dask scheduler at this address (tcp://HOST:8786), "
            "as many slices at once as they have threads, or -j.  Workers may come and go.  Each "
            "needs this very version of gmemdiff.  Who reaches a scheduler can run code on its "
            "workers: see Dask's documentation on TLS.",
        ),
        click.option(
            "--share", metavar="URL",
            help="Where the hosts of --cluster exchange programs: any location that fsspec knows "
            "and all of them reach, such as file:///mnt/x or s3://bucket/x.  "
            "Default: DIR/share, for a cluster on this machine.",
        ),
        accept_option,
        json_option,
    )):  # fmt: skip
        command = option(command)
    return command


@click.command()
@root_option
@how_options
@profiles_option
@click.option("--reference", metavar="NAME|FILE", help=f"Default: {DEFAULTS.reference}.")
@click.option("--patched", metavar="NAME|FILE", help=f"Default: {DEFAULTS.patched}.")
@click.option("--seed", type=int, help=f"Of the first programs.  Default: {DEFAULTS.seed}.")
@click.option(
    "--ops", type=ops_range, metavar="MIN..MAX",
    help=f"Ops per program, setup aside.  Default: {DEFAULTS.ops_min}..{DEFAULTS.ops_max}.",
)  # fmt: skip
@click.option(
    "--budget", type=BUDGET, metavar="SCHEDULES",
    help="Schedules to try when searching whether the other side can do the same.  "
    f"Default: {DEFAULTS.budget}.",
)  # fmt: skip
@click.option(
    "--engine", type=click.Choice(ENGINES),
    help="What runs the programs: the C port, which is much faster, or the Python model.  "
    "Default: c where there is a C compiler and both models have a port.",
)  # fmt: skip
def fuzz(
    root: Path,
    profiles: tuple[Profile, ...],
    reference: str | None,
    patched: str | None,
    seed: int | None,
    ops: tuple[int, int] | None,
    budget: int | None,
    engine: str | None,
    **how: Any,
) -> int:
    """Fuzz with feedback from coverage, for as long as you like, and keep what is found.

    Goes on with the campaign that DIR has, if it has one; options that say what is fuzzed must
    then be as they were, or be left out.  Ctrl-C ends it in good order, twice at once.

    Exit code: 0 nothing found, 1 a finding that is not accepted, 2 bad input, 3 workers kept
    failing or our own code failed, 5 nothing was run, 6 nothing found but programs still wait for
    triage, 130 interrupted and nothing found.
    """
    wanted = Wanted(
        reference=reference,
        patched=patched,
        profiles=tuple(str(each) for each in profiles) or None,
        seed=seed,
        ops=ops,
        budget=budget,
        engine=engine,
    )
    layout = make_root(root)
    with Lock(layout, "fuzz here"):
        settings = open_settings(layout, wanted)
        return run_session(layout, settings, How(**how), told_repair(layout))


@click.command()
@root_option
@how_options
def resume(root: Path, **how: Any) -> int:
    """Go on with a campaign; says what had to be repaired.

    Exit codes as of gmemdiff fuzz.
    """
    load_settings(root)  # before a lock file is made where there is no campaign
    layout = make_root(root)
    with Lock(layout, "resume"):
        settings = open_settings(layout, Wanted())
        repaired = told_repair(layout)
        if not repaired:
            click.echo(f"{root}: nothing to repair", err=True)
        return run_session(layout, settings, How(**how), repaired)


def run_session(layout: Layout, settings: Settings, how: How, repaired: list[str]) -> int:
    """One session; the lock is held."""
    hook = split_command(how.on_finding) if how.on_finding is not None else []
    accepted = load_accepted(how.accept)
    if how.share is not None and how.cluster is None:
        raise click.UsageError("--share is of no use without --cluster")
    crew = None
    if how.cluster is not None:
        crew = cluster_crew(layout, settings, how.cluster, how.share, how.jobs, how.max_total_time)
    session = Session(
        jobs=how.jobs or usable_cores(),
        time_max=how.max_total_time,
        hook=tuple(hook),
        accepted=reasons(accepted),
        command_line=shlex.join(["gmemdiff", *sys.argv[1:]]),
        crew=crew,
    )
    with Interrupts() as interrupts:
        view = choose_view()
        try:
            outcome = Supervisor(layout, settings, session, view, interrupts).run(repaired)
        finally:
            view.close()
    _tell(outcome, accepted, how.as_json)
    return outcome.code


def choose_view() -> View:
    """What shows a running campaign on stderr."""
    return view_for(sys.stderr, os.environ)


def told_repair(layout: Layout) -> list[str]:
    """Repair a directory, and say what was done on stderr."""
    try:
        repaired = repair(layout)
    except OSError as error:
        text = f"{error.filename or layout.root}: cannot be repaired: {error.strerror}"
        raise CampaignError(f"{text}; check the disk and the permissions") from error
    for text in repaired:
        click.echo(f"repaired: {text}", err=True)
    return repaired


def reasons(accepted: Accepted) -> Callable[[str], str]:
    """Fingerprint -> why it is accepted today, or nothing."""
    known = accepted.reasons(datetime.now(UTC).date())
    return lambda fingerprint: known.get(fingerprint, "")


def _tell(outcome: Outcome, accepted: Accepted, as_json: bool) -> None:
    """The end of a session, on stdout; what went wrong on stderr."""
    snapshot = outcome.snapshot
    if as_json:
        click.echo(json.dumps(to_json(snapshot), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(summary(snapshot, outcome.executions)))
    today = datetime.now(UTC).date()
    for text in accepted.remarks([f.fingerprint for f in snapshot.findings], today):
        click.echo(text, err=True)
    for text in outcome.gave_up:
        click.echo(text, err=True)

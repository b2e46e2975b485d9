"""``gmemdiff random``: run random programs, and keep what they find."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner

from fuzz.codec import OPS_MAX
from fuzz.counted import counted
from fuzz.execution import HarnessError
from fuzz.finding import Finding
from fuzz.folder import count_seen, save
from fuzz.judge import PATCHED_ONLY
from fuzz.random_run import Hunt, Settings, Totals
from fuzz.report import benefit_text, compact, report
from fuzz.strategies.named import NAMES, REPLAY
from fuzz.strategies.pct import DEPTH, DEPTH_MAX
from fuzz.text import format_program
from fuzz.vocabulary import Program
from reference.features import Profile
from tools import exits
from tools.cases import SUFFIX, Models
from tools.commands.options import budget_option, json_option, ops_range, profile

SECONDS_DEFAULT: Final = 60.0
TTY_EVERY: Final = 0.2  # seconds between updates of the live line
PLAIN_EVERY: Final = 10.0


class Told:
    """Saves findings and tells about them: results on stdout, how it is going on stderr."""

    def __init__(self, out: Path, as_json: bool) -> None:
        self.out = out
        self.as_json = as_json
        self.paths: dict[str, str] = {}  # fingerprint -> program
        self.start = self.last = time.monotonic()
        self.spinner = Spinner("dots", "starting")
        self.live: Live | None = None
        if sys.stderr.isatty():
            # Rich would send stdout to stderr as well, which is wrong when that is a file.
            both = sys.stdout.isatty()
            self.live = Live(
                self.spinner, console=Console(stderr=True), transient=True, redirect_stdout=both
            )
            self.live.start()

    def found(self, finding: Finding) -> None:
        """Keep a finding and print it: in full when it speaks against the patch."""
        path = str(save(finding, self.out))
        self.paths[finding.fingerprint] = path
        if self.as_json:
            return
        if finding.kind.side == PATCHED_ONLY:
            click.echo(report(finding, path))
        else:
            click.echo(compact(finding, path) + "\n")
        sys.stdout.flush()

    def progress(self, totals: Totals) -> None:
        """One line now and then."""
        now = time.monotonic()
        if now - self.last < (TTY_EVERY if self.live else PLAIN_EVERY):
            return
        self.last = now
        rate = totals.programs / max(now - self.start, 1e-9)
        done, found = counted(totals.programs, "program"), counted(len(self.paths), "finding")
        line = f"{done}, {found}, {rate:.0f} programs/s"
        if self.live is not None:
            self.spinner.update(text=line)
        else:
            click.echo(line, err=True)

    def failed(self, program: Program, error: HarnessError) -> None:
        """Keep a program on which our own code failed; it is no finding."""
        text = format_program(program)
        name = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
        path = self.out / f"internal-error-{name}{SUFFIX}"
        self.out.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        click.echo(f"{path}: internal error: {error}", err=True)

    def close(self) -> None:
        """Take the live line away."""
        if self.live is not None:
            self.live.stop()


@click.command("random")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same programs.")
@click.option("--count", type=click.IntRange(min=0), help="Stop after so many programs.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    help=f"Stop after so long.  Default: {SECONDS_DEFAULT:.0f} when there is no --count.",
)
@click.option(
    "--profile",
    "profiles",
    type=profile,
    multiple=True,
    metavar="'KERNEL MMU'",
    help="Only this profile; may be repeated.",
)
@click.option(
    "--ops",
    type=ops_range,
    default=f"4..{OPS_MAX}",
    show_default=True,
    metavar="MIN..MAX",
    help="Ops per program, setup aside.",
)
@click.option(
    "--strategy",
    type=click.Choice((REPLAY, *NAMES)),
    default=REPLAY,
    show_default=True,
    help="Who goes on at each step; replay: the schedule that a program is drawn with.",
)
@click.option(
    "--depth",
    type=click.IntRange(1, DEPTH_MAX),
    default=DEPTH,
    show_default=True,
    help="Ordered steps that --strategy pct looks for.",
)
@click.option("--reference", default="stock", show_default=True, metavar="NAME|FILE")
@click.option("--patched", default="seed", show_default=True, metavar="NAME|FILE")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("findings"),
    show_default=True,
    help="Where findings are kept.",
)
@json_option
@budget_option
@click.option("--max-findings", type=click.IntRange(min=1), help="Stop after so many findings.")
@click.option("--keep-going", is_flag=True, help="Go on after an internal error.")
def random_programs(
    seed: int,
    count: int | None,
    seconds: float | None,
    profiles: tuple[Profile, ...],
    ops: tuple[int, int],
    strategy: str,
    depth: int,
    reference: str,
    patched: str,
    out: Path,
    as_json: bool,
    budget: int,
    max_findings: int | None,
    keep_going: bool,
) -> int:
    """Run random programs; shrink, judge and keep what they find.

    With --count and without --seconds, the output on stdout depends on nothing but the options.
    Exit code: 0 nothing found, 1 a finding was made, 3 internal error, 5 nothing was run.
    """
    models = Models()
    if count is None and seconds is None:
        seconds = SECONDS_DEFAULT
    settings = Settings(
        seed, count, seconds, max_findings, profiles, *ops, budget, keep_going, strategy, depth
    )
    told = Told(out, as_json)
    hunt = Hunt(settings, models.get(reference), models.get(patched), told, time.monotonic)
    interrupted = False
    try:
        hunt.run()
    except KeyboardInterrupt:
        interrupted = True
    finally:
        told.close()
    for finding in hunt.results():
        if finding.seen > 1:
            count_seen(Path(told.paths[finding.fingerprint]).parent, finding.seen - 1)
    _summary(hunt, told, settings)
    return _code(hunt, interrupted)


def _code(hunt: Hunt, interrupted: bool) -> int:
    if interrupted:
        return exits.INTERRUPTED
    if hunt.totals.errors:
        return exits.INTERNAL
    if not hunt.totals.programs:
        return exits.NOTHING
    return exits.FINDING if hunt.kept else exits.CLEAN


def _summary(hunt: Hunt, told: Told, settings: Settings) -> None:
    totals = hunt.totals
    took = max(time.monotonic() - told.start, 1e-9)
    click.echo(
        f"{took:.1f} s, {totals.programs / took:.0f} programs/s, {totals.steps / took:.0f} steps/s",
        err=True,
    )
    findings = hunt.results()
    if told.as_json:
        click.echo(json.dumps(_json(totals, findings, told, settings), indent=2))
        return
    click.echo(
        f"seed {settings.seed}: {counted(totals.programs, 'program')}, "
        f"{totals.steps} steps on both sides, {totals.hits} with a broken rule or a difference"
    )
    click.echo(f"findings: {len(findings)}")
    for finding in findings:
        click.echo(f"  {finding.fingerprint}  seen {finding.seen:4}  {finding.headline}")
    click.echo(
        f"no finding: {totals.drift} the other side can do too under another schedule, "
        f"{totals.inconclusive} inconclusive, {totals.unjudged} not judged (their kind was drift "
        "often before)"
    )
    sums = {name: (old, new) for name, (old, new) in totals.benefit.items()}
    click.echo(benefit_text(sums) or "benefit: none")


def _json(
    totals: Totals, findings: list[Finding], told: Told, settings: Settings
) -> dict[str, Any]:
    return {
        "seed": settings.seed,
        "programs": totals.programs,
        "steps": totals.steps,
        "hits": totals.hits,
        "drift": totals.drift,
        "inconclusive": totals.inconclusive,
        "unjudged": totals.unjudged,
        "errors": totals.errors,
        "benefit": dict(sorted(totals.benefit.items())),
        "findings": [{"path": told.paths[f.fingerprint], **f.to_json()} for f in findings],
    }

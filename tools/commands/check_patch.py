"""``gmemdiff check-patch``: a developer's patch on the C port, against the port as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from fuzz.folder import PROGRAM, findings_in
from fuzz.port.build import sources_of
from fuzz.port.compiler import NoCompilerError, find_compiler
from fuzz.port.lines import Counts, NoCountsError, line_counts
from fuzz.port.models import patch_model
from fuzz.port.patching import Patched
from reference.features import Profile
from tools import exits
from tools.campaign.layout import Layout
from tools.campaign.start import Wanted, make_root, open_settings
from tools.campaign.supervise.lock import Lock
from tools.commands.fuzzing import (
    How,
    how_options,
    profiles_option,
    root_option,
    run_session,
    told_repair,
)

SECONDS: float = 60.0


@click.command("check-patch")
@click.argument("patch", metavar="FILE.patch", type=click.Path(dir_okay=False))
@root_option
@how_options
@profiles_option
@click.option("--seed", type=int, help="Of the first programs.")
def check_patch(
    patch: str, root: Path, profiles: tuple[Profile, ...], seed: int | None, **how: Any
) -> int:
    """Apply a patch to the C port, and fuzz it against the port without it.

    FILE is a unified diff against the files of reference/c/, which have the kernel's functions
    under the kernel's names: carry your hunks over by hand.  A line "Promises: gmem-survival"
    before the diff makes that a rule for it.  Runs for --max-total-time (60 s by default) as a
    campaign does, goes on with the one in -w DIR if there is one, and ends with how much of the
    patch was executed.  What was explored and found is told, and nothing beyond that.

    Exit codes as of gmemdiff fuzz, and 4 when there is no C compiler.
    """
    try:
        find_compiler()
    except NoCompilerError as error:
        click.echo(f"skipped: {error}")
        return exits.SKIPPED
    patch_model(patch)  # what is wrong with it is told before anything is made
    wanted = Wanted(
        patched=patch,
        profiles=tuple(str(each) for each in profiles) or None,
        seed=seed,
        engine="c",
    )
    if how["max_total_time"] is None:
        how["max_total_time"] = SECONDS
    layout = make_root(root)
    with Lock(layout, "check a patch here"):
        settings = open_settings(layout, wanted)
        code = run_session(layout, settings, How(**how), told_repair(layout))
        for line in executed(sources_of(patch), _programs(layout)):
            click.echo(line)
    click.echo(
        "This says what was explored. A rule that was not broken here may be broken by a program "
        "or a schedule that was not tried."
    )
    return code


def _programs(layout: Layout) -> list[Path]:
    """The corpus and the findings, as files."""
    corpus = [path for path in sorted(layout.corpus.iterdir()) if path.is_file()]
    return corpus + [folder / PROGRAM for folder in findings_in(layout.findings)]


def executed(patched: Patched, programs: Sequence[Path]) -> list[str]:
    """How much of the changed lines the programs execute, in lines to print."""
    changed = {file: lines for file, lines in sorted(patched.changed.items()) if lines}
    if not changed:
        return ["changed:    no line is new; what the patch removes cannot be counted"]
    try:
        (counts,) = line_counts([patched.sources], programs)
    except NoCountsError as error:
        return [f"changed:    lines executed are not known: {error}"]
    return [told for file, lines in changed.items() for told in _of_file(file, lines, counts)]


def _of_file(file: str, changed: Iterable[int], counts: Counts) -> list[str]:
    known = counts.get(file, {})
    code = [number for number in sorted(changed) if number in known]
    missed = [number for number in code if not known[number]]
    if not code:
        return [f"changed:    {file}: no new line with code of its own"]
    lines = [f"changed:    {file}: {len(code) - len(missed)} of {len(code)} new lines executed"]
    if missed:
        lines.append(f"            never executed: {_ranges(missed)}")
    return lines


def _ranges(numbers: Sequence[int]) -> str:
    """``12, 14-16`` of sorted numbers."""
    parts: list[str] = []
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        parts.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return ", ".join(parts)

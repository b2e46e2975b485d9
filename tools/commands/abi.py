"""``gmemdiff abi``: a real kernel's debug information against what the C port assumes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table

from fuzz.port.abi import ABSENT, DIFFERS, SAME, Checked, Row, check_object
from fuzz.port.build import model_sources
from tools import exits
from tools.commands.options import json_option

SECONDS_SILENT: Final = 3.0  # so long without a word, then progress
COLUMNS_IN_FILES: Final = 160  # so that a row is a line
NAMES_SHOWN: Final = 4  # of things that the object does not show for one reason
_STYLES: Final = {SAME: "", DIFFERS: "bold red", ABSENT: "dim"}


@click.command()
@click.argument("path", metavar="VMLINUX-OR-KO", type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Also the rows that are as assumed.")
@json_option
def abi(path: Path, everything: bool, as_json: bool) -> int:
    """Check a kernel's debug information against what the C port assumes.

    VMLINUX-OR-KO is a vmlinux, a kvm.ko or a .debug file with DWARF.  Constants, enumerators,
    members of structures and functions are compared with the port's.  It also says which of
    the port's kernels this one looks like, by named features, and whether its
    kvm_handle_hva_range() passes over gmem-only slots.

    Exit code: 0 all as assumed, 1 something differs, 2 bad input, 5 nothing of KVM in it.
    """
    checked = check_object(path, model_sources(), _progress())
    if checked is None:
        click.echo(
            f"{path}: nothing of KVM in it; where KVM is a module, take kvm.ko (not kvm-intel.ko "
            "or kvm-amd.ko)",
            err=True,
        )
        return exits.NOTHING
    if as_json:
        click.echo(json.dumps(_as_json(path, checked), indent=2))
    else:
        _print(path, checked, everything)
    return exits.FINDING if checked.count(DIFFERS) else exits.CLEAN


def _progress() -> Callable[[str], None]:
    """Say how far it is when reading takes long: a vmlinux has thousands of units."""
    last = time.monotonic()

    def progress(how_far: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > SECONDS_SILENT:
            last = now
            click.echo(f"reading: {how_far}", err=True)

    return progress


def _as_json(path: Path, checked: Checked) -> dict[str, Any]:
    facts = checked.facts
    return {
        "object": str(path),
        "machine": facts.machine,
        "producer": facts.producer,
        "units": facts.units,
        "counts": {name: checked.count(name) for name in (SAME, DIFFERS, ABSENT)},
        "rows": [asdict(row) for row in checked.rows],
        "kernels": checked.kernels,
        "features": [asdict(row) for row in checked.features],
        "skip": asdict(checked.skip),
    }


def _print(path: Path, checked: Checked, everything: bool) -> None:
    facts = checked.facts
    compiler = facts.producer.split(" -")[0]
    units = f"{len(facts.units)} of {len(facts.units) + facts.others} files of KVM read"
    click.echo(f"object:   {path}\nmade:     {facts.machine}, {compiler}; {units}")
    rows = [row for row in checked.rows if everything or row.verdict == DIFFERS]
    if rows:
        _print_rows(rows)
    counts = ", ".join(f"{checked.count(name)} {name}" for name in (SAME, DIFFERS, ABSENT))
    hint = "" if everything else "; --all shows each"
    click.echo(f"assumed:  {counts}{hint}")
    for reason, names in _absent(checked.rows).items():
        shown = ", ".join(names[:NAMES_SHOWN]) + (
            f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        )
        click.echo(f"absent:   {reason}: {shown}")
    click.echo(f"kernel:   by its features like {' or '.join(checked.kernels) or 'none of ours'}")
    for feature in checked.features:
        if feature.has is not None:
            has = "yes" if feature.has else "no"
            click.echo(f"feature:  {feature.name}: {has} ({feature.sign})")
    hidden = [feature.name for feature in checked.features if feature.has is None]
    click.echo(f"feature:  nothing in DWARF shows {', '.join(hidden)}")
    click.echo(f"skip:     {checked.skip.answer}: {checked.skip.reason}")
    for place in checked.skip.places:
        click.echo(f"  in      {place.address}, {place.line}; {place.inlines} other inlined")
        for use in place.uses:
            within = f", within {use.inside}()" if use.inside else ""
            click.echo(f"    asks  {use.name}() at {use.address}, {use.line}{within}")


def _print_rows(rows: list[Row]) -> None:
    shown = Table(box=box.SIMPLE, pad_edge=False)
    for title in ("what", "assumed", "by", "found", "verdict"):
        shown.add_column(title, overflow="fold")
    for row in rows:
        shown.add_row(
            row.what, row.assumed, row.user, row.found, row.verdict, style=_STYLES[row.verdict]
        )
    width = None if sys.stdout.isatty() else COLUMNS_IN_FILES
    Console(highlight=False, markup=False, width=width).print(shown)


def _absent(rows: tuple[Row, ...]) -> dict[str, list[str]]:
    """What the object does not show, by the reason."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.verdict == ABSENT:
            reasons.setdefault(row.found, []).append(row.what)
    return reasons

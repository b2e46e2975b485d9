"""Options that several commands take, and the values that they read."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any, Final, TypeVar

import click

from fuzz.search import RUNS_MAX
from fuzz.values import unknown
from reference.features import KERNELS, MMUS, Profile

F = TypeVar("F", bound=Callable[..., Any])
OPS_LIMIT: Final = 200
BUDGET: Final = click.IntRange(min=0)


def profile(text: str) -> Profile:
    """Read ``v7.2 x86-tdp``, with a hint when it is unknown."""
    words = text.split()
    if len(words) != 2:
        raise click.BadParameter(f"'{text}' is no profile; write for example 'v7.2 x86-tdp'")
    if words[0] not in KERNELS:
        raise click.BadParameter(unknown("kernel", words[0], KERNELS))
    if words[1] not in MMUS:
        raise click.BadParameter(unknown("MMU flavour", words[1], MMUS))
    return Profile(words[0], words[1])


def ops_range(text: str) -> tuple[int, int]:
    """Read ``4..24``, or one number."""
    low, dots, high = text.partition("..")
    if not low.isdecimal() or (dots and not high.isdecimal()):
        raise click.BadParameter(f"'{text}' is no range; write for example 4..24")
    pair = int(low), int(high) if dots else int(low)
    if not 1 <= pair[0] <= pair[1] <= OPS_LIMIT:
        raise click.BadParameter(f"'{text}' is not within 1..{OPS_LIMIT}, lower first")
    return pair


def model_options(command: F) -> F:
    """--reference and --patched."""
    for side, what in (("patched", "model under test"), ("reference", "model to compare with")):
        command = click.option(
            f"--{side}",
            metavar="NAME|FILE",
            help=f"The {what}, instead of the one that the program names.",
        )(command)
    return command


def budget_option(command: F) -> F:
    """--budget."""
    return click.option(
        "--budget",
        type=BUDGET,
        default=RUNS_MAX,
        show_default=True,
        metavar="SCHEDULES",
        help="Schedules to try when searching whether the other side can do the same.",
    )(command)


def json_option(command: F) -> F:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def version() -> str:
    """The version of the installed package, or that it is not installed."""
    try:
        return metadata.version("gmemdiff")
    except metadata.PackageNotFoundError:
        return "(from a source folder)"

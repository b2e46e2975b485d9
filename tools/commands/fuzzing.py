"""``gmemdiff fuzz`` and ``gmemdiff resume``: run a campaign."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from fuzz.search import RUNS_MAX
from reference.features import Profile
from tools.campaign.accepting import accepted_in
from tools.campaign.hook import split_command
from tools.campaign.interrupts import Interrupts
from tools.campaign.layout import Layout
from tools.campaign.lines_view import LinesView
from tools.campaign.lock import Lock
from tools.campaign.repair import repair
from tools.campaign.session import Outcome, Session
from tools.campaign.settings import Settings, load_settings
from tools.campaign.snapshot import View
from tools.campaign.start import Wanted, make_root, open_settings
from tools.campaign.supervisor import Supervisor
from tools.campaign.words import summary
from tools.commands.options import (
    BUDGET,
    accept_option,
    json_option,
    ops_range,
    profile,
    root_option,
)

DEFAULTS: Final = Settings()
HOOK_HELP: Final = (
    "Run this once for each new finding, with the finding's folder as its last argument and "
    "GMEMDIFF_FINGERPRINT, GMEMDIFF_FINDING and GMEMDIFF_HEADLINE in its environment."
)


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def jobs_option(command: click.Command) -> click.Command:
    """-j."""
    return click.option(
        "-j",
        "--jobs",
        type=click.IntRange(min=1, max=1024),
        metavar="N",
        help="Worker processes.  Default: one for each core that this process may use; "
        "triage runs beside them, when there is something to do.",
    )(command)

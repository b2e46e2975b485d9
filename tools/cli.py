"""The command line: ``gmemdiff``, also as ``python -m tools.cli``.

Commands return their exit code (tools/exits.py); main() turns every way of failing into one
line and a code, so that no failure of ours can be taken for a finding.
"""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from typing import Final

import click

from fuzz.execution import HarnessError
from fuzz.folder import FindingError
from fuzz.overlay import OverlayError
from fuzz.port.build import BuildError
from fuzz.port.compiler import NoCompilerError
from fuzz.port.elf_object import ObjectError
from fuzz.port.encode import BeyondPortError
from fuzz.port.patching import PatchError
from fuzz.text import ProgramError
from fuzz.vocabulary import FORMAT_VERSION
from tools import exits
from tools.campaign.accept import AcceptError
from tools.campaign.settings import CampaignError
from tools.commands.abi import abi
from tools.commands.accept import accept
from tools.commands.bench import bench
from tools.commands.check_patch import check_patch
from tools.commands.confirm import confirm_command
from tools.commands.doctor import doctor
from tools.commands.explore import explore
from tools.commands.export import export
from tools.commands.fuzzing import fuzz, resume
from tools.commands.hunting import random_programs
from tools.commands.lab import lab
from tools.commands.lockstep import lockstep
from tools.commands.minimize import minimize
from tools.commands.mutants import mutants
from tools.commands.options import version
from tools.commands.report import report
from tools.commands.run import run
from tools.commands.show import show
from tools.commands.upkeep import cmin, status, stop, triage
from tools.commands.words import explain, models, ops
from tools.explore.state import StateError
from tools.lab.errors import LabError, MissingError

NAME: Final = "gmemdiff"
# What somebody gave us is wrong, and the text says where and what to do.
WRONG_INPUT: Final = (
    ProgramError, OverlayError, FindingError, CampaignError, AcceptError, PatchError, BuildError,
    BeyondPortError, ObjectError, StateError, LabError,
)  # fmt: skip


class Commands(click.Group):
    """The group; lists commands in the order they were added: most used first."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    version(), "--version", prog_name=NAME, message=f"%(prog)s %(version)s, format {FORMAT_VERSION}"
)
def cli() -> None:
    """Find what a KVM patch breaks: run small concurrent programs on two models and compare."""


for _command in (
    run, show, fuzz, status, stop, resume, report, accept, triage, cmin, random_programs,
    explore, minimize, confirm_command, export, check_patch, lockstep, lab, abi, explain, models,
    ops, mutants, bench, doctor,
):  # fmt: skip
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code and never raises."""
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
        return code
    except click.ClickException as error:
        error.show()
        return exits.BAD_INPUT
    except WRONG_INPUT as error:
        print(error, file=sys.stderr)
        return exits.BAD_INPUT
    except (NoCompilerError, MissingError) as error:
        print(f"skipped: {error}", file=sys.stderr)
        return exits.SKIPPED
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return exits.INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes once more at exit; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.PIPE
    except HarnessError as error:
        return _internal(str(error), arguments)
    except (Exception, SystemExit) as error:  # no library may choose an exit code for us
        return _internal(repr(error), arguments)


def _invoke(arguments: Sequence[str] | None) -> int:
    """Click's dispatch, without its own handling of broken pipes, whose exit code 1 is ours."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with cli.make_context(NAME, args) as context:
            code = cli.invoke(context)
    except click.exceptions.Exit as done:
        code = done.exit_code
    return code if isinstance(code, int) else exits.CLEAN


def _internal(what: str, arguments: Sequence[str] | None) -> int:
    traceback.print_exc()
    command = shlex.join([NAME, *(sys.argv[1:] if arguments is None else arguments)])
    print(
        f"internal error: {what}, please report with: {command}, {NAME} {version()}, "
        f"Python {sys.version.split()[0]}, and the traceback above",
        file=sys.stderr,
    )
    return exits.INTERNAL


if __name__ == "__main__":
    sys.exit(main())

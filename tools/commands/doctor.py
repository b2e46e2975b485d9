"""``gmemdiff doctor``: what this machine can run, and what each part is needed for.

It only looks: nothing is started except compilers and emulators asked for their version, and
/dev/kvm is never opened.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

import click

from tools import exits

# module, package that it comes from, what it is for
PACKAGES: Final = (
    ("click", "click", "the command line"),
    ("rich", "rich", "tables and progress"),
    ("hypothesis", "hypothesis", "property tests"),
    ("pytest", "pytest", "tests and *.prog files as tests"),
    ("atheris", "atheris", "nothing yet; coverage-guided campaigns will need it"),
    ("elftools", "pyelftools", "nothing yet; the C port will need it"),
)
PROGRAMS: Final = (
    ("clang", "nothing yet; the C port will need it or gcc"),
    ("gcc", "nothing yet; the C port will need it or clang"),
    ("qemu-system-x86_64", "nothing yet; the lab will need it for x86 kernels"),
    ("qemu-system-aarch64", "nothing yet; the lab will need it for arm64 kernels"),
)
VERSION_SECONDS_MAX: Final = 10


def _module(name: str, package: str) -> str:
    """A module's version, without importing it; empty when it is not there."""
    if importlib.util.find_spec(name) is None:
        return ""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown version"


def _program(name: str) -> str:
    """First line of what a program says of its version; empty when it is not there."""
    if shutil.which(name) is None:
        return ""
    try:
        done = subprocess.run(
            [name, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS_MAX
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"does not run: {error}"
    return (done.stdout.splitlines() or ["unknown version"])[0]


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return "unknown"
    return f"{size / 2**30:.1f} GiB"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@click.command()
def doctor() -> int:
    """Say what this machine can run; always exits with 0."""
    new_enough = sys.version_info >= (3, 11)
    _line("python", platform.python_version(), "everything; 3.11 or newer", new_enough)
    for name, package, use in PACKAGES:
        found = _module(name, package)
        _line(package, found or "missing", use, bool(found))
    for name, use in PROGRAMS:
        found = _program(name)
        _line(name, found or "missing", use, bool(found))
    kvm = Path("/dev/kvm").exists()
    _line("/dev/kvm", "present" if kvm else "missing", "nothing: never used", True)
    _line("cores", str(_cores()), "one run uses one core", True)
    _line("memory", _memory(), "0.5 GiB for fuzzing", True)
    return exits.CLEAN


def _line(name: str, found: str, use: str, good: bool) -> None:
    click.echo(f"{'ok' if good else '--'}  {name:<20} {found:<44} {use}")

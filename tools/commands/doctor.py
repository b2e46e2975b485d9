"""``gmemdiff doctor``: what this machine can run, and what each part is needed for.

It only looks: nothing is started except compilers and emulators asked for their version, and
/dev/kvm is never opened.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import click

from fuzz.port.compiler import NoCompilerError, find_compiler
from tools import exits
from tools.lab.inventory import Item, inventory
from tools.lab.kernels import AMD64, numbers_of

# module, package that it comes from, what it is for
PACKAGES: Final = (
    ("click", "click", "the command line"),
    ("rich", "rich", "tables and progress"),
    ("psutil", "psutil", "campaigns"),
    ("jinja2", "jinja2", "reports"),
    ("pygal", "pygal", "curves in reports"),
    ("distributed", "distributed", "campaigns on several hosts; optional"),
    ("fsspec", "fsspec", "the same"),
    ("hypothesis", "hypothesis", "property tests"),
    ("pytest", "pytest", "tests and *.prog files as tests"),
    ("atheris", "atheris", "campaigns"),
    ("elftools", "pyelftools", "gmemdiff abi; coverage of campaigns in C"),
)
PROGRAMS: Final = (
    ("chromium", "only the test that looks at a report in a browser"),
    ("spin", "only the test that compares gmemdiff explore with it"),
)
COMPILER_USE: Final = "the C port: lockstep, fast campaigns; clang or zig for its coverage"
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
    option = "-V" if name == "spin" else "--version"
    try:
        done = subprocess.run(
            [name, option], capture_output=True, text=True, timeout=VERSION_SECONDS_MAX
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"does not run: {error}"
    return (done.stdout.splitlines() or ["unknown version"])[0]


def _compiler() -> str:
    """What would build the C port; empty when nothing can."""
    try:
        return find_compiler().name
    except NoCompilerError:
        return ""


def _lab() -> list[Check]:
    """QEMU, kernels and built modules; `gmemdiff lab list` says more of each."""
    items = inventory(whole=False)
    done = []
    for item in items:
        if item.kind == "qemu":
            state = item.state if item.ok else "missing"
            done.append(Check(item.name, state, f"the lab: {item.arch} kernels", item.ok))
    for kind, use in (("kernel", "the lab; gmemdiff lab fetch"), ("build", "gmemdiff lab build")):
        names = sorted({_short(item) for item in items if item.kind == kind and item.ok})
        done.append(Check(f"lab: {kind}s", " ".join(names) or "missing", use, bool(names)))
    return done


def _short(item: Item) -> str:
    """ "7.2.12" of "7.2.12+deb13-cloud-amd64"."""
    return ".".join(map(str, numbers_of(item.name))) + (
        "" if item.arch == AMD64 else f"/{item.arch}"
    )


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


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked for, and what needs it."""

    name: str
    found: str
    use: str
    ok: bool


def checks() -> list[Check]:
    """Everything that the doctor looks at."""
    new_enough = sys.version_info >= (3, 11)
    done = [Check("python", platform.python_version(), "everything; 3.11 or newer", new_enough)]
    for name, package, use in PACKAGES:
        version = _module(name, package)
        done.append(Check(package, version or "missing", use, bool(version)))
    for name, use in PROGRAMS:
        version = _program(name)
        done.append(Check(name, version or "missing", use, bool(version)))
    done += _lab()
    compiler = _compiler()
    done.append(Check("C compiler", compiler or "missing", COMPILER_USE, bool(compiler)))
    kvm = "present" if Path("/dev/kvm").exists() else "missing"
    done.append(Check("/dev/kvm", kvm, "nothing: never used", True))
    done.append(Check("cores", str(_cores()), "one worker each, by default", True))
    done.append(Check("memory", _memory(), "0.5 GiB for fuzzing", True))
    return done


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def doctor(as_json: bool) -> int:
    """Say what this machine can run; always exits with 0."""
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks()], indent=2))
        return exits.CLEAN
    for check in checks():
        mark = "ok" if check.ok else "--"
        click.echo(f"{mark}  {check.name:<20} {check.found:<44} {check.use}")
    return exits.CLEAN

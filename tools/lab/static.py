"""Static programs for the machine under test: the executor, the runner, and reproducers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from elftools.elf.elffile import ELFFile

from fuzz.port.compiler import find_compiler
from tools.lab.errors import LabError, MissingError
from tools.lab.express import LOW_END, LOW_OWN_END
from tools.lab.kernels import AMD64, ARM64
from tools.lab.shelf import Shelf, key_of

_LAB: Final = Path(__file__).parent
EXECUTOR: Final = _LAB / "executor"
RUNNER: Final = _LAB / "runner"
SHARED: Final = ("modules.c", "output.c", "lab.h", "uapi.h")  # what the runner has of the executor
STATIC: Final = "static"
PROGRAM: Final = "program"
# Linked low, at a fixed place: programs own the user addresses from 1 GiB on.
FLAGS: Final = ("-std=gnu11", "-O2", "-static", "-no-pie", "-pthread", "-Wall", "-Wextra")
_CROSS: Final = "aarch64-linux-gnu-gcc"
_SECONDS_MAX: Final = 1200  # zig builds a C library first, once


def build_executor(arch: str = AMD64, shelf: Shelf | None = None) -> Path:
    """The executor for an architecture, built or found built.  Raises as build_static() does."""
    return build_static("the executor", _texts(EXECUTOR), arch, shelf, check_place)


def build_runner(shelf: Shelf | None = None) -> Path:
    """PID 1 of a machine that runs finished programs.  Raises as build_static() does."""
    shared = {name: text for name, text in _texts(EXECUTOR).items() if name in SHARED}
    return build_static("the runner", shared | _texts(RUNNER), shelf=shelf)


def _texts(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.iterdir() if path.suffix in (".c", ".h"))
    return {path.name: path.read_text(encoding="utf-8") for path in files}


def build_static(
    what: str,
    files: Mapping[str, str],
    arch: str = AMD64,
    shelf: Shelf | None = None,
    check: Callable[[Path], None] = lambda program: None,
) -> Path:
    """A static program, built or found built.

    what: its name in errors.  files: C sources and headers, by name.  check: raises LabError for
    a program that will not do.  Raises NoCompilerError or MissingError when there is no compiler,
    LabError when it refuses the sources.
    """
    command = build_command(arch)
    key = key_of(arch, *command, *FLAGS, *(f"{name}\0{text}" for name, text in files.items()))

    def fill(target: Path) -> dict[str, str]:
        with TemporaryDirectory(prefix="gmemdiff-") as folder:
            for name, text in files.items():
                Path(folder, name).write_text(text, encoding="utf-8")
            sources = [name for name in files if name.endswith(".c")]
            _compile(what, [*command, *FLAGS, "-o", str(target / PROGRAM), *sources], folder)
        check(target / PROGRAM)
        return {"arch": arch, "compiler": " ".join(command)}

    return (shelf or Shelf()).make(STATIC, key, fill).folder / PROGRAM


def _compile(what: str, argv: list[str], folder: str) -> None:
    try:
        done = subprocess.run(
            argv, cwd=folder, capture_output=True, text=True, errors="replace",
            timeout=_SECONDS_MAX,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise LabError(f"{what} cannot be built with {argv[0]}: {error}") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        first = next((line for line in lines if "error" in line), lines[0])
        raise LabError(f"{what} cannot be built with {argv[0]}: {first}")


def check_place(program: Path) -> None:
    """Raise LabError unless a program lies where no program of ours maps anything."""
    with program.open("rb") as file:
        segments = [s for s in ELFFile(file).iter_segments() if s["p_type"] == "PT_LOAD"]
        lowest = min(s["p_vaddr"] for s in segments)
        highest = max(s["p_vaddr"] + s["p_memsz"] for s in segments)
    if lowest < LOW_END or highest > LOW_OWN_END:
        raise LabError(
            f"the executor was linked at {lowest:#x} to {highest:#x}, and programs use what is "
            f"below {LOW_END:#x} and above {LOW_OWN_END:#x}: choose another compiler (GMEMDIFF_CC)"
        )


def build_command(arch: str) -> tuple[str, ...]:
    """A compiler for the machine under test, whatever this machine is."""
    zig = (sys.executable, "-m", "ziglang", "cc") if find_spec("ziglang") else ()
    if arch == AMD64:
        compiler = find_compiler()
        target = ("-target", "x86_64-linux-musl") if compiler.zig else ()
        return (*compiler.command, *target)
    cross = shutil.which(_CROSS)
    if cross:
        return (cross,)
    if zig:
        return (*zig, "-target", "aarch64-linux-musl")
    raise MissingError(
        f"no compiler for {ARM64}: install {_CROSS} (apt install gcc-aarch64-linux-gnu), or the "
        "extra 'port', whose ziglang brings one"
    )

"""Building the lab's executor: C sources of ours, linked statically, for the machine under test."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from elftools.elf.elffile import ELFFile

from fuzz.port.compiler import find_compiler
from tools.lab.errors import LabError, MissingError
from tools.lab.express import LOW_END, LOW_OWN_END
from tools.lab.kernels import AMD64, ARM64
from tools.lab.shelf import Shelf, key_of

SOURCES: Final = Path(__file__).parent / "executor"
EXECUTORS: Final = "executors"
# Linked low, at a fixed place: programs own the user addresses from 1 GiB on.
FLAGS: Final = ("-std=gnu11", "-O2", "-static", "-no-pie", "-Wall", "-Wextra")
_CROSS: Final = "aarch64-linux-gnu-gcc"
_SECONDS_MAX: Final = 1200  # zig builds a C library first, once


def build_executor(arch: str = AMD64, shelf: Shelf | None = None) -> Path:
    """The executor for an architecture, built or found built.

    Raises NoCompilerError or MissingError when there is no compiler for it, LabError when the
    compiler refuses our sources.
    """
    command = build_command(arch)
    files = sorted(path for path in SOURCES.iterdir() if path.suffix in (".c", ".h"))
    parts = [path.name + "\0" + path.read_text(encoding="utf-8") for path in files]
    key = key_of(arch, *command, *FLAGS, *parts)

    def fill(target: Path) -> dict[str, str]:
        sources = [str(path) for path in files if path.suffix == ".c"]
        argv = [*command, *FLAGS, "-o", str(target / "init"), *sources]
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, errors="replace", timeout=_SECONDS_MAX
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise LabError(f"the executor cannot be built with {command[0]}: {error}") from error
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no message"]
            first = next((line for line in lines if "error" in line), lines[0])
            raise LabError(f"the executor cannot be built with {command[0]}: {first}")
        check_place(target / "init")
        return {"arch": arch, "compiler": " ".join(command)}

    return (shelf or Shelf()).make(EXECUTORS, key, fill).folder / "init"


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

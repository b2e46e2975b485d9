"""Which lines of the port some programs execute: for lines that a patch changes.

The files are built once more, by a compiler that counts lines (gcc with gcov, clang with
llvm-cov), and the programs are run in a process of their own, which writes the counts at its end.
A clang without llvm-cov, such as ziglang's, gives the lines at which a coverage point stands.

    python -m fuzz.port.lines LIBRARY < PATHS     is that process
"""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from fuzz.port.addresses import covered_points
from fuzz.port.build import Options, build_library, compile_flags, engine_sources
from fuzz.port.compiler import Compiler, find_compiler
from fuzz.port.coverage import regions
from fuzz.port.encode import BeyondPortError
from fuzz.port.library import Port
from fuzz.text import ProgramError, load

Counts = Mapping[str, Mapping[int, int]]  # file -> line -> how often; lines with code only
SECONDS_MAX: Final = 300


class NoCountsError(Exception):
    """Lines cannot be counted here; the text says why, and what would help."""


def line_counts(sources: Mapping[str, str], programs: Iterable[Path]) -> Counts:
    """Run programs on the port made of these sources.  Raises NoCountsError."""
    compiler = find_compiler()
    if compiler.covers and not _has_llvm_cov(compiler):
        return _point_counts(sources, programs)
    tool = _counting_tool(compiler)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        library = _build(folder, sources, compiler)
        paths = "\n".join(str(path.resolve()) for path in programs)
        _run([sys.executable, "-m", "fuzz.port.lines", str(library)], Path.cwd(), paths)
        counts: dict[str, dict[int, int]] = {}
        for data in sorted(folder.glob("*.gcda")):
            told = _run([*tool, "--json-format", "--stdout", data.name], folder)
            for line in told.splitlines():
                _add(counts, json.loads(line), sources)
    return counts


def _counting_tool(compiler: Compiler) -> list[str]:
    gcov = shutil.which("gcov")
    if not compiler.covers and gcov:
        return [gcov]
    if compiler.covers:
        return ["llvm-cov", "gcov"]
    raise NoCountsError(
        f"{compiler.name} counts no lines here; with gcc (and its gcov) or clang (and llvm-cov) "
        "they are counted"
    )


def _has_llvm_cov(compiler: Compiler) -> bool:
    return "ziglang" not in compiler.command and shutil.which("llvm-cov") is not None


def _point_counts(sources: Mapping[str, str], programs: Iterable[Path]) -> Counts:
    """The same from coverage points: only lines at which one stands are known."""
    path = build_library(sources, Options(coverage=True))
    port = Port(path, survival=False)
    _run_all(port, programs)
    counts: dict[str, dict[int, int]] = {}
    hits = b"".join(ctypes.string_at(region.start, region.size) for region in regions(port))
    for hit, line in zip(hits, covered_points(path), strict=True):
        if line is not None and line[0] in sources:
            lines = counts.setdefault(line[0], {})
            lines[line[1]] = lines.get(line[1], 0) + hit
    return counts


def _run_all(port: Port, programs: Iterable[Path]) -> None:
    """Run programs, each under its own schedule; what cannot be read or run is passed over."""
    for path in programs:
        try:
            port.load(load(str(path)))
        except (ProgramError, BeyondPortError, OSError):
            continue
        port.run()


def _build(folder: Path, sources: Mapping[str, str], compiler: Compiler) -> Path:
    files = {**sources, **engine_sources()}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    flags = [flag for flag in compile_flags() if not flag.startswith("-O")]
    units = sorted(name for name in files if name.endswith(".c"))
    _run([*compiler.command, *flags, "-O0", "--coverage", "-I.", "-c", *units], folder)
    objects = [name[:-2] + ".o" for name in units]
    _run([*compiler.command, "-shared", "--coverage", "-o", "libport.so", *objects], folder)
    return folder / "libport.so"


def _run(command: list[str], folder: Path, given: str = "") -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, input=given, capture_output=True, text=True, check=False,
            timeout=SECONDS_MAX,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise NoCountsError(f"{command[0]}: not done after {SECONDS_MAX} s") from error
    if done.returncode:
        raise NoCountsError(f"{' '.join(command[:2])}: {done.stderr.strip()[-500:]}")
    return done.stdout


def _add(
    counts: dict[str, dict[int, int]], told: Mapping[str, object], sources: Mapping[str, str]
) -> None:
    """Add what gcov tells of one object file."""
    files = told.get("files")
    for file in files if isinstance(files, list) else []:
        name = Path(file["file"]).name
        if name not in sources:
            continue
        lines = counts.setdefault(name, {})
        for line in file["lines"]:
            number = line["line_number"]
            lines[number] = lines.get(number, 0) + line["count"]


def main(arguments: list[str]) -> int:
    """Run the programs named on standard input, each under its own schedule."""
    port = Port(Path(arguments[0]), survival=False)
    _run_all(port, map(Path, sys.stdin.read().splitlines()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

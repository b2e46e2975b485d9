"""Which lines of the port some programs execute: for lines that a patch changes.

gcc builds the files once more so that lines are counted, the programs are run in a process of their
own, which writes the counts at its end, and gcov reads them.  llvm-cov writes no such JSON: with
clang, ziglang's too, only the lines are known at which a coverage point stands.

    python -m fuzz.port.lines LIBRARY < PATHS     is that process
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from fuzz.port.addresses import covered_points
from fuzz.port.build import Options, build_library, compile_flags, library_sources
from fuzz.port.compiler import Compiler, find_compiler
from fuzz.port.coverage import regions
from fuzz.port.encode import BeyondPortError
from fuzz.port.library import Port
from fuzz.text import ProgramError, load

Counts = Mapping[str, Mapping[int, int]]  # file -> line -> how often; lines with code only
SECONDS_MAX: Final = 300


class NoCountsError(Exception):
    """Lines cannot be counted here; the text says why, and what would help."""


def line_counts(models: Sequence[Mapping[str, str]], programs: Sequence[Path]) -> list[Counts]:
    """Run programs on the port made of each model's sources.  Raises NoCountsError.

    What the models have in common is compiled once.
    """
    compiler = find_compiler()
    if compiler.covers:
        return [_point_counts(sources, programs) for sources in models]
    paths = "\n".join(str(path.resolve()) for path in programs)
    with tempfile.TemporaryDirectory() as temporary:
        counter = _Counter(Path(temporary).resolve(), compiler)
        return [counter.counts(sources, paths) for sources in models]


def _gcov(compiler: Compiler) -> str:
    tool = shutil.which("gcov")
    if tool is None:
        raise NoCountsError(f"{compiler.name} counts lines only with its gcov, which is not here")
    return tool


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


class _Counter:
    """Builds libraries that count lines, each in a folder of its own, and runs programs on them."""

    def __init__(self, folder: Path, compiler: Compiler) -> None:
        self._folder = folder
        self._compiler = compiler
        self._gcov = _gcov(compiler)
        self._objects: dict[tuple[str, str, str], Path] = {}  # name, text, headers -> object
        self._models = 0

    def counts(self, sources: Mapping[str, str], paths: str) -> Counts:
        """Run the programs at `paths`, one a line, and count the lines of these sources."""
        folder = self._folder / str(self._models)
        folder.mkdir()
        self._models += 1
        objects = self._compiled(folder, library_sources(sources))
        library, told = folder / "libport.so", folder / "counts"
        command = [*self._compiler.command, "-shared", "--coverage", "-o", str(library)]
        _run([*command, *map(str, objects)], folder)
        # An object of another model writes where that was compiled, unless it is told otherwise.
        strip = str(len(folder.parts) - 1)
        where = {"GCOV_PREFIX": str(told), "GCOV_PREFIX_STRIP": strip}
        _run([sys.executable, "-m", "fuzz.port.lines", str(library)], Path.cwd(), paths, where)
        for path in objects:
            shutil.copy(path.with_suffix(".gcno"), told)
        return self._read(told, sources)

    def _compiled(self, folder: Path, files: Mapping[str, str]) -> list[Path]:
        """Objects of the files; only those are made that no model before had the like of."""
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        headers = "".join(f"{name}\0{files[name]}" for name in sorted(files) if name.endswith(".h"))
        units = [(name, files[name], headers) for name in sorted(files) if name.endswith(".c")]
        new = [unit for unit in units if unit not in self._objects]
        flags = [flag for flag in compile_flags() if not flag.startswith("-O")]
        if new:
            command = [*self._compiler.command, *flags, "-O0", "--coverage", "-I.", "-c"]
            _run([*command, *(name for name, _, _ in new)], folder)
        self._objects.update((unit, (folder / unit[0]).with_suffix(".o")) for unit in new)
        return [self._objects[unit] for unit in units]

    def _read(self, folder: Path, sources: Mapping[str, str]) -> Counts:
        counts: dict[str, dict[int, int]] = {}
        data = sorted(path.name for path in folder.glob("*.gcda"))
        for line in _run([self._gcov, "--json-format", "--stdout", *data], folder).splitlines():
            _add(counts, json.loads(line), sources)
        return counts


def _run(
    command: list[str], folder: Path, given: str = "", also: Mapping[str, str] | None = None
) -> str:
    """What a command says; also: variables of its environment beside ours."""
    try:
        done = subprocess.run(
            command, cwd=folder, input=given, env={**os.environ, **(also or {})},
            capture_output=True, text=True, check=False, timeout=SECONDS_MAX,
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

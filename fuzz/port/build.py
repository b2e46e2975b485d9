"""Building the C port, on demand and once: from sources, a patch and options to a library.

Every object file and library is kept in a cache by a hash of all that goes into it, so a changed
line costs one compilation and a link, and nothing stale is ever used.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

import patched
import reference
from fuzz.port.compiler import Compiler, find_compiler
from fuzz.port.patching import Patched, apply_patch

MODEL_SOURCES: Final = Path(reference.__file__).parent / "c"
ENGINE_SOURCES: Final = Path(__file__).parents[1] / "c"
PATCHES: Final = Path(patched.__file__).parent / "c"
CACHE_VARIABLE: Final = "GMEMDIFF_CACHE"

# What stands around the kernel's code; coverage of it says nothing about a patch.
NOT_COVERED: Final = frozenset(
    {"containers.c", "shim.c", "oracles.c", "state_text.c", "ops.c", "frames.c"}
)
_FLAGS: Final = (
    "-std=gnu11", "-O2", "-g", "-fPIC", "-fvisibility=hidden", "-fno-strict-aliasing",
    "-Wall", "-Wextra", "-Wno-unused-parameter",
)  # fmt: skip
_COVERAGE: Final = "-fsanitize-coverage=inline-8bit-counters,pc-table,trace-cmp"


class BuildError(Exception):
    """The port does not compile: the compiler's own words, with file and line."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to build.  sanitize: for example ("address", "undefined")."""

    coverage: bool = False
    sanitize: tuple[str, ...] = ()


def model_sources() -> dict[str, str]:
    """The model's own files, by name; these are what a patch can change."""
    return _read(MODEL_SOURCES)


def _read(folder: Path) -> dict[str, str]:
    files = sorted([*folder.glob("*.c"), *folder.glob("*.h")])
    return {path.name: path.read_text(encoding="utf-8") for path in files}


def ported_models() -> tuple[str, ...]:
    """The models that exist in C as well: the stock one, and each with a patch."""
    names = sorted(
        str(path.relative_to(PATCHES).with_suffix("")) for path in PATCHES.rglob("*.patch")
    )
    return ("stock", *names)


def patch_for(model: str) -> Path | None:
    """The change to the port that makes it the named model; None for the stock one.

    Raises BuildError when the model has no counterpart in C.
    """
    if model == "stock":
        return None
    path = PATCHES / f"{model}.patch"
    if not path.is_file():
        raise BuildError(f"model {model} exists in Python only: there is no {path}")
    return path


def sources_of(model: str) -> Patched:
    """The model's files with its patch applied.  Raises BuildError, PatchError."""
    path = patch_for(model)
    if path is None:
        return Patched(model_sources(), {})
    return apply_patch(model_sources(), path.read_text(encoding="utf-8"), str(path))


def cache_folder() -> Path:
    """Where built files are kept: GMEMDIFF_CACHE, or the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else user_cache_path("gmemdiff")


def build_library(model: Mapping[str, str], options: Options | None = None) -> Path:
    """Build the port with these model files.  Raises BuildError, NoCompilerError."""
    options = options or Options()
    compiler = find_compiler()
    objects = _objects(model, options, compiler)
    flags = [*_sanitizers(options), *(["-fno-sanitize=all"] if _is_zig(compiler) else [])]
    if options.sanitize:
        flags = list(_sanitizers(options))
    return _made("libport.so", objects, ["-shared", *flags], compiler)


def build_program(model: Mapping[str, str], main: str, options: Options) -> Path:
    """Build the port as a program with a main file of its own (of fuzz/c/)."""
    compiler = find_compiler()
    objects = _objects(model, options, compiler, main)
    return _made(Path(main).stem, objects, list(_sanitizers(options)), compiler)


def _is_zig(compiler: Compiler) -> bool:
    return "ziglang" in compiler.command


def _sanitizers(options: Options) -> tuple[str, ...]:
    return (f"-fsanitize={','.join(options.sanitize)}",) if options.sanitize else ()


def _objects(
    model: Mapping[str, str], options: Options, compiler: Compiler, main: str = ""
) -> list[Path]:
    engine = _read(ENGINE_SOURCES)
    headers = {name: text for name, text in {**model, **engine}.items() if name.endswith(".h")}
    flags = [*_FLAGS, *_sanitizers(options)]
    if _is_zig(compiler) and not options.sanitize:
        flags.append("-fno-sanitize=all")  # zig turns the undefined-behaviour sanitizer on
    jobs: list[tuple[str, str, list[str]]] = []
    for name, text in {**model, **engine}.items():
        if not name.endswith(".c") or (
            name.endswith("_main.c") and name in engine and name != main
        ):
            continue
        covered = options.coverage and compiler.covers and name in model and name not in NOT_COVERED
        jobs.append((name, text, [*flags, _COVERAGE] if covered else flags))
    digest = _digest(*(f"{name}\0{text}" for name, text in sorted(headers.items())))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, text in {**model, **engine}.items():
            (folder / name).write_text(text, encoding="utf-8")
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return list(pool.map(lambda job: _compiled(folder, *job, digest, compiler), jobs))


def _compiled(
    folder: Path, name: str, text: str, flags: list[str], headers: str, compiler: Compiler
) -> Path:
    key = _digest(name, text, headers, *flags, *compiler.command, compiler.version)
    made = cache_folder() / "port" / f"{key}.o"
    if not made.is_file():
        # Names in the debug information are the project's, wherever this was compiled.
        _run([*compiler.command, *flags, f"-ffile-prefix-map={folder}=.", "-c",
              str(folder / name), "-I", str(folder)], made)  # fmt: skip
    return made


def _made(name: str, objects: list[Path], flags: list[str], compiler: Compiler) -> Path:
    key = _digest(name, *(path.name for path in objects), *flags, *compiler.command)
    made = cache_folder() / "port" / f"{key}-{name}"
    if not made.is_file():
        _run([*compiler.command, *flags, *map(str, objects)], made)
    return made


def _run(command: list[str], made: Path) -> None:
    """Run a compiler, and put what it makes in its place only when it is whole."""
    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=made.parent, prefix="new-", delete=False) as file:
        new = Path(file.name)
    try:
        done = subprocess.run(
            [*command, "-o", str(new)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BuildError(f"{' '.join(command[:3])} failed:\n{done.stderr.strip()}")
        new.chmod(0o755)
        new.replace(made)
    finally:
        new.unlink(missing_ok=True)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

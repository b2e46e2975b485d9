"""Building the C port, on demand and once: from sources, a patch and options to a library.

Every object file and library is kept in a cache by a hash of all that goes into it, so a changed
line costs one compilation and a link, and nothing stale is ever used.  What was not used for a
month is removed.
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
from fuzz.overlay import exists_in_c_only
from fuzz.port.compiler import Compiler, find_compiler
from fuzz.port.marks import marked
from fuzz.port.patching import Patched, PatchError, apply_patch
from fuzz.port.pruning import prune, use

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
    "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror=implicit-function-declaration",
)  # fmt: skip
COMPARED: Final = ("stock", "seed")  # what campaigns compare unless they are told otherwise
_MAIN: Final = "_main.c"  # ends the names of the engine's programs; no part of the library
_STUBS: Final = "coverage_stubs.c"
_MARKS: Final = "patch_marks.c"  # generated: what is known of marks, for fuzz/c/explore.c
# Calls before each access, for fuzz/c/accesses.c.  gcc makes no call for a copy that it puts in
# place of a loop, and need not make any at functions; clang has no such options.
_EXPLORED: Final = ("-fsanitize=thread", "-include", "explored.h")
_EXPLORED_GCC: Final = (
    "-fno-tree-loop-distribute-patterns", "--param", "tsan-instrument-func-entry-exit=0",
)  # fmt: skip
_COVERAGE: Final = "-fsanitize-coverage=inline-8bit-counters,pc-table,trace-cmp"


class BuildError(Exception):
    """The port does not compile: the compiler's own words, with file and line."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to build.  sanitize: for example ("address", "undefined").

    whole: optimise across files, which makes steps cheaper and takes seconds to link.
    explored: the model tells of each access to memory, to fuzz/c/cells.c.
    """

    coverage: bool = False
    sanitize: tuple[str, ...] = ()
    whole: bool = True
    explored: bool = False


def model_sources() -> dict[str, str]:
    """The model's own files, by name; these are what a patch can change."""
    return _read(MODEL_SOURCES)


def _read(folder: Path) -> dict[str, str]:
    files = sorted([*folder.glob("*.c"), *folder.glob("*.h")])
    return {path.name: path.read_text(encoding="utf-8") for path in files}


def engine_sources(main: str = "", stubs: bool = False) -> dict[str, str]:
    """The engine's files, by name: of its programs only `main`, and the stubs when asked for."""
    return {
        name: text
        for name, text in _read(ENGINE_SOURCES).items()
        if (not name.endswith(_MAIN) or name == main) and (name != _STUBS or stubs)
    }


def library_sources(model: Mapping[str, str]) -> dict[str, str]:
    """Every file of a library with these model files, by name, for who compiles it otherwise than
    build_library(); changes have no marks."""
    return _files(model, _marks("MARKS_MISSING"))


def _files(
    model: Mapping[str, str], marks: str, main: str = "", stubs: bool = False
) -> dict[str, str]:
    return {**model, **engine_sources(main, stubs), _MARKS: marks}


def ported_models() -> tuple[str, ...]:
    """The models that exist in C as well: the stock one, and each with a patch, mutants last."""
    repairs = sorted(path.stem for path in PATCHES.glob("*.patch"))
    mutants = sorted(f"mutants/{path.stem}" for path in (PATCHES / "mutants").glob("*.patch"))
    return ("stock", *repairs, *mutants)


def ported_others() -> tuple[str, ...]:
    """The models that exist in C as well and are none of COMPARED, mutants last."""
    return tuple(name for name in ported_models() if name not in COMPARED)


def patch_for(model: str) -> Path | None:
    """The change to the port that makes it the named model; None for the stock one.

    Raises BuildError when the model has no counterpart in C.
    """
    if model == "stock":
        return None
    if exists_in_c_only(model):
        return Path(model)
    path = PATCHES / f"{model}.patch"
    if not path.is_file():
        raise BuildError(f"model {model} exists in Python only: there is no {path}")
    return path


def sources_of(model: str) -> Patched:
    """The model's files with its patch applied.  Raises BuildError, PatchError."""
    path = patch_for(model)
    if path is None:
        return Patched(model_sources(), {})
    return apply_patch(model_sources(), patch_text(path), str(path))


def patch_text(path: Path) -> str:
    """The text of a patch.  Raises PatchError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise PatchError(f"{path}:1:1: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PatchError(f"{path}:1:1: is not UTF-8 text: {error.reason}") from error


def compile_flags() -> tuple[str, ...]:
    """What every file of the port is compiled with."""
    return _FLAGS


def cache_folder() -> Path:
    """Where built files are kept: GMEMDIFF_CACHE, or the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else user_cache_path("gmemdiff")


def build_library(model: Mapping[str, str], options: Options | None = None) -> Path:
    """Build the port with these model files.  Raises BuildError, NoCompilerError."""
    options = options or Options()
    # A function that a patch calls and nobody has is told here, and not when the library is loaded;
    # what sanitizers call is in the program that loads it.
    defined = [] if options.sanitize else ["-Wl,-z,defs"]
    return _built("libport.so", model, options, ["-shared", *defined])


def build_program(model: Mapping[str, str], main: str, options: Options) -> Path:
    """Build the port as a program with a main file of its own (of fuzz/c/).

    Raises BuildError, NoCompilerError.
    """
    return _built(Path(main).stem, model, options, [], main)


@dataclass(frozen=True, slots=True)
class _Unit:
    """One C file to compile, and the flags that it gets."""

    name: str
    text: str
    flags: tuple[str, ...]


def _built(
    name: str, model: Mapping[str, str], options: Options, flags: list[str], main: str = ""
) -> Path:
    """Compile what has changed, and link; with marks of what a patch changes (fuzz/port/marks.py).

    Marks that do not compile are left out: the compiler's words are about the developer's lines.
    """
    stock = model_sources()
    with_marks = marked(stock, model)
    if with_marks.complete:
        state = "MARKS_STOCK" if dict(model) == stock else "MARKS_COMPLETE"
        try:
            return _made(name, with_marks.sources, _marks(state), options, flags, main)
        except BuildError:
            if dict(model) == stock:
                raise
    return _made(name, model, _marks("MARKS_MISSING"), options, flags, main)


def _marks(state: str) -> str:
    return f'#include "marks.h"\n\nconst enum marks patch_marks = {state};\n'


def _made(
    name: str,
    model: Mapping[str, str],
    marks: str,
    options: Options,
    flags: list[str],
    main: str,
) -> Path:
    compiler = find_compiler()
    sanitizers = _sanitizers(options, compiler)
    covered = options.coverage and compiler.covers
    # Steps are short, and most of them cross files.
    whole = ("-flto",) if options.whole and compiler.gcc and not options.sanitize else ()
    files = _files(model, marks, main, covered)
    units = []
    for file, text in files.items():
        if not file.endswith(".c"):
            continue
        counted = covered and file in model and file not in NOT_COVERED
        how = (*sanitizers, *whole, *((_COVERAGE,) if counted else ()))
        if options.explored and file in model:
            how = _explored(compiler)
        fast = ("-O3",) if options.explored else ()  # for hours
        own = (*_FLAGS, *fast, *how)
        units.append(_Unit(file, text, own))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")
        headers = _digest(*(f"{n}\0{t}" for n, t in sorted(files.items()) if n.endswith(".h")))
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            objects = list(pool.map(lambda u: _compiled(folder, u, headers, compiler), units))
        return _linked(folder, name, objects, [*flags, *whole, *sanitizers], compiler)


def _explored(compiler: Compiler) -> tuple[str, ...]:
    """How the model's files are compiled to be explored."""
    if compiler.gcc:
        return (*_EXPLORED, *_EXPLORED_GCC)
    # "all" would have the last word, wherever it stands.
    return (*_EXPLORED, "-fno-sanitize=undefined", "-mcpu=baseline") if compiler.zig else _EXPLORED


def _sanitizers(options: Options, compiler: Compiler) -> tuple[str, ...]:
    if options.sanitize:
        return (f"-fsanitize={','.join(options.sanitize)}", "-fno-sanitize-recover=all")
    # zig turns the sanitizer for undefined behaviour on by itself, and compiles for this very
    # processor, which another host with the same cache folder may not have.
    return ("-fno-sanitize=all", "-mcpu=baseline") if compiler.zig else ()


def _compiled(folder: Path, unit: _Unit, headers: str, compiler: Compiler) -> Path:
    command = [*compiler.command, *unit.flags]
    key = _digest(unit.name, unit.text, headers, *_key(command, compiler))
    made = _port_folder() / f"{key}.o"
    if not use(made):
        # Names in the debug information are the project's, wherever this was compiled.  Another
        # process that makes the same object may put its own in place while this one links: with
        # link-time optimisation, that must be the same to the byte.
        fixed = (f"-ffile-prefix-map={folder}=.", f"-frandom-seed={key}")
        _run([*command, *fixed, "-c", unit.name], folder, made)
    return made


def _linked(
    folder: Path, name: str, objects: list[Path], flags: list[str], compiler: Compiler
) -> Path:
    command = [*compiler.command, *flags]
    key = _digest(name, *(path.name for path in objects), *_key(command, compiler))
    made = _port_folder() / f"{key}-{name}"
    if not use(made):
        _run([*command, *map(str, objects)], folder, made)
        prune(made)
    return made


def _key(command: list[str], compiler: Compiler) -> tuple[str, ...]:
    return (*command, compiler.version)


def _port_folder() -> Path:
    return cache_folder().absolute() / "port"


def _run(command: list[str], folder: Path, made: Path) -> None:
    """Run a compiler in a folder, and put what it makes in its place only when it is whole."""
    try:
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=made.parent, prefix="new-", delete=False) as file:
            new = Path(file.name)
    except OSError as error:
        raise BuildError(
            f"{made.parent}: cannot be written: {error.strerror}; the C port is built there; "
            f"set {CACHE_VARIABLE} to a folder that can be written"
        ) from error
    # Only zig looks at these: it keeps a cache of its own, which stays beside ours.
    zig = {f"ZIG_{which}_CACHE_DIR": str(made.parent / "zig") for which in ("GLOBAL", "LOCAL")}
    try:
        done = subprocess.run(
            [*command, "-o", str(new)],
            cwd=folder,
            env={**zig, **os.environ},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BuildError(f"the C port does not compile:\n{done.stderr.strip()}")
        new.chmod(0o755)
        new.replace(made)
    finally:
        new.unlink(missing_ok=True)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

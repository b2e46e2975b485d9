"""Which C compiler there is, and what it can do.

clang comes first, because its coverage is what libFuzzer understands; then gcc, whose coverage
libFuzzer refuses; then the PyPI package ziglang (the extra ``port``), which brings a clang and
needs no root.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Final

VARIABLE: Final = "GMEMDIFF_CC"  # a command to use instead
ADVICE: Final = (
    "install clang (apt install clang) or gcc, or: pip install 'gmemdiff[port]' for the clang "
    "that ziglang brings"
)
_OURS: Final = ("clang", "gcc", "cc")


class NoCompilerError(Exception):
    """There is no C compiler; the text says where one would come from."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """A command that compiles C.

    version: its first line of ``--version``.  covers: it writes coverage for libFuzzer.
    zig: it is zig's clang, which has defaults of its own.
    """

    command: tuple[str, ...]
    version: str
    covers: bool
    zig: bool = False

    @property
    def gcc(self) -> bool:
        """Whether it is gcc: "gcc (Debian 12.2.0-14) 12.2.0"."""
        return re.match(r"\S*\bg?cc\S* \(", self.version) is not None

    @property
    def name(self) -> str:
        """For people."""
        return f"{' '.join(os.path.basename(part) for part in self.command)} ({self.version})"


@cache
def find_compiler() -> Compiler:
    """The compiler to use.  Raises NoCompilerError."""
    chosen = os.environ.get(VARIABLE)
    candidates: list[tuple[str, ...]] = [_words(chosen)] if chosen else []
    if not chosen:
        found = (shutil.which(name) for name in _OURS)
        candidates += [(path,) for path in found if path]
        if find_spec("ziglang"):
            candidates.append((sys.executable, "-m", "ziglang", "cc"))
    for command in candidates:
        version = _version(command)
        if version:
            zig = any("zig" in os.path.basename(word) for word in command)
            return Compiler(command, version, covers="clang" in version.lower(), zig=zig)
    if chosen:
        raise NoCompilerError(f"{VARIABLE}={chosen}: does not run; {ADVICE}")
    raise NoCompilerError(f"no C compiler found; {ADVICE}")


def _words(chosen: str) -> tuple[str, ...]:
    """A command as a shell would read it: a path may hold blanks.  Raises NoCompilerError."""
    try:
        return tuple(shlex.split(chosen))
    except ValueError as error:
        raise NoCompilerError(f"{VARIABLE}={chosen}: is no command: {error}") from error


def _version(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    lines = done.stdout.splitlines()
    return lines[0].strip() if done.returncode == 0 and lines else ""

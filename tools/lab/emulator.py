"""Finding QEMU: an installed one, or one that ``gmemdiff lab fetch`` has unpacked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tools.lab.errors import MissingError
from tools.lab.kernels import AMD64, ARM64
from tools.lab.shelf import Shelf

QEMU: Final = "qemu"
PROGRAMS: Final[Mapping[str, str]] = {AMD64: "qemu-system-x86_64", ARM64: "qemu-system-aarch64"}
PACKAGES: Final[Mapping[str, str]] = {AMD64: "qemu-system-x86", ARM64: "qemu-system-arm"}
_VERSION: Final = re.compile(r"version (\d+(?:\.\d+)+)")
_VERSION_SECONDS_MAX: Final = 20
# Where Debian puts what QEMU loads: its own, the BIOS, the boot code of network cards.
_DATA: Final = ("usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu")


@dataclass(frozen=True, slots=True)
class Emulator:
    """How to start QEMU for one architecture.

    argv: the program and the options that it needs to find its files; the machine's options follow.
    env: variables to add to the environment.  installed: it is the machine's own.
    """

    arch: str  # "amd64" or "arm64"
    argv: tuple[str, ...]
    version: str  # such as "7.2.22"
    env: Mapping[str, str] = field(default_factory=dict)
    installed: bool = False

    def environment(self) -> dict[str, str]:
        """The whole environment to start it with."""
        return {**os.environ, **self.env}


def find_emulator(arch: str = AMD64, shelf: Shelf | None = None) -> Emulator:
    """QEMU for an architecture: the one on PATH first.  Raises MissingError."""
    program = PROGRAMS[arch]
    installed = on_path(program)
    why = "it is not on PATH"
    if installed:
        try:
            return Emulator(arch, (installed,), version_of((installed,), {}), installed=True)
        except MissingError as error:
            why = str(error)
    entry = (shelf or Shelf()).look(QEMU, arch)
    if entry is not None:
        argv, env = unpacked(entry.folder, arch)
        try:
            return Emulator(arch, argv, version_of(argv, env), env)
        except MissingError as error:
            why = str(error)
    option = "" if arch == AMD64 else f" --arch {arch}"
    raise MissingError(
        f"not found: {program}: {why}; install it (apt install {PACKAGES[arch]}), "
        f"or run: gmemdiff lab fetch --qemu{option}"
    )


def on_path(program: str) -> str | None:
    """Where an installed program is."""
    return shutil.which(program)


def unpacked(folder: Path, arch: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Command and environment of a QEMU whose packages are unpacked below a folder."""
    argv = [str(folder / "usr/bin" / PROGRAMS[arch])]
    for data in _DATA:
        if (folder / data).is_dir():
            argv += ["-L", str(folder / data)]
    roots = [folder / "usr/lib", folder / "lib"]
    libraries = [p for root in roots for p in (*sorted(root.glob("*-linux-gnu*")), root)]
    env = {"LD_LIBRARY_PATH": ":".join(str(path) for path in libraries if path.is_dir())}
    # Accelerators may be loaded as modules, and are looked for where the package was built for.
    plugins = [path / "qemu" for path in libraries if (path / "qemu").is_dir()]
    if plugins:
        env["QEMU_MODULE_DIR"] = str(plugins[0])
    return tuple(argv), env


def version_of(argv: tuple[str, ...], env: Mapping[str, str]) -> str:
    """What a QEMU says of its version.  Raises MissingError when it does not run."""
    try:
        done = subprocess.run(
            [*argv, "--version"],
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_SECONDS_MAX,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise MissingError(f"{argv[0]} does not run: {error}") from error
    match = _VERSION.search(done.stdout)
    if done.returncode or match is None:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise MissingError(f"{argv[0]} does not run: {said[0] if said else done.returncode}")
    return match[1]

"""``gmemdiff lab fetch``: kernels and QEMU from the distribution's own packages, without root.

Kernels are Debian's, from the machine's own Debian mirror with newer suites; QEMU is of the
machine's own release, so that it runs with the machine's libraries.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tools.lab.apt import SYSTEM_STATUS, Apt, unpack
from tools.lab.deadline import Deadline
from tools.lab.emulator import PACKAGES, QEMU, Emulator, find_emulator
from tools.lab.errors import LabError, MissingError
from tools.lab.kernels import (
    AMD64,
    KERNELS,
    Kernel,
    find_kernel,
    image_facts,
    is_version,
    kernel_from,
    numbers_of,
    store_modules,
)
from tools.lab.modinfo import find_modules
from tools.lab.shelf import Shelf, sha256
from tools.lab.sources import (
    ETC_APT,
    KERNEL_SUITES,
    debian_source,
    machine_sources,
    own_release,
)

SECONDS_MAX: Final = 900
FLAVOUR: Final = {"amd64": "cloud-amd64", "arm64": "cloud-arm64"}
# An image package has everything up to 6.18; newer ones are split.
_PARTS: Final = ("linux-image", "linux-binary", "linux-modules", "linux-base")
_CANDIDATE: Final = r"^linux-image-(\d+\.\d+(?:\.\d+)?(?:\+[\w.~+]+?)?-{flavour})$"


def _silent(_: str) -> None:
    pass


def _tell(say: Callable[[str], None], line: str) -> None:
    if line:
        say(line)


@dataclass(frozen=True, slots=True)
class Fetcher:
    """What all fetches share.  say: called with one line per step; etc: apt's folder."""

    shelf: Shelf
    deadline: Deadline = field(default_factory=lambda: Deadline(SECONDS_MAX))
    suites: Sequence[str] = KERNEL_SUITES
    say: Callable[[str], None] = _silent
    etc: Path = ETC_APT
    asked: dict[str, Apt] = field(default_factory=dict)  # by architecture: its indexes are new

    def debian(self, arch: str) -> Apt:
        """apt on Debian's kernel suites, with indexes that are new once per fetcher."""
        if arch in self.asked:
            return self.asked[arch]
        source = debian_source(machine_sources(self.etc)).with_suites(self.suites)
        apt = Apt(self.shelf.folder("apt", f"debian-{arch}"), [source], arch, self.deadline)
        _tell(self.say, apt.update())
        self.asked[arch] = apt
        return apt


def fetch_kernel(fetcher: Fetcher, version: str, arch: str = AMD64) -> Kernel:
    """The newest kernel of a version: "7.2", "7.2.12", or the whole release.

    When the archive cannot be asked, one that was fetched before will do.  Raises MissingError.
    """
    shelf = fetcher.shelf
    with shelf.locked("apt", f"debian-{arch}"):
        try:
            apt = fetcher.debian(arch)
            release = newest(apt.names("linux-image-"), version, arch)
            files = _packages(apt, shelf, release)
        except MissingError as error:
            with suppress(MissingError):
                kernel = find_kernel(version, arch, shelf)
                fetcher.say(f"{error}; the one fetched before is kept")
                return kernel
            raise
    entry = shelf.make(
        KERNELS, release, lambda target: _store_kernel(target, files, release, arch, fetcher)
    )
    return kernel_from(entry)


def newest(names: Sequence[str], version: str, arch: str) -> str:
    """The newest release of a series among package names; of equals, that of the older suite.

    Raises MissingError when there is none, with the series that there are.
    """
    pattern = re.compile(_CANDIDATE.format(flavour=re.escape(FLAVOUR[arch])))
    releases = sorted(
        (match[1] for match in map(pattern.match, names) if match),
        key=lambda release: (numbers_of(release), [-ord(c) for c in release]),
    )
    chosen = [release for release in releases if is_version(release, version)]
    if chosen:
        return chosen[-1]
    known = sorted({numbers_of(release)[:2] for release in releases})
    there = ", ".join(f"{major}.{minor}" for major, minor in known) or "none"
    raise MissingError(
        f"not found: a {arch} kernel {version} in Debian's suites; there: {there}; "
        "or pass a kernel of your own with --vmlinuz FILE --modules DIR"
    )


def _packages(apt: Apt, shelf: Shelf, release: str) -> list[Path]:
    """The package files that a kernel consists of, fetched or there already."""
    there = set(apt.names("linux-"))
    wanted = [name for part in _PARTS if (name := f"{part}-{release}") in there]
    return apt.download(wanted, shelf.folder("packages"))


def _store_kernel(
    target: Path, files: Sequence[Path], release: str, arch: str, fetcher: Fetcher
) -> dict[str, str]:
    fetcher.say(f"unpacking {release}")
    tree = target / "tree"
    for file in files:
        unpack(file, tree, fetcher.deadline)
    image = _one(tree, ("usr/lib/modules/*/vmlinuz", "boot/vmlinuz-*"), release)
    if image_facts(image) != (release, arch):
        raise LabError(f"{image.name} of {release} says it is {image_facts(image)[0]}")
    shutil.copyfile(image, target / "vmlinuz")
    config = _one(tree, ("usr/lib/modules/*/config", "boot/config-*"), release)
    shutil.copyfile(config, target / "config")
    builtin = [
        Path(line).name.split(".ko")[0]
        for path in tree.rglob("modules.builtin")
        for line in path.read_text().split()
    ]
    facts = store_modules(target, find_modules(tree), builtin, arch)
    shutil.rmtree(tree)
    packages = " ".join(f"{file.name}={sha256(file)}" for file in files)
    return {"release": release, "arch": arch, **facts, "packages": packages}


def _one(tree: Path, patterns: Sequence[str], release: str) -> Path:
    for pattern in patterns:
        for path in sorted(tree.glob(pattern)):
            if path.is_file() and not path.is_symlink():
                return path
    raise LabError(f"the packages of {release} hold no {patterns[0].rsplit('/', 1)[-1]}")


def fetch_emulator(fetcher: Fetcher, arch: str = AMD64) -> Emulator:
    """QEMU for an architecture: the installed one, else the package of the machine's own release.

    Raises MissingError.
    """
    with suppress(MissingError):
        emulator = find_emulator(arch, fetcher.shelf)
        entry = fetcher.shelf.look(QEMU, arch)
        if emulator.installed or (entry is not None and not entry.broken()):
            return emulator
    sources = own_release(machine_sources(fetcher.etc), codename())
    if not sources:
        raise MissingError(
            f"not found: {PACKAGES[arch]}: no package sources for this machine's own release; "
            "install QEMU"
        )

    def fill(target: Path) -> dict[str, str]:
        folder = fetcher.shelf.folder("apt", "own")
        apt = Apt(folder, sources, host_arch(), fetcher.deadline, SYSTEM_STATUS)
        with fetcher.shelf.locked("apt", "own"):
            _tell(fetcher.say, apt.update())
            files = apt.download_with_dependencies([PACKAGES[arch]])
        fetcher.say(f"unpacking {PACKAGES[arch]} and {len(files) - 1} packages that it needs")
        for file in files:
            unpack(file, target, fetcher.deadline)
        return {"packages": " ".join(f"{file.name}={sha256(file)}" for file in files)}

    fetcher.shelf.make(QEMU, arch, fill)
    return find_emulator(arch, fetcher.shelf)


def codename() -> str:
    """The name of this machine's release, such as "bookworm"; empty when it has none."""
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def host_arch() -> str:
    """Debian's name of this machine's architecture.  Raises MissingError."""
    try:
        done = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True)
    except OSError as error:
        raise MissingError("not found: dpkg; packages are unpacked with it") from error
    return done.stdout.strip()

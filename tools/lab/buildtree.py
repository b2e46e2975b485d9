"""What modules of one kernel are built from: its headers, kbuild's programs, and KVM's source.

All of it is of exactly the kernel's version.  kbuild's programs (fixdep, modpost, objtool) were
linked against the C library of their suite, which may be newer than this machine's: each is run
through that suite's own dynamic loader, which is unpacked beside it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from tools.lab.apt import Apt, unpack
from tools.lab.errors import LabError, MissingError
from tools.lab.fetch import Fetcher, host_arch
from tools.lab.kernels import AMD64, KERNELS, Kernel, series_of
from tools.lab.shelf import Entry, Shelf, key_of, sha256

TREES: Final = "trees"
# What KVM's modules are made of, and the headers that are KVM's own: all that a patch may change.
SOURCES: Final = (
    "arch/x86/kvm",
    "virt/kvm",
    "include/linux/kvm*.h",
    "include/uapi/linux/kvm*.h",
    "include/trace/events/kvm.h",
    "arch/x86/include/asm/kvm*.h",
    "arch/x86/include/uapi/asm/kvm*.h",
    "arch/x86/include/asm/svm.h",
    "arch/x86/include/uapi/asm/svm.h",
)
_DEPENDS: Final = re.compile(r"^Depends: (.*)$", re.M)
_VERSION: Final = re.compile(r"^Version: (\S+)$", re.M)
_ELF: Final = b"\x7fELF"
_WRAPPER: Final = """\
#!/bin/sh
d=${{0%/*}}
exec "$d/{loader}" --library-path "{libraries}" "$d/{program}" "$@"
"""


@dataclass(frozen=True, slots=True)
class BuildTree:
    """Folders to build modules with.  common, flavour: of the headers; source: KVM's files."""

    common: Path
    flavour: Path
    source: Path
    key: str


def find_tree(kernel: Kernel, shelf: Shelf, whole: bool = True) -> BuildTree:
    """The tree of a fetched kernel.  whole: look at each file's checksum, which takes a second.

    Raises MissingError, which says how to fetch it.
    """
    entry = shelf.find(TREES, kernel.release) if whole else shelf.look(TREES, kernel.release)
    if entry is not None:
        return _tree(entry)
    if shelf.look(KERNELS, kernel.release) is None:
        raise MissingError(
            f"not found: headers and source of {kernel.release}, which was not fetched; build it "
            "with the patch, and pass that with --vmlinuz FILE --modules DIR"
        )
    raise MissingError(
        f"not found: headers and source of {kernel.release}, or broken; "
        f"run: gmemdiff lab fetch --version {kernel.release}"
    )


def fetch_tree(fetcher: Fetcher, kernel: Kernel) -> BuildTree:
    """Headers, kbuild and KVM's source of a fetched kernel, fetched when missing or broken."""
    check_buildable(kernel)
    return _tree(
        fetcher.shelf.make(TREES, kernel.release, lambda target: _fill(target, fetcher, kernel))
    )


def check_buildable(kernel: Kernel) -> None:
    """Raise MissingError for a kernel whose modules cannot be built on this machine."""
    if kernel.arch != AMD64:
        raise MissingError(
            f"{kernel.arch} kernels have KVM built in: a patched one needs a whole kernel build; "
            "build it and pass it with --vmlinuz FILE"
        )
    if host_arch() != AMD64:
        raise MissingError(
            "modules for amd64 are built on amd64 machines only: kbuild's programs are for these; "
            "build elsewhere and pass the kernel with --vmlinuz FILE --modules DIR"
        )


def _tree(entry: Entry) -> BuildTree:
    folder, facts = entry.folder, entry.facts
    return BuildTree(
        folder / facts["common"], folder / facts["flavour"], folder / "source",
        key_of(facts["packages"]),
    )  # fmt: skip


def _fill(target: Path, fetcher: Fetcher, kernel: Kernel) -> dict[str, str]:
    with fetcher.shelf.locked("apt", f"debian-{kernel.arch}"):
        apt = fetcher.debian(kernel.arch)
        headers = f"linux-headers-{kernel.release}"
        wanted, kbuild = _wanted(apt, headers, kernel.release)
        fetcher.say(f"fetching headers and source of {kernel.release}")
        packages = fetcher.shelf.folder("packages")
        files = apt.download(wanted, packages)
        host = apt.download_with_dependencies([kbuild])
    fetcher.say(f"unpacking headers and source of {kernel.release}")
    for file in (*files, *host):
        unpack(file, target, fetcher.deadline)
    _extract(target, fetcher)
    flavour = Path("usr/src") / headers
    common = Path("usr/src") / wanted[1]
    _wrap_programs(target, target / "usr/lib" / kbuild)
    digests = " ".join(f"{file.name}={sha256(file)}" for file in (*files, *host))
    files[-1].unlink()  # the whole kernel's source, of which little is used
    return {"common": str(common), "flavour": str(flavour), "packages": digests}


def _wanted(apt: Apt, headers: str, release: str) -> tuple[list[str], str]:
    """Packages to fetch (headers, common headers, source), and kbuild's name."""
    told = apt.show(headers)
    depends, version = _DEPENDS.search(told), _VERSION.search(told)
    if depends is None or version is None:
        raise MissingError(
            f"not found: {headers}: Debian's suites no longer have it, so {release} boots and its "
            "modules cannot be built; ask gmemdiff lab fetch for another version, or give "
            "--boot-only, or pass a patched kernel of your own with --vmlinuz FILE --modules DIR"
        )
    names = [item.split()[0] for item in depends[1].split(",")]
    common = [n for n in names if n.startswith("linux-headers-") and n.endswith("-common")]
    kbuild = [n for n in names if n.startswith("linux-kbuild-")]
    if not common or not kbuild:
        raise LabError(f"{headers} does not name its common headers and kbuild: {depends[1]}")
    source = f"linux-source-{series_of(release)}={version[1]}"
    return [headers, common[0], source], kbuild[0]


def _extract(target: Path, fetcher: Fetcher) -> None:
    """KVM's files out of the source package; the rest of it is dropped."""
    archives = sorted((target / "usr/src").glob("linux-source-*.tar.*"))
    if len(archives) != 1:
        raise LabError("the source package holds no linux-source-*.tar.*")
    (target / "source").mkdir()
    patterns = [f"*/{path}" for path in SOURCES]
    command = [
        "tar", "-xf", str(archives[0]), "-C", str(target / "source"), "--strip-components=1",
        "--wildcards", "--no-wildcards-match-slash", *patterns,
    ]  # fmt: skip
    done = fetcher.deadline.run(command)
    # tar complains of patterns that match nothing; what a build cannot do without is checked here.
    if not (target / "source/virt/kvm/kvm_main.c").is_file():
        raise LabError(f"{archives[0].name}: cannot be unpacked: {done.stderr.strip()}")
    archives[0].unlink()


def _wrap_programs(target: Path, kbuild: Path) -> None:
    """Make every program of kbuild run through the loader that came with it."""
    loaders = [p for p in sorted(target.rglob("ld-linux-*.so.*")) if not p.is_symlink()]
    if not loaders:
        raise LabError("the packages hold no dynamic loader")
    libraries = sorted({p.parent for p in target.rglob("*.so.*") if "gconv" not in p.parts})
    for path in sorted(kbuild.rglob("*")):
        if not path.is_file() or path.is_symlink() or not os.access(path, os.X_OK):
            continue
        if ".real-" in path.name:
            continue
        with path.open("rb") as file:
            if file.read(4) != _ELF:
                continue
        # Debian chooses between several builds of a program by the machine built for.
        real = next((r for r in _choices(path) if r.is_file()), None)
        program = real or path.with_name(path.name + ".elf")
        path.rename(path.with_name(path.name + ".elf"))
        _write_wrapper(path, loaders[0], libraries, program)


def _choices(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in (".real-lsb-64", ".real-x86")]


def _write_wrapper(path: Path, loader: Path, libraries: Sequence[Path], program: Path) -> None:
    def relative(other: Path) -> str:
        return PurePosixPath(os.path.relpath(other, path.parent)).as_posix()

    places = ":".join(f"$d/{relative(folder)}" for folder in libraries)
    path.write_text(
        _WRAPPER.format(loader=relative(loader), libraries=places, program=program.name)
    )
    path.chmod(0o755)

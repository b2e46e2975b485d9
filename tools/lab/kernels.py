"""Kernels that the lab can boot: fetched ones, built ones, and a developer's own.

A kernel is an image that ``qemu -kernel`` boots, and the modules that make KVM of it, unpacked
and in the order in which they are loaded.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tools.lab.errors import LabError, MissingError
from tools.lab.modinfo import find_modules, load_order, read_module, release_of
from tools.lab.shelf import Entry, Shelf, key_of, sha256

AMD64: Final = "amd64"
ARM64: Final = "arm64"
ARCHES: Final = (AMD64, ARM64)
# What is loaded for KVM under TCG, which emulates AMD's virtualisation; arm64 has KVM built in.
KVM_MODULES: Final[Mapping[str, tuple[str, ...]]] = {AMD64: ("kvm_amd",), ARM64: ()}
EXTRA_MODULES: Final = ("kvm_intel", "hwpoison_inject", "mce_inject")
KERNELS: Final = "kernels"
BUILDS: Final = "builds"
STOCK: Final = ""

_RELEASE: Final = re.compile(r"^(\d+)\.(\d+)(?:\.(\d+))?")
_BANNER: Final = re.compile(rb"Linux version (\S+) ")
_GZIP: Final = b"\x1f\x8b"
_ARM64_MAGIC: Final = (56, b"ARM\x64")  # offset in the header of an arm64 Image


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel that the lab can boot.

    modules: absolute paths of .ko files in load order, empty when KVM is built in.  extra: further
    modules by name.  patch: the name of the patch its modules were built with, empty for stock.
    key: names its content, for caches and reports.
    """

    release: str  # such as "7.2.12+deb13-cloud-amd64"
    arch: str  # "amd64" or "arm64"
    vmlinuz: Path
    modules: tuple[Path, ...]
    extra: Mapping[str, Path] = field(default_factory=dict)
    config: Path | None = None
    patch: str = STOCK
    rebuilt: bool = False
    key: str = ""

    @property
    def version(self) -> str:
        """The series: "7.2"."""
        return series_of(self.release)

    @property
    def patched(self) -> bool:
        """Whether its modules were built with a patch."""
        return bool(self.patch)

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.release} {self.patch or ('stock, rebuilt' if self.rebuilt else 'stock')}"


def numbers_of(release: str) -> tuple[int, int, int]:
    """Major, minor and patch level of a release.  Raises LabError."""
    match = _RELEASE.match(release)
    if match is None:
        raise LabError(f"{release!r} is not a kernel release such as 7.2.12")
    return int(match[1]), int(match[2]), int(match[3] or 0)


def series_of(release: str) -> str:
    """ "7.2" of "7.2.12+deb13-cloud-amd64"."""
    major, minor, _ = numbers_of(release)
    return f"{major}.{minor}"


def is_version(release: str, version: str) -> bool:
    """Whether a release is what somebody asks for: "7.2", "7.2.12", or the release itself."""
    upstream = release.split("+")[0].split("-")[0]
    return version in (release, upstream, series_of(release))


def fetched_kernels(shelf: Shelf | None = None, arch: str | None = None) -> list[Kernel]:
    """All fetched kernels that are whole, the oldest release first."""
    shelf = shelf or Shelf()
    entries = (shelf.find(KERNELS, name) for name in shelf.names(KERNELS))
    kernels = [kernel_from(entry) for entry in entries if entry is not None]
    kernels.sort(key=lambda kernel: (kernel.arch, numbers_of(kernel.release), kernel.release))
    return [kernel for kernel in kernels if arch in (None, kernel.arch)]


def find_kernel(version: str, arch: str = AMD64, shelf: Shelf | None = None) -> Kernel:
    """The newest fetched kernel of a version: "7.2", "7.2.12", or the whole release.

    Raises MissingError, which says how to fetch it.
    """
    for kernel in reversed(fetched_kernels(shelf, arch)):
        if is_version(kernel.release, version):
            return kernel
    option = "" if arch == AMD64 else f" --arch {arch}"
    raise MissingError(
        f"not found: a {arch} kernel {version}; run: gmemdiff lab fetch --version {version}{option}"
    )


def kernel_from(entry: Entry) -> Kernel:
    """A kernel as it lies on the shelf."""
    facts = entry.facts
    modules = tuple(entry.folder / name for name in facts.get("modules", "").split())
    extra = {Path(n).stem: entry.folder / n for n in facts.get("extra", "").split()}
    return Kernel(
        release=facts["release"],
        arch=facts["arch"],
        vmlinuz=entry.folder / "vmlinuz",
        modules=modules,
        extra=extra,
        config=entry.folder / "config" if "config" in entry.files else None,
        key=key_of(*entry.files.values()),
    )


def store_modules(
    target: Path, files: Mapping[str, Path], builtin: list[str], arch: str
) -> dict[str, str]:
    """Write the modules for KVM, unpacked, into a folder; facts for kernel_from()."""
    (target / "modules").mkdir()
    order = load_order(KVM_MODULES[arch], files, builtin)
    extra = [name for name in EXTRA_MODULES if name in files and name not in order]
    facts = {"modules": [], "extra": []}  # type: dict[str, list[str]]
    for name, elf in order.items():
        facts["modules"].append(_store(target, name, elf))
    for name in extra:
        facts["extra"].append(_store(target, name, read_module(files[name])))
    return {key: " ".join(value) for key, value in facts.items()}


def _store(target: Path, name: str, elf: bytes) -> str:
    path = f"modules/{name.replace('_', '-')}.ko"
    (target / path).write_bytes(elf)
    return path


def own_kernel(vmlinuz: Path, modules: Path | None, shelf: Shelf | None = None) -> Kernel:
    """A developer's own build: an image, and a folder with its modules somewhere below.

    modules: None when KVM is built in; else lib/modules/RELEASE, the build tree, or any folder
    that holds kvm.ko and kvm-amd.ko, compressed or not.  Raises LabError, MissingError.
    """
    release, arch = image_facts(vmlinuz)
    if modules is None:
        return Kernel(release, arch, vmlinuz.absolute(), (), key=key_of(sha256(vmlinuz)))
    if not modules.is_dir():
        raise LabError(f"{modules}: not a folder; --modules takes the one that kvm.ko is below")
    files = find_modules(modules)
    builtin = [
        line.rsplit("/", 1)[-1].split(".ko")[0]
        for path in sorted(modules.rglob("modules.builtin"))
        for line in path.read_text(errors="replace").split()
    ]
    order = load_order(KVM_MODULES[arch], files, builtin)
    for name, elf in order.items():
        built_for = release_of(elf, name)
        if built_for != release:
            raise LabError(
                f"{files[name]}: built for {built_for or 'no release'}, and {vmlinuz} is "
                f"{release}: give the modules of the same build"
            )
    key = key_of(sha256(vmlinuz), *(key_of(elf.hex()) for elf in order.values()))

    def fill(target: Path) -> dict[str, str]:
        (target / "vmlinuz").write_bytes(vmlinuz.read_bytes())
        return {"release": release, "arch": arch, **store_modules(target, files, builtin, arch)}

    return kernel_from((shelf or Shelf()).make("own", key, fill))


def image_facts(vmlinuz: Path) -> tuple[str, str]:
    """Release and architecture of a kernel image: bzImage, ELF vmlinux, or arm64 Image(.gz).

    The header of a bzImage is described in Documentation/arch/x86/boot.rst, that of an arm64 Image
    in Documentation/arch/arm64/booting.rst.  Raises LabError.
    """
    try:
        data = vmlinuz.read_bytes()
        if data.startswith(_GZIP):
            data = gzip.decompress(data)
    except (OSError, EOFError) as error:
        raise LabError(f"{vmlinuz}: cannot be read: {error}") from error
    if data[0x202:0x206] == b"HdrS":
        at = 0x200 + int.from_bytes(data[0x20E:0x210], "little")
        release = data[at : at + 256].split(b"\0")[0].split(b" ")[0].decode(errors="replace")
        return _known(release, vmlinuz), AMD64
    offset, magic = _ARM64_MAGIC
    arm = data[offset : offset + 4] == magic
    if arm or data.startswith(b"\x7fELF"):
        machine = int.from_bytes(data[18:20], "little")
        arch = ARM64 if arm or machine == 183 else AMD64
        banner = _BANNER.search(data)
        return _known(banner[1].decode(errors="replace") if banner else "", vmlinuz), arch
    raise LabError(f"{vmlinuz}: not a kernel image: no bzImage, ELF vmlinux or arm64 Image")


def _known(release: str, vmlinuz: Path) -> str:
    if not _RELEASE.match(release):
        raise LabError(f"{vmlinuz}: a kernel image that does not say its release")
    return release

"""A small Debian archive in a folder, made with dpkg-deb, and what its packages hold.

Nothing in it is real but the formats: apt takes it for an archive, the lab for kernels.
"""

from __future__ import annotations

import hashlib
import lzma
import shutil
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

needs_apt: Final = pytest.mark.skipif(
    not all(map(shutil.which, ("apt-get", "apt-cache", "apt-config", "dpkg-deb"))),
    reason="not found: apt and dpkg-deb",
)


@dataclass(frozen=True, slots=True)
class Package:
    """One package to be.  files: contents by path in the package."""

    name: str
    version: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    depends: str = ""
    arch: str = "amd64"


def archive(root: Path, suites: Mapping[str, list[Package]], arch: str = "amd64") -> Path:
    """Write an archive with these suites; returns the folder, whose path ends in /debian."""
    top = root / "debian"
    for suite, packages in suites.items():
        index = "\n".join(_stanza(top, suite, package) for package in packages)
        folder = top / "dists" / suite
        path = f"main/binary-{arch}/Packages"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(index)
        data = index.encode()
        (folder / "Release").write_text(
            f"Origin: Debian\nSuite: {suite}\nCodename: {suite}\n"
            f"Architectures: {arch}\nComponents: main\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n"
            f"SHA256:\n {hashlib.sha256(data).hexdigest()} {len(data)} {path}\n"
        )
    return top


def _stanza(top: Path, suite: str, package: Package) -> str:
    """Build the package; its stanza of the index."""
    work = top / "work"
    shutil.rmtree(work, ignore_errors=True)
    (work / "DEBIAN").mkdir(parents=True)
    control = (
        f"Package: {package.name}\nVersion: {package.version}\nArchitecture: {package.arch}\n"
        f"Maintainer: nobody <nobody@example.org>\n"
        + (f"Depends: {package.depends}\n" if package.depends else "")
        + "Description: made for a test\n"
    )
    (work / "DEBIAN/control").write_text(control)
    for path, data in package.files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(data)
        (work / path).chmod(0o755)
    pool = top / "pool" / suite
    pool.mkdir(parents=True, exist_ok=True)
    file = pool / f"{package.name}_{package.version}_{package.arch}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(work), str(file)],
        check=True, capture_output=True,
    )  # fmt: skip
    shutil.rmtree(work)
    data = file.read_bytes()
    return (
        f"{control.rstrip()}\nFilename: {file.relative_to(top)}\nSize: {len(data)}\n"
        f"SHA256: {hashlib.sha256(data).hexdigest()}\n"
    )


def etc_for(root: Path, top: Path) -> Path:
    """An /etc/apt whose machine uses this archive."""
    etc = root / "etc"
    etc.mkdir(exist_ok=True)
    (etc / "sources.list").write_text(f"deb [trusted=yes] copy:{top} bookworm main\n")
    return etc


def bzimage(release: str) -> bytes:
    """The beginning of an x86 kernel image: the parts of its header that are read."""
    image = bytearray(0x400)
    image[0x202:0x206] = b"HdrS"
    image[0x20E:0x210] = (0x100).to_bytes(2, "little")
    text = f"{release} (who@where) #1 SMP\0".encode()
    image[0x300 : 0x300 + len(text)] = text
    return bytes(image)


def module(release: str, depends: str = "") -> bytes:
    """An ELF file with a section .modinfo and nothing else."""
    info = f"depends={depends}\0vermagic={release} SMP mod_unload \0".encode()
    names = b"\0.modinfo\0.shstrtab\0"
    start = 64
    table = start + len(info) + len(names)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, table, 0, 64, 0, 0, 64, 3, 2)
    sections = bytes(64)
    sections += struct.pack("<IIQQQQIIQQ", 1, 1, 0, 0, start, len(info), 0, 0, 1, 0)
    sections += struct.pack("<IIQQQQIIQQ", 10, 3, 0, 0, start + len(info), len(names), 0, 0, 1, 0)
    return header + info + names + sections


def kernel_packages(release: str, version: str) -> list[Package]:
    """What a split kernel consists of: image, binary, modules, base."""
    base = f"usr/lib/modules/{release}"
    kvm = f"{base}/kernel/arch/x86/kvm"
    modules = {
        f"{kvm}/kvm.ko.xz": lzma.compress(module(release, "irqbypass")),
        f"{kvm}/kvm-amd.ko.xz": lzma.compress(module(release, "kvm,ccp")),
        f"{base}/kernel/virt/lib/irqbypass.ko.xz": lzma.compress(module(release)),
        f"{base}/kernel/mm/hwpoison-inject.ko.xz": lzma.compress(module(release)),
    }
    base_files = {
        f"{base}/config": b'CONFIG_CC_VERSION_TEXT="x86_64-linux-gnu-gcc-14 (Debian) 14.2.0"\n',
        f"{base}/modules.builtin": b"kernel/drivers/crypto/ccp/ccp.ko\n",
    }
    return [
        Package(f"linux-image-{release}", version),
        Package(f"linux-binary-{release}", version, {f"{base}/vmlinuz": bzimage(release)}),
        Package(f"linux-modules-{release}", version, modules),
        Package(f"linux-base-{release}", version, base_files),
    ]

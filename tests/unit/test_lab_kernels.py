"""Kernels of one's own, what their images and modules say, and finding QEMU."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from tests.unit.debian import bzimage, module
from tools.lab import emulator
from tools.lab.emulator import find_emulator
from tools.lab.errors import LabError, MissingError
from tools.lab.kernels import ARM64, find_kernel, image_facts, is_version, numbers_of, own_kernel
from tools.lab.modinfo import load_order, modinfo, read_module, release_of
from tools.lab.shelf import Shelf

RELEASE = "7.3.0-rc1-mine+"


def arm64_image(release: str) -> bytes:
    return bytes(56) + b"ARM\x64" + bytes(64) + f"Linux version {release} (me) #1".encode()


def elf_vmlinux(release: str, machine: int) -> bytes:
    ident = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\0" + machine.to_bytes(2, "little")
    return ident + bytes(100) + f"Linux version {release} (me) #1".encode()


@pytest.mark.parametrize(
    ("image", "arch"),
    [
        (bzimage(RELEASE), "amd64"),
        (arm64_image(RELEASE), "arm64"),
        (gzip.compress(arm64_image(RELEASE)), "arm64"),
        (elf_vmlinux(RELEASE, 62), "amd64"),
        (elf_vmlinux(RELEASE, 183), "arm64"),
    ],
)
def test_every_kind_of_image_says_its_release_and_architecture(
    tmp_path: Path, image: bytes, arch: str
) -> None:
    (tmp_path / "image").write_bytes(image)
    assert image_facts(tmp_path / "image") == (RELEASE, arch)


def test_what_is_no_kernel_image_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"#!/bin/sh\n")
    with pytest.raises(LabError, match="not a kernel image"):
        image_facts(tmp_path / "image")
    (tmp_path / "image").write_bytes(elf_vmlinux("", 62))
    with pytest.raises(LabError, match="does not say its release"):
        image_facts(tmp_path / "image")
    (tmp_path / "image").write_bytes(gzip.compress(b"x" * 1000)[:-9])
    with pytest.raises(LabError, match="cannot be read"):
        image_facts(tmp_path / "image")
    with pytest.raises(LabError, match="No such file"):
        image_facts(tmp_path / "none")


def own_build(tmp_path: Path, release: str = RELEASE) -> tuple[Path, Path]:
    """An image and a build tree with modules where a build leaves them."""
    vmlinuz = tmp_path / "bzImage"
    vmlinuz.write_bytes(bzimage(RELEASE))
    kvm = tmp_path / "tree/arch/x86/kvm"
    kvm.mkdir(parents=True)
    (kvm / "kvm.ko").write_bytes(module(release, "irqbypass"))
    (kvm / "kvm-amd.ko").write_bytes(module(release, "kvm"))
    lib = tmp_path / "tree/virt/lib"
    lib.mkdir(parents=True)
    (lib / "irqbypass.ko.xz").write_bytes(lzma.compress(module(release)))
    return vmlinuz, tmp_path / "tree"


def test_an_own_kernel_has_its_modules_in_load_order(tmp_path: Path) -> None:
    vmlinuz, tree = own_build(tmp_path)
    kernel = own_kernel(vmlinuz, tree, Shelf(tmp_path / "cache"))
    assert (kernel.release, kernel.version, kernel.arch) == (RELEASE, "7.3", "amd64")
    assert [path.name for path in kernel.modules] == ["irqbypass.ko", "kvm.ko", "kvm-amd.ko"]
    assert kernel.modules[0].read_bytes() == module(RELEASE)
    first = kernel.key
    (tree / "arch/x86/kvm/kvm.ko").write_bytes(module(RELEASE, "irqbypass") + b"changed")
    assert own_kernel(vmlinuz, tree, Shelf(tmp_path / "cache")).key != first


def test_modules_of_another_build_are_refused_with_both_releases(tmp_path: Path) -> None:
    vmlinuz, tree = own_build(tmp_path, "7.3.0-rc1-other")
    with pytest.raises(LabError, match=r"built for 7\.3\.0-rc1-other, and .* is 7\.3\.0-rc1-mine"):
        own_kernel(vmlinuz, tree, Shelf(tmp_path / "cache"))


def test_a_module_that_is_nowhere_is_told_with_who_needs_it(tmp_path: Path) -> None:
    vmlinuz, tree = own_build(tmp_path)
    (tree / "virt/lib/irqbypass.ko.xz").unlink()
    with pytest.raises(LabError, match=r"irqbypass\.ko is nowhere .* and kvm\.ko needs it"):
        own_kernel(vmlinuz, tree, Shelf(tmp_path / "cache"))
    (tree / "modules.builtin").write_text("kernel/virt/lib/irqbypass.ko\n")
    kernel = own_kernel(vmlinuz, tree, Shelf(tmp_path / "cache"))
    assert [path.name for path in kernel.modules] == ["kvm.ko", "kvm-amd.ko"]


def test_a_kernel_with_kvm_built_in_needs_no_modules(tmp_path: Path) -> None:
    (tmp_path / "Image").write_bytes(arm64_image(RELEASE))
    kernel = own_kernel(tmp_path / "Image", None)
    assert (kernel.arch, kernel.modules) == (ARM64, ())
    with pytest.raises(LabError, match="not a folder"):
        own_kernel(tmp_path / "Image", tmp_path / "none")


def test_a_module_is_read_however_it_is_compressed(tmp_path: Path) -> None:
    plain = module(RELEASE, "a,b-c")
    for name, data in (
        ("m.ko", plain), ("m.ko.xz", lzma.compress(plain)), ("m.ko.gz", gzip.compress(plain)),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(data)
        assert read_module(tmp_path / name) == plain
    assert release_of(plain, "m.ko") == RELEASE
    assert modinfo(plain, "m.ko")["depends"] == ["a,b-c"]
    (tmp_path / "m.ko.xz").write_bytes(b"not xz")
    with pytest.raises(LabError, match=r"m\.ko\.xz: cannot be read"):
        read_module(tmp_path / "m.ko.xz")


def test_what_is_no_module_is_told_as_such() -> None:
    with pytest.raises(LabError, match=r"m\.ko: not a kernel module"):
        modinfo(b"text", "m.ko")


def test_dashes_and_underscores_name_the_same_module(tmp_path: Path) -> None:
    (tmp_path / "a-b.ko").write_bytes(module(RELEASE))
    (tmp_path / "c.ko").write_bytes(module(RELEASE, "a_b"))
    files = {"a_b": tmp_path / "a-b.ko", "c": tmp_path / "c.ko"}
    assert list(load_order(["c"], files, [])) == ["a_b", "c"]


def test_versions_are_asked_for_by_series_number_or_release() -> None:
    release = "7.2.12+deb13-cloud-amd64"
    assert all(is_version(release, text) for text in ("7.2", "7.2.12", release))
    assert not any(is_version(release, text) for text in ("7", "7.2.1", "7.3", ""))
    assert numbers_of("7.3-cloud-amd64") == (7, 3, 0)
    with pytest.raises(LabError, match="not a kernel release"):
        numbers_of("latest")


def test_a_kernel_that_is_not_there_is_told_with_the_command_that_fetches_it(
    tmp_path: Path,
) -> None:
    with pytest.raises(MissingError, match=r"lab fetch --version 7\.2 --arch arm64"):
        find_kernel("7.2", ARM64, Shelf(tmp_path))


def program(folder: Path, text: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "qemu-system-x86_64"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_an_installed_qemu_comes_first_and_is_run_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = program(tmp_path / "bin", "echo 'QEMU emulator version 10.1.2 (v10)'")
    monkeypatch.setattr(emulator, "on_path", lambda name: path)
    found = find_emulator(shelf=Shelf(tmp_path / "cache"))
    assert (found.argv, found.version, found.installed) == ((path,), "10.1.2", True)
    assert dict(found.env) == {}


def test_a_qemu_that_does_not_run_is_told_with_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = program(tmp_path / "bin", "echo 'libone.so: cannot open' >&2; exit 127")
    monkeypatch.setattr(emulator, "on_path", lambda name: path)
    with pytest.raises(MissingError, match=r"does not run: libone\.so: cannot open"):
        find_emulator(shelf=Shelf(tmp_path / "cache"))


def test_a_missing_qemu_is_told_with_both_ways_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulator, "on_path", lambda name: None)
    with pytest.raises(MissingError) as caught:
        find_emulator(ARM64, Shelf(tmp_path))
    assert str(caught.value) == (
        "not found: qemu-system-aarch64: it is not on PATH; install it (apt install "
        "qemu-system-arm), or run: gmemdiff lab fetch --qemu --arch arm64"
    )

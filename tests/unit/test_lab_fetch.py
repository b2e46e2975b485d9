"""Fetching with the machine's apt from a small archive made for the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.debian import (
    Package,
    archive,
    etc_for,
    kernel_packages,
    needs_apt,
)
from tools.lab import emulator, fetch
from tools.lab.apt import Apt
from tools.lab.deadline import Deadline
from tools.lab.errors import LabError, MissingError
from tools.lab.fetch import Fetcher, fetch_emulator, fetch_kernel, newest
from tools.lab.kernels import fetched_kernels, find_kernel
from tools.lab.shelf import Shelf
from tools.lab.sources import parse_one_line

OLD = "7.2.9+deb13-cloud-amd64"
NEW = "7.2.12+deb13-cloud-amd64"
SECONDS_MAX = 60


def names(*releases: str) -> list[str]:
    return [f"linux-image-{release}" for release in releases]


def test_the_newest_of_a_series_is_chosen_by_number() -> None:
    there = names(OLD, NEW, "7.3.4+deb13-cloud-amd64", "7.3-cloud-amd64", "7.12.1-cloud-amd64")
    assert newest(there, "7.2", "amd64") == NEW
    assert newest(there, "7.3", "amd64") == "7.3.4+deb13-cloud-amd64"
    assert newest(there, "7.2.9", "amd64") == OLD
    assert newest(there, OLD, "amd64") == OLD


def test_of_equal_kernels_that_of_the_older_suite_is_chosen() -> None:
    assert newest(names("7.2.12+deb14-cloud-amd64", NEW), "7.2", "amd64") == NEW


def test_debug_packages_other_flavours_and_architectures_are_not_kernels() -> None:
    there = [*names(f"{NEW}-dbg", "7.2.13+deb13-rt-amd64", "7.2.13+deb13-amd64"), *names(OLD)]
    assert newest(there, "7.2", "amd64") == OLD
    with pytest.raises(MissingError, match="there: none"):
        newest(there, "7.2", "arm64")


def test_a_series_that_is_nowhere_is_told_with_those_that_are() -> None:
    with pytest.raises(MissingError, match=r"amd64 kernel 6\.1 in Debian's suites; there: 7\.2"):
        newest(names(NEW), "6.1", "amd64")


def fetcher(tmp_path: Path, etc: Path) -> tuple[Fetcher, list[str]]:
    said: list[str] = []
    shelf = Shelf(tmp_path / "cache")
    suites = ("trixie-backports", "experimental")
    return Fetcher(shelf, Deadline(SECONDS_MAX), suites, said.append, etc), said


@needs_apt
@pytest.mark.slow
def test_a_kernel_is_fetched_with_its_modules_in_load_order(tmp_path: Path) -> None:
    suites = {
        "trixie-backports": kernel_packages(OLD, "7.2.9-1"),
        "experimental": kernel_packages(NEW, "7.2.12-1"),
    }
    one, _ = fetcher(tmp_path, etc_for(tmp_path, archive(tmp_path, suites)))
    kernel = fetch_kernel(one, "7.2")
    assert (kernel.release, kernel.arch, kernel.version) == (NEW, "amd64", "7.2")
    assert [path.name for path in kernel.modules] == ["irqbypass.ko", "kvm.ko", "kvm-amd.ko"]
    assert list(kernel.extra) == ["hwpoison-inject"]
    assert kernel.modules[1].read_bytes().startswith(b"\x7fELF")
    assert not kernel.patched
    assert find_kernel("7.2", shelf=one.shelf) == kernel
    assert fetch_kernel(one, OLD).release == OLD
    assert [k.release for k in fetched_kernels(one.shelf)] == [OLD, NEW]
    # What the machine has installed is neither read nor changed.
    assert (one.shelf.root / "apt/debian-amd64/status").read_text() == ""


@needs_apt
@pytest.mark.slow
def test_a_package_that_is_not_what_the_index_says_is_refused(tmp_path: Path) -> None:
    top = archive(tmp_path, {"trixie-backports": kernel_packages(NEW, "7.2.12-1")})
    (package,) = top.glob("pool/*/linux-binary-*.deb")
    data = bytearray(package.read_bytes())
    data[-1] ^= 1
    package.write_bytes(data)
    one, _ = fetcher(tmp_path, etc_for(tmp_path, top))
    with pytest.raises(MissingError, match=r"apt-get failed: .*Hash Sum mismatch"):
        fetch_kernel(one, "7.2")
    assert fetched_kernels(one.shelf) == []


@needs_apt
@pytest.mark.slow
def test_without_an_archive_one_line_says_so_and_what_is_fetched_is_kept(tmp_path: Path) -> None:
    top = archive(tmp_path, {"trixie-backports": kernel_packages(NEW, "7.2.12-1")})
    etc = etc_for(tmp_path, top)
    one, _ = fetcher(tmp_path, etc)
    kernel = fetch_kernel(one, "7.2")
    top.rename(tmp_path / "away")
    assert fetch_kernel(one, "7.2") == kernel
    other, _ = fetcher(tmp_path / "other", etc)
    with pytest.raises(MissingError, match="package indexes cannot be fetched") as caught:
        fetch_kernel(other, "7.2")
    assert "\n" not in str(caught.value)


@needs_apt
@pytest.mark.slow
def test_a_broken_kernel_is_unpacked_again(tmp_path: Path) -> None:
    top = archive(tmp_path, {"trixie-backports": kernel_packages(NEW, "7.2.12-1")})
    one, _ = fetcher(tmp_path, etc_for(tmp_path, top))
    kernel = fetch_kernel(one, "7.2")
    kernel.vmlinuz.write_bytes(b"")
    with pytest.raises(MissingError, match="run: gmemdiff lab fetch --version"):
        find_kernel("7.2", shelf=one.shelf)
    assert fetch_kernel(one, "7.2") == kernel


@needs_apt
@pytest.mark.slow
def test_an_image_of_another_release_than_its_package_is_refused(tmp_path: Path) -> None:
    packages = kernel_packages(NEW, "7.2.12-1")
    image = kernel_packages(OLD, "1")[1].files[f"usr/lib/modules/{OLD}/vmlinuz"]
    packages[1] = Package(
        packages[1].name, packages[1].version, {f"usr/lib/modules/{NEW}/vmlinuz": image}
    )
    one, _ = fetcher(tmp_path, etc_for(tmp_path, archive(tmp_path, {"experimental": packages})))
    with pytest.raises(LabError, match=r"says it is 7\.2\.9"):
        fetch_kernel(one, "7.2")


@needs_apt
@pytest.mark.slow
def test_dependencies_are_fetched_as_far_as_they_are_missing(tmp_path: Path) -> None:
    packages = [
        Package("tool", "1", {"usr/bin/tool": b"#!/bin/sh\n"}, "libone, libtwo (>= 2)"),
        Package("libone", "1"),
        Package("libtwo", "2"),
    ]
    top = archive(tmp_path, {"bookworm": packages})
    status = tmp_path / "status"
    status.write_text(
        "Package: libone\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n"
        "Maintainer: nobody <nobody@example.org>\nDescription: there\n"
    )
    source = parse_one_line(f"deb [trusted=yes] copy:{top} bookworm main")
    apt = Apt(tmp_path / "apt", source, "amd64", Deadline(SECONDS_MAX), status)
    assert apt.update() == ""
    for _ in range(2):  # the second time all is there already, and is told all the same
        files = apt.download_with_dependencies(["tool"])
        assert sorted(file.name for file in files) == ["libtwo_2_amd64.deb", "tool_1_amd64.deb"]
    assert status.read_text().startswith("Package: libone\nStatus: install ok installed")


@needs_apt
@pytest.mark.slow
def test_a_suite_that_the_archive_lacks_is_told_and_the_others_are_used(tmp_path: Path) -> None:
    top = archive(tmp_path, {"experimental": kernel_packages(NEW, "7.2.12-1")})
    one, said = fetcher(tmp_path, etc_for(tmp_path, top))
    assert fetch_kernel(one, "7.2").release == NEW
    assert len([line for line in said if "trixie-backports" in line]) == 1


@needs_apt
@pytest.mark.slow
def test_a_deadline_ends_a_fetch_and_says_what_to_do(tmp_path: Path) -> None:
    top = archive(tmp_path, {"trixie-backports": kernel_packages(NEW, "7.2.12-1")})
    one, _ = fetcher(tmp_path, etc_for(tmp_path, top))
    late = Fetcher(one.shelf, Deadline(0), one.suites, one.say, one.etc)
    with pytest.raises(MissingError, match="larger --max-time"):
        fetch_kernel(late, "7.2")


@needs_apt
@pytest.mark.slow
def test_qemu_is_fetched_from_the_machines_own_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = b"#!/bin/sh\necho 'QEMU emulator version 9.8.7 (Debian 1:9.8.7)'\n"
    packages = [
        Package("qemu-system-x86", "9", {
            "usr/bin/qemu-system-x86_64": program, "usr/share/qemu/bios.bin": b"",
            "usr/lib/x86_64-linux-gnu/qemu/accel.so": b"",
        }),
    ]  # fmt: skip
    etc = etc_for(tmp_path, archive(tmp_path, {"bookworm": packages}, fetch.host_arch()))
    monkeypatch.setattr(fetch, "codename", lambda: "bookworm")
    monkeypatch.setattr(emulator, "on_path", lambda program: None)
    one, _ = fetcher(tmp_path, etc)
    fetched = fetch_emulator(one)
    folder = one.shelf.root / "qemu/amd64"
    assert fetched.version == "9.8.7"
    assert not fetched.installed
    assert fetched.argv[1:] == ("-L", str(folder / "usr/share/qemu"))
    assert fetched.env["QEMU_MODULE_DIR"] == str(folder / "usr/lib/x86_64-linux-gnu/qemu")
    monkeypatch.setattr(fetch, "codename", lambda: "noble")
    (folder / "usr/bin/qemu-system-x86_64").unlink()
    with pytest.raises(MissingError, match="no package sources for this machine's own release"):
        fetch_emulator(one)


def test_a_machine_without_debian_is_told_what_to_pass(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "sources.list").write_text("deb http://archive.example/ubuntu noble main\n")
    one, _ = fetcher(tmp_path, etc)
    with pytest.raises(MissingError, match="--vmlinuz FILE --modules DIR"):
        fetch_kernel(one, "7.2")

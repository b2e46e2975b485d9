"""Headers, kbuild's programs and KVM's source, fetched from an archive made for the test."""

from __future__ import annotations

import io
import json
import platform
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.debian import Package, archive, etc_for, kernel_packages, needs_apt
from tools import cli, exits
from tools.lab import buildtree
from tools.lab.buildtree import fetch_tree, find_tree
from tools.lab.deadline import Deadline
from tools.lab.errors import MissingError
from tools.lab.fetch import Fetcher, fetch_kernel
from tools.lab.inventory import inventory
from tools.lab.shelf import Shelf

RELEASE = "7.2.12+deb13-cloud-amd64"
ABI = "7.2.12+deb13"
LOADER = Path("/lib64/ld-linux-x86-64.so.2")


def source_package(version: str, text: str) -> Package:
    """linux-source-7.2 with a file of KVM, a header of it, and much that is not of it."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        for path in (
            "virt/kvm/kvm_main.c", "arch/x86/kvm/mmu/mmu.c", "include/linux/kvm_host.h",
            "mm/memory.c", "tools/virt/kvm/kvm_main.c",
        ):  # fmt: skip
            item = tarfile.TarInfo(f"linux-source-7.2/{path}")
            item.size = len(text)
            tar.addfile(item, io.BytesIO(text.encode()))
    files = {"usr/src/linux-source-7.2.tar.xz": data.getvalue()}
    return Package("linux-source-7.2", version, files, arch="all")


def real_file(*names: str) -> bytes:
    """The first of these files of the machine that is there."""
    path = next(Path(name) for name in names if Path(name).exists())
    return path.read_bytes()


def build_packages() -> list[Package]:
    """Headers, kbuild with one program, and the C library that it was linked against."""
    kbuild = f"usr/lib/linux-kbuild-{ABI}/scripts"
    lib = "usr/lib/x86_64-linux-gnu"
    echo = real_file(shutil.which("echo") or "/bin/echo")
    return [
        Package(
            f"linux-headers-{RELEASE}", "7.2.12-1",
            {f"usr/src/linux-headers-{RELEASE}/Makefile": b""},
            f"gcc-14, linux-headers-{ABI}-common (= 7.2.12-1), linux-kbuild-{ABI}",
        ),
        Package(
            f"linux-headers-{ABI}-common", "7.2.12-1",
            {f"usr/src/linux-headers-{ABI}-common/Makefile": b""}, arch="all",
        ),
        Package(
            f"linux-kbuild-{ABI}", "7.2.12-1",
            {
                f"{kbuild}/basic/fixdep": echo,
                f"{kbuild}/mod/modpost": b"\x7fELF chooses one of these",
                f"{kbuild}/mod/modpost.real-lsb-64": echo,
                f"{kbuild}/checkpatch.pl": b"#!/usr/bin/perl\n",
            },
            "libc6",
        ),
        Package(
            "libc6", "99",
            {
                f"{lib}/ld-linux-x86-64.so.2": LOADER.read_bytes(),
                f"{lib}/libc.so.6": real_file(f"/{lib}/libc.so.6", "/usr/lib64/libc.so.6"),
            },
        ),
    ]  # fmt: skip


needs_x86 = pytest.mark.skipif(
    platform.machine() != "x86_64" or not LOADER.exists(), reason="not an x86-64 glibc machine"
)


@pytest.fixture
def fetcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetcher:
    """A fetcher on an archive with one kernel and all that its modules are built from."""
    monkeypatch.setattr(buildtree, "host_arch", lambda: "amd64")
    suites = {
        "trixie-backports": [
            *kernel_packages(RELEASE, "7.2.12-1"), *build_packages(),
            source_package("7.2.12-1", "ours"),
        ],
        "sid": [source_package("7.2.13-1", "newer")],
    }  # fmt: skip
    etc = etc_for(tmp_path, archive(tmp_path, suites))
    return Fetcher(
        Shelf(tmp_path / "cache/lab"), Deadline(60), ("trixie-backports", "sid"), etc=etc
    )


@needs_apt
@needs_x86
@pytest.mark.slow
def test_the_source_is_of_the_kernels_own_version_and_of_kvm_only(fetcher: Fetcher) -> None:
    kernel = fetch_kernel(fetcher, "7.2")
    with pytest.raises(MissingError, match="run: gmemdiff lab fetch"):
        find_tree(kernel, fetcher.shelf)
    tree = fetch_tree(fetcher, kernel)
    found = {str(p.relative_to(tree.source)): p for p in tree.source.rglob("*") if p.is_file()}
    assert sorted(found) == [
        "arch/x86/kvm/mmu/mmu.c", "include/linux/kvm_host.h", "virt/kvm/kvm_main.c",
    ]  # fmt: skip
    assert found["virt/kvm/kvm_main.c"].read_text() == "ours"
    assert tree.flavour.name == f"linux-headers-{RELEASE}"
    assert tree.common.name == f"linux-headers-{ABI}-common"
    assert (tree.flavour / "Makefile").is_file()
    assert (tree.common / "Makefile").is_file()
    assert find_tree(kernel, fetcher.shelf) == tree


@needs_apt
@needs_x86
@pytest.mark.slow
def test_programs_of_kbuild_run_through_the_loader_that_came_with_them(fetcher: Fetcher) -> None:
    tree = fetch_tree(fetcher, fetch_kernel(fetcher, "7.2"))
    scripts = tree.common.parents[1] / f"lib/linux-kbuild-{ABI}/scripts"
    for program in ("basic/fixdep", "mod/modpost"):
        command = [str(scripts / program), "two words", "$x", "*"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.stdout == "two words $x *\n"
        assert "/ld-linux-x86-64.so.2" in (scripts / program).read_text()
    assert (scripts / "checkpatch.pl").read_text() == "#!/usr/bin/perl\n"


@needs_apt
@needs_x86
@pytest.mark.slow
def test_what_is_there_and_what_is_broken_is_listed(fetcher: Fetcher) -> None:
    shelf = fetcher.shelf
    kernel = fetch_kernel(fetcher, "7.2")
    states = {(item.kind, item.name): item for item in inventory(shelf)}
    assert states["kernel", RELEASE].state.endswith("which lab build needs")
    assert states["kernel", "7.3"].state == "missing; run: gmemdiff lab fetch --version 7.3"
    assert not states["kernel", "7.3"].ok
    tree = fetch_tree(fetcher, kernel)
    states = {(item.kind, item.name): item for item in inventory(shelf)}
    assert states["kernel", RELEASE].state == "whole; headers and source whole"
    (tree.source / "virt/kvm/kvm_main.c").write_text("changed")
    states = {(item.kind, item.name): item for item in inventory(shelf)}
    assert "broken (source/virt/kvm/kvm_main.c)" in states["kernel", RELEASE].state
    assert not states["kernel", RELEASE].ok
    kernel.vmlinuz.unlink()
    states = {(item.kind, item.name): item for item in inventory(shelf)}
    assert states["kernel", RELEASE].state.startswith("broken (vmlinuz)")


@needs_apt
@needs_x86
@pytest.mark.slow
def test_headers_that_have_left_the_archive_are_told_with_what_to_fetch(
    fetcher: Fetcher, tmp_path: Path
) -> None:
    kernel = fetch_kernel(fetcher, "7.2")
    suites = {"trixie-backports": kernel_packages("7.2.13+deb13-cloud-amd64", "7.2.13-1")}
    shutil.rmtree(tmp_path / "debian")
    archive(tmp_path, suites)
    with pytest.raises(MissingError, match=r"so 7\.2\.12\S+ boots and its modules cannot"):
        fetch_tree(replace(fetcher, asked={}), kernel)


def test_the_list_is_printed_for_people_and_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GMEMDIFF_CACHE", str(tmp_path))
    assert cli.main(["lab", "list"]) == exits.CLEAN
    text = capsys.readouterr().out
    assert "--  kernel  7.2" in text
    assert f"cache: {tmp_path}/lab, 0 MiB" in text
    assert cli.main(["lab", "list", "--json"]) == exits.CLEAN
    items = json.loads(capsys.readouterr().out)
    assert {item["kind"] for item in items} == {"qemu", "kernel"}
    assert cli.main(["lab", "build"]) == exits.SKIPPED
    assert "no kernel is fetched; run: gmemdiff lab fetch" in capsys.readouterr().err
    assert cli.main(["lab", "build", "--patch", "no-such"]) == exits.BAD_INPUT

"""Patches of the kernel, and building modules with them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from fuzz.port.patching import PatchError
from tests.unit.debian import bzimage, module
from tools.lab import build, buildtree
from tools.lab.build import build_modules, find_toolchain
from tools.lab.buildtree import TREES, find_tree
from tools.lab.errors import LabError, MissingError
from tools.lab.kernel_patch import SEED, KernelPatch, find_patch, known_patches, patch_files
from tools.lab.kernels import KERNELS, Kernel, fetched_kernels
from tools.lab.shelf import Shelf

RELEASE = "7.2.12+deb13-cloud-amd64"
MAIN = """\
int first(void)
{
    one();
    two();
    three();
    four();
}

int second(void)
{
    five();
}
"""
DIFF = """\
--- a/virt/kvm/kvm_main.c
+++ b/virt/kvm/kvm_main.c
@@ -2,5 +2,6 @@ int first(void)
 {
     one();
     two();
+    added();
     three();
     four();
"""


def source(tmp_path: Path, text: str = MAIN) -> Path:
    (tmp_path / "virt/kvm").mkdir(parents=True, exist_ok=True)
    (tmp_path / "virt/kvm/kvm_main.c").write_text(text)
    return tmp_path


def test_a_patch_is_applied_by_path(tmp_path: Path) -> None:
    files = patch_files(source(tmp_path), KernelPatch("my", DIFF))
    assert files == {"virt/kvm/kvm_main.c": MAIN.replace("two();\n", "two();\n    added();\n")}


def test_a_hunk_that_has_moved_or_has_other_outer_context_is_applied(tmp_path: Path) -> None:
    other = "int zero(void)\n{\n}\n\n" + MAIN.replace("one()", "uno()").replace("four()", "iv()")
    files = patch_files(source(tmp_path, other), KernelPatch("my", DIFF))
    wanted = other.replace("two();\n", "two();\n    added();\n")
    assert files["virt/kvm/kvm_main.c"] == wanted


def test_a_hunk_without_a_place_is_told_with_both_versions(tmp_path: Path) -> None:
    other = MAIN.replace("two()", "zwei()")
    with pytest.raises(PatchError) as caught:
        patch_files(source(tmp_path, other), KernelPatch("my.patch", DIFF))
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        "my.patch:4:1: this hunk does not apply to first() in virt/kvm/kvm_main.c; "
        "carry it over by hand to the kernel's version of the function"
    )
    assert "        two();" in lines
    assert "  the kernel has (virt/kvm/kvm_main.c:1):" in lines
    assert "        zwei();" in lines


def test_two_patches_of_one_file_in_one_mail_are_both_applied(tmp_path: Path) -> None:
    second = DIFF.replace("added", "again").replace("     two", "     added").replace("one", "two")
    files = patch_files(source(tmp_path), KernelPatch("my", DIFF + second.replace(" {\n", "")
                        .replace("@@ -2,5 +2,6 @@", "@@ -4,4 +4,5 @@")))  # fmt: skip
    assert "two();\n    added();\n    again();\n    three();" in files["virt/kvm/kvm_main.c"]


def test_files_outside_of_kvm_need_a_whole_kernel(tmp_path: Path) -> None:
    text = DIFF.replace("virt/kvm/kvm_main.c", "mm/memory.c")
    with pytest.raises(LabError, match=r"mm/memory\.c is no part of KVM's modules.*--vmlinuz"):
        patch_files(source(tmp_path), KernelPatch("my", text))
    text = DIFF.replace("virt/kvm/kvm_main.c", "arch/x86/kvm/none.c")
    with pytest.raises(PatchError, match="this kernel has no such file"):
        patch_files(source(tmp_path), KernelPatch("my", text))


def test_a_new_file_is_made_and_one_that_goes_is_refused(tmp_path: Path) -> None:
    new = "--- /dev/null\n+++ b/virt/kvm/new.c\n@@ -0,0 +1,2 @@\n+one\n+two\n"
    assert patch_files(source(tmp_path), KernelPatch("my", new)) == {"virt/kvm/new.c": "one\ntwo\n"}
    gone = "--- a/virt/kvm/kvm_main.c\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n"
    with pytest.raises(PatchError, match="cannot be removed"):
        patch_files(source(tmp_path), KernelPatch("my", gone))


def test_patches_are_found_by_name_or_file_and_none_is_the_stock_source(tmp_path: Path) -> None:
    assert SEED in known_patches()
    seed = find_patch(SEED)
    assert seed is not None
    assert (seed.name, "+++ b/virt/kvm/kvm_main.c" in seed.text) == (SEED, True)
    (tmp_path / "my.patch").write_text(DIFF)
    assert find_patch(str(tmp_path / "my.patch")) == KernelPatch("my.patch", DIFF)
    assert find_patch("none") is None
    with pytest.raises(LabError, match=r"No such file.*one of: .*seed"):
        find_patch("sead")


def a_kernel(tmp_path: Path, shelf: Shelf, arch: str = "amd64") -> Kernel:
    def fill(folder: Path) -> dict[str, str]:
        (folder / "vmlinuz").write_bytes(bzimage(RELEASE))
        (folder / "modules").mkdir()
        for name in ("irqbypass", "kvm", "kvm-amd"):
            (folder / f"modules/{name}.ko").write_bytes(module(RELEASE))
        modules = "modules/irqbypass.ko modules/kvm.ko modules/kvm-amd.ko"
        return {"release": RELEASE, "arch": arch, "modules": modules}

    shelf.make(KERNELS, RELEASE, fill)
    (kernel,) = fetched_kernels(shelf)
    return kernel


def test_a_build_without_headers_says_how_to_fetch_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buildtree, "host_arch", lambda: "amd64")
    shelf = Shelf(tmp_path / "cache")
    kernel = a_kernel(tmp_path, shelf)
    with pytest.raises(MissingError, match="lab fetch --version 7"):
        build_modules(kernel, None, shelf)
    with pytest.raises(MissingError, match="which was not fetched; build it with the patch"):
        build_modules(kernel, None, Shelf(tmp_path / "other"))


def test_a_patched_arm64_kernel_is_a_whole_kernel_and_foreign_hosts_cannot_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = a_kernel(tmp_path, Shelf(tmp_path / "arm"), "arm64")
    with pytest.raises(MissingError, match="KVM built in: a patched one needs a whole kernel"):
        build_modules(arm, None, Shelf(tmp_path / "arm"))
    monkeypatch.setattr(buildtree, "host_arch", lambda: "arm64")
    shelf = Shelf(tmp_path / "amd")
    with pytest.raises(MissingError, match="built on amd64 machines only"):
        build_modules(a_kernel(tmp_path, shelf), None, shelf)


def fake_tree(shelf: Shelf, makefile: str) -> None:
    """Headers whose Makefile does what a test wants, and a source of two files."""

    def fill(folder: Path) -> dict[str, str]:
        (folder / "common").mkdir()
        (folder / "common/Makefile").write_text(makefile)
        source(folder / "source")
        (folder / "source/arch/x86/kvm").mkdir(parents=True)
        (folder / "source/arch/x86/kvm/Makefile").write_text("include $(srctree)/virt/kvm/M\n")
        return {"common": "common", "flavour": "flavour", "packages": "p"}

    shelf.make(TREES, RELEASE, fill)


COPY = "modules:\n\tcp {made}/*.ko $(M)\n\techo again >> {log}\n"
needs_tools = pytest.mark.skipif(
    not all(map(shutil.which, ("make", "gcc", "ld", "strip"))), reason="not found: make and gcc"
)


@needs_tools
@pytest.mark.slow
def test_a_build_is_kept_and_used_again_for_the_same_content_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buildtree, "host_arch", lambda: "amd64")
    monkeypatch.setitem(build._BINUTILS, "STRIP", "cp")
    shelf = Shelf(tmp_path / "cache")
    kernel = a_kernel(tmp_path, shelf)
    made, log = tmp_path / "made", tmp_path / "log"
    made.mkdir()
    for name in ("kvm", "kvm-amd"):
        (made / f"{name}.ko").write_bytes(module(RELEASE, "irqbypass"))
    fake_tree(shelf, COPY.format(made=made, log=log))
    patch = KernelPatch("my", DIFF)
    built = build_modules(kernel, patch, shelf)
    assert (built.patched, built.rebuilt, built.patch, built.name) == (
        True, True, "my", f"{RELEASE} my",
    )  # fmt: skip
    assert built.modules[0] == kernel.modules[0]
    assert [path.name for path in built.modules] == ["irqbypass.ko", "kvm.ko", "kvm-amd.ko"]
    assert built.modules[1].parent != kernel.modules[1].parent
    assert build_modules(kernel, patch, shelf) == built
    assert log.read_text() == "again\n"
    stock = build_modules(kernel, None, shelf)
    assert (stock.patched, stock.rebuilt, stock.name) == (False, True, f"{RELEASE} stock, rebuilt")
    assert build_modules(kernel, KernelPatch("my", DIFF.replace("added", "other")), shelf)
    assert log.read_text() == "again\n" * 3
    built.modules[1].write_bytes(b"broken")
    assert build_modules(kernel, patch, shelf) == built
    assert log.read_text() == "again\n" * 4


@needs_tools
@pytest.mark.slow
def test_a_patch_that_does_not_compile_is_told_in_the_compilers_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buildtree, "host_arch", lambda: "amd64")
    shelf = Shelf(tmp_path / "cache")
    kernel = a_kernel(tmp_path, shelf)
    fake_tree(shelf, "modules:\n\t@cd $(M)/../../.. && gcc -c virt/kvm/kvm_main.c -Werror\n")
    with pytest.raises(LabError) as caught:
        build_modules(kernel, KernelPatch("my", DIFF), shelf)
    first, *rest = str(caught.value).splitlines()
    assert first.startswith(f"the modules of {RELEASE} do not compile with gcc")
    assert any(line.startswith("  virt/kvm/kvm_main.c:3:") for line in rest)
    assert shelf.names("builds") == []


@needs_tools
@pytest.mark.slow
def test_headers_that_a_patch_changes_come_before_those_of_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buildtree, "host_arch", lambda: "amd64")
    shelf = Shelf(tmp_path / "cache")
    kernel = a_kernel(tmp_path, shelf)
    fake_tree(shelf, f"modules:\n\tcp -r $(M)/../../.. {tmp_path}/seen; false\n")
    new = "--- /dev/null\n+++ b/include/linux/kvm_new.h\n@@ -0,0 +1,1 @@\n+int one;\n"
    with pytest.raises(LabError):
        build_modules(kernel, KernelPatch("my", new), shelf)
    lines = (tmp_path / "seen/arch/x86/kvm/Makefile").read_text().splitlines()
    assert lines == [
        "ccflags-y += -I $(src)/../../../virt/kvm",
        "NOSTDINC_FLAGS += -I$(src)/../../../include",
        "include $(src)/../../../virt/kvm/M",
    ]
    assert (tmp_path / "seen/include/linux/kvm_new.h").read_text() == "int one;\n"


def test_the_compiler_that_the_kernel_was_built_with_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("gcc-14", "gcc", "make", *build._BINUTILS.values()):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{name} (Debian) 14.2.0'\n")
        (tmp_path / name).chmod(0o755)
    config = tmp_path / "config"
    config.write_text('CONFIG_CC_VERSION_TEXT="x86_64-linux-gnu-gcc-14 (Debian) 14.2.0"\n')
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.delenv(build.COMPILER_VARIABLE, raising=False)
    kernel = Kernel(RELEASE, "amd64", tmp_path / "vmlinuz", (), config=config)
    assert find_toolchain(kernel).version == "gcc-14 (Debian) 14.2.0"
    (tmp_path / "gcc-14").unlink()
    if shutil.which("gcc-14") is None:
        assert find_toolchain(kernel).version == "gcc (Debian) 14.2.0"
    monkeypatch.setenv(build.COMPILER_VARIABLE, "no-such-gcc")
    with pytest.raises(MissingError, match="not found: no-such-gcc"):
        find_toolchain(kernel)


def fetched_trees() -> list[Kernel]:
    shelf = Shelf()
    return [k for k in fetched_kernels(shelf, "amd64") if shelf.look(TREES, k.release)]


@pytest.mark.slow
def test_the_patches_of_this_project_apply_to_every_fetched_kernel() -> None:
    kernels = fetched_trees()
    if not kernels:
        pytest.skip("no kernel with its source is fetched (gmemdiff lab fetch)")
    for kernel in kernels:
        tree = find_tree(kernel, Shelf())
        for name in known_patches():
            patch = find_patch(name)
            assert patch is not None
            files = patch_files(tree.source, patch)
            assert all((tree.source / file).read_text() != text for file, text in files.items())

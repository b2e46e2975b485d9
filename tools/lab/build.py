"""``gmemdiff lab build``: KVM's modules with a patch, for a fetched kernel.

Only the modules are built, out of tree, against the kernel's own headers, so that they load in the
stock kernel.  What a patch may change is therefore KVM's own files; all else is a whole kernel.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tools.lab.buildtree import BuildTree, check_buildable, find_tree
from tools.lab.deadline import Deadline
from tools.lab.errors import LabError, MissingError
from tools.lab.kernel_patch import KernelPatch, patch_files
from tools.lab.kernels import BUILDS, Kernel
from tools.lab.modinfo import module_name, release_of
from tools.lab.shelf import Shelf, key_of

SECONDS_MAX: Final = 900
RECIPE: Final = "1"  # change it with what is done here: builds of another recipe are not reused
COMPILER_VARIABLE: Final = "GMEMDIFF_KERNEL_CC"
_KVM: Final = "arch/x86/kvm"
_BUILT: Final = ("kvm", "kvm_amd")
# Options that the kernel's configuration takes for granted and an older compiler may not have.
_NEEDS: Final[Mapping[str, str]] = {
    "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT": "-fmin-function-alignment=16",
}
# Not needed to load: BTF wants pahole and vmlinux, warnings of another compiler say nothing.
_OFF: Final = ("CONFIG_KVM_INTEL", "CONFIG_DEBUG_INFO_BTF_MODULES", "CONFIG_KVM_WERROR")
_BINUTILS: Final[Mapping[str, str]] = {
    "LD": "ld", "AR": "ar", "NM": "nm", "OBJCOPY": "objcopy", "OBJDUMP": "objdump",
    "READELF": "readelf", "STRIP": "strip",
}  # fmt: skip
_ERROR: Final = re.compile(r"\b(?:fatal )?error:|^ERROR:|undefined!")
_UP: Final = re.compile(r"(?:\./)*(?:\.\./)+")  # on the way to a file from where make stands
_SHOWN_MAX: Final = 12


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The compiler's command, and what it says of its version."""

    compiler: str
    version: str


def build_modules(
    kernel: Kernel,
    patch: KernelPatch | None,
    shelf: Shelf | None = None,
    deadline: Deadline | None = None,
) -> Kernel:
    """The kernel with modules that are built from its source, with a patch or (None) without.

    Built once per content.  Raises LabError when the patch does not apply or compile, and
    MissingError when the kernel's headers or a compiler are not there.
    """
    shelf = shelf or Shelf()
    deadline = deadline or Deadline(SECONDS_MAX)
    check_buildable(kernel)
    toolchain = find_toolchain(kernel)
    text, name = (patch.text, patch.name) if patch else ("", "")
    tree = find_tree(kernel, shelf, whole=False)
    key = key_of(RECIPE, kernel.release, kernel.key, tree.key, text, toolchain.version)

    def fill(target: Path) -> dict[str, str]:
        tree = find_tree(kernel, shelf)
        files = patch_files(tree.source, patch) if patch else {}
        (target / "patch.diff").write_text(text, encoding="utf-8")
        _Work(kernel, tree, files, toolchain, deadline).build(target)
        return {
            "release": kernel.release, "arch": kernel.arch, "patch": name,
            "compiler": toolchain.version,
        }  # fmt: skip

    entry = shelf.make(BUILDS, f"{kernel.release}-{key}", fill)
    modules = tuple(
        entry.folder / path.name if module_name(path) in _BUILT else path for path in kernel.modules
    )
    key = key_of(kernel.key, *entry.files.values())
    return replace(kernel, modules=modules, extra={}, patch=name, rebuilt=True, key=key)


def find_toolchain(kernel: Kernel) -> Toolchain:
    """A compiler for modules: the one that the kernel was built with, else gcc.

    Raises MissingError.
    """
    chosen = os.environ.get(COMPILER_VARIABLE)
    wanted = [chosen] if chosen else [*_own_compiler(kernel), "gcc"]
    for tool in ("make", *_BINUTILS.values()):
        if shutil.which(tool) is None:
            raise MissingError(f"not found: {tool}; install it (apt install make binutils)")
    for name in wanted:
        path = shutil.which(name)
        if path is None:
            continue
        done = subprocess.run([path, "--version"], capture_output=True, text=True)
        if done.returncode == 0 and done.stdout:
            return Toolchain(path, done.stdout.splitlines()[0])
    raise MissingError(f"not found: {' or '.join(wanted)}; install it (apt install gcc)")


def _own_compiler(kernel: Kernel) -> list[str]:
    """The name of the compiler in the kernel's configuration, such as gcc-14."""
    text = kernel.config.read_text(errors="replace") if kernel.config else ""
    match = re.search(r'^CONFIG_CC_VERSION_TEXT="(\S+)', text, re.M)
    return [match[1], match[1].rsplit("linux-gnu-", 1)[-1]] if match else []


@dataclass(frozen=True, slots=True)
class _Work:
    """One build.  files: patched files by path from the top of the kernel's source."""

    kernel: Kernel
    tree: BuildTree
    files: Mapping[str, str]
    toolchain: Toolchain
    deadline: Deadline

    def build(self, target: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="gmemdiff-") as temporary:
            top = Path(temporary)
            self._lay_out(top)
            self._make(top)
            for name in _BUILT:
                self._keep(top / _KVM / f"{name.replace('_', '-')}.ko", target)

    def _lay_out(self, top: Path) -> None:
        """KVM's files, patched; of the headers only those that the patch changes."""
        for folder in (_KVM, "virt/kvm"):
            shutil.copytree(self.tree.source / folder, top / folder)
        for file, text in self.files.items():
            (top / file).parent.mkdir(parents=True, exist_ok=True)
            (top / file).write_text(text, encoding="utf-8")
        makefile = top / _KVM / "Makefile"
        text = makefile.read_text()
        text = text.replace("$(srctree)/arch/x86/kvm", "$(src)")
        text = text.replace("$(srctree)/virt/kvm", "$(src)/../../../virt/kvm")
        # The trace headers are found relative to virt/kvm.  Headers of a patch come before those
        # of the kernel, and NOSTDINC_FLAGS is the one variable that stands before them.
        lines = ["ccflags-y += -I $(src)/../../../virt/kvm"]
        for folder in ("arch/x86/include/uapi", "arch/x86/include", "include/uapi", "include"):
            if (top / folder).is_dir():
                lines.append(f"NOSTDINC_FLAGS += -I$(src)/../../../{folder}")
        makefile.write_text("\n".join([*lines, text]))

    def _make(self, top: Path) -> None:
        command = [
            "make", "--no-print-directory", f"-j{len(os.sched_getaffinity(0))}",
            "-C", str(self.tree.common), f"O={self.tree.flavour}", f"M={top / _KVM}",
            f"KERNELRELEASE={self.kernel.release}", "CROSS_COMPILE=",
            f"CC={self.toolchain.compiler}",
            *(f"{variable}={tool}" for variable, tool in _BINUTILS.items()),
            "DEBIAN_KERNEL_NO_CC_VERSION_CHECK=y",
            *(f"{option}=" for option in (*_OFF, *self._lacking())),
            "modules",
        ]  # fmt: skip
        environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "ARCH")}
        done = self.deadline.run(command, env=environment)
        if done.returncode:
            raise LabError(self._compile_error(done.stdout + done.stderr, top))

    def _lacking(self) -> list[str]:
        """Configured options that this compiler does not have."""
        lacking = []
        for option, flag in _NEEDS.items():
            command = [
                self.toolchain.compiler,
                flag,
                "-x",
                "c",
                "-c",
                "/dev/null",
                "-o",
                "/dev/null",
            ]
            if subprocess.run(command, capture_output=True).returncode:
                lacking.append(option)
        return lacking

    def _compile_error(self, output: str, top: Path) -> str:
        lines = [_UP.sub("", line.replace(f"{top}/", "")) for line in output.splitlines()]
        told = [line for line in lines if _ERROR.search(line)] or lines[-_SHOWN_MAX:]
        shown = "\n".join(f"  {line}" for line in dict.fromkeys(told[:_SHOWN_MAX]))
        return (
            f"the modules of {self.kernel.release} do not compile with "
            f"{self.toolchain.version}:\n{shown}"
        )

    def _keep(self, module: Path, target: Path) -> None:
        kept = target / module.name
        command = ["strip", "--strip-debug", "-o", str(kept), str(module)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"{module.name} cannot be stripped: {done.stderr.strip()}")
        built_for = release_of(kept.read_bytes(), module.name)
        if built_for != self.kernel.release:
            raise LabError(f"{module.name} was built for {built_for}, not {self.kernel.release}")

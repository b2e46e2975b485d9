"""QEMU's command line for a kernel and an MMU flavour."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fuzz.vocabulary import PAGE
from tools.lab.boot import Drive, Machine
from tools.lab.emulator import Emulator
from tools.lab.errors import LabError
from tools.lab.kernels import AMD64, ARM64, Kernel

MMUS: Final = ("tdp", "direct", "shadow")  # of x86
ARM_MMU: Final = "arm64"
ALL_MMUS: Final = (*MMUS, ARM_MMU)
TCG: Final = "tcg"
KVM: Final = "kvm"
ACCELS: Final = (TCG, KVM)
MEMORY_MB: Final = 1024
SWAP_MB: Final = 64

# Module -> parameters, by MMU flavour; a kernel with KVM built in gets them on its command line.
_PARAMETERS: Final = {
    "tdp": {},
    "direct": {"kvm": "tdp_mmu=0"},
    "shadow": {"kvm-amd": "npt=0"},
    ARM_MMU: {},
}
# The way out of the executor where there is no port for it (executor/output.c).
_VIRTIO_CONSOLE: Final = (
    "-chardev", "stdio,id=out,signal=off", "-device", "virtio-serial-pci",
    "-device", "virtconsole,chardev=out",
)  # fmt: skip
# The kernel's own watchdogs measure real time, which a shared host takes away.
_COMMAND_LINE: Final = (
    "panic=-1 oops=panic quiet norandmaps nowatchdog rcupdate.rcu_cpu_stall_suppress=1 "
    "numa_balancing=disable transparent_hugepage=never"
)


def machine_for(
    kernel: Kernel, emulator: Emulator, mmu: str, accel: str = TCG, cpus: int = 1
) -> Machine:
    """How to boot this kernel.  Raises LabError when kernel, emulator and MMU do not fit."""
    if mmu not in ALL_MMUS:
        raise LabError(f"'{mmu}' is no MMU flavour of the lab; choose {', '.join(ALL_MMUS)}")
    arch = ARM64 if mmu == ARM_MMU else AMD64
    if kernel.arch != arch or emulator.arch != arch:
        raise LabError(
            f"--mmu {mmu} wants a kernel and QEMU for {arch}: the kernel {kernel.release} is for "
            f"{kernel.arch}, {emulator.argv[0]} for {emulator.arch}"
        )
    options = _arm64(accel) if arch == ARM64 else _amd64(accel)
    argv = [
        *emulator.argv, *options, "-m", str(MEMORY_MB), "-smp", str(cpus), *_nodes(cpus),
        "-display", "none", "-nodefaults", "-no-reboot", "-kernel", str(kernel.vmlinuz), "-append",
        command_line(kernel, mmu, cpus),
    ]  # fmt: skip
    channel = _VIRTIO_CONSOLE if arch == ARM64 else ("-debugcon", "stdio")
    drive = Drive(swap_image(), SWAP_MB << 20, swap_options)
    return Machine(tuple(argv), dict(emulator.env), channel, drive=drive)


def _nodes(cpus: int) -> tuple[str, ...]:
    """Two NUMA nodes, the second one of memory only, so that a page can migrate."""
    words: list[str] = []
    for node in (0, 1):
        words += ["-object", f"memory-backend-ram,id=node{node},size={MEMORY_MB // 2}M"]
        where = f",cpus=0-{cpus - 1}" if node == 0 else ""
        words += ["-numa", f"node,nodeid={node},memdev=node{node}{where}"]
    return tuple(words)


def swap_options(image: Path) -> tuple[str, ...]:
    """An NVMe drive, which distribution kernels drive without a module."""
    return (
        "-drive", f"file={image},if=none,id=swap,format=raw,cache=unsafe",
        "-device", "nvme,drive=swap,serial=swap",
    )  # fmt: skip


def swap_image() -> bytes:
    """The first page of swap space: its header (union swap_header, include/linux/swap.h).

    The file is to be as long as SWAP_MB; what follows the header is a hole.
    """
    page = bytearray(PAGE)
    info = (1, SWAP_MB * (1 << 20) // PAGE - 1, 0)  # version, last page, bad pages
    page[1024 : 1024 + 12] = b"".join(value.to_bytes(4, "little") for value in info)
    page[-10:] = b"SWAPSPACE2"
    return bytes(page)


def command_line(kernel: Kernel, mmu: str, cpus: int = 1) -> str:
    """The kernel's.  Where threads race, tasks may also be preempted inside the kernel."""
    words = [_COMMAND_LINE, "preempt=full" if cpus > 1 else ""]
    words.append("console=ttyAMA0" if mmu == ARM_MMU else "console=ttyS0 mitigations=off")
    words.append("" if mmu == ARM_MMU else "tsc=reliable")
    if not kernel.modules:
        words += [
            f"{module.replace('-', '_')}.{value}" for module, value in _PARAMETERS[mmu].items()
        ]
    return " ".join(word for word in words if word)


def module_order(kernel: Kernel, mmu: str) -> list[str]:
    """Lines of a module's file name and its parameters, in the order of loading."""
    return [
        f"{path.name} {_PARAMETERS[mmu].get(path.name.split('.')[0], '')}".rstrip()
        for path in kernel.modules
    ]


def _amd64(accel: str) -> tuple[str, ...]:
    """TCG emulates AMD's SVM with nested paging; LA57 only costs time."""
    if accel == KVM:
        return ("-accel", "kvm", "-cpu", "host")
    return ("-accel", "tcg,thread=multi", "-cpu", "max,+svm,-la57")


def _arm64(accel: str) -> tuple[str, ...]:
    if accel == KVM:
        raise LabError("--accel kvm: nested virtualisation on arm64 hosts is not supported here")
    return (
        "-accel", "tcg,thread=multi", "-M", "virt,virtualization=on,gic-version=3",
        "-cpu", "cortex-a76",
    )  # fmt: skip

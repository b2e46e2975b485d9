"""``gmemdiff lab fetch``, ``build`` and ``list``: kernels and QEMU, and what is there of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Final

import click

from tools import exits
from tools.commands.options import json_option
from tools.lab.build import SECONDS_MAX as BUILD_SECONDS_MAX
from tools.lab.build import build_modules
from tools.lab.buildtree import fetch_tree
from tools.lab.deadline import Deadline
from tools.lab.errors import MissingError
from tools.lab.fetch import SECONDS_MAX, Fetcher, fetch_emulator, fetch_kernel
from tools.lab.inventory import SERIES, cached_bytes, inventory
from tools.lab.kernel_patch import SEED, find_patch
from tools.lab.kernels import AMD64, ARCHES, Kernel, fetched_kernels, find_kernel
from tools.lab.shelf import Shelf
from tools.lab.sources import KERNEL_SUITES

_MIB: Final = 1 << 20
_ARCH = click.option(
    "--arch", type=click.Choice(ARCHES), default=AMD64, show_default=True, help="Of the kernels."
)


def _max_time(default: int) -> Callable[[Callable[..., int]], Callable[..., int]]:
    return click.option(
        "--max-time",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        metavar="SECONDS",
        help="Give up after this long; what is complete is kept.",
    )


@click.command(name="fetch")
@click.option(
    "--version", "versions", multiple=True, metavar="VERSION",
    help=f"7.2, 7.2.12 or a whole release; the newest there is. [default: {', '.join(SERIES)}]",
)  # fmt: skip
@_ARCH
@click.option(
    "--suite", "suites", multiple=True, metavar="NAME",
    help=f"Debian suites to look in. [default: {', '.join(KERNEL_SUITES)}]",
)  # fmt: skip
@click.option("--qemu", "only_qemu", is_flag=True, help="QEMU only.")
@click.option("--boot-only", is_flag=True, help="No headers and source: enough to run, not build.")
@_max_time(SECONDS_MAX)
def lab_fetch(
    versions: tuple[str, ...],
    arch: str,
    suites: tuple[str, ...],
    only_qemu: bool,
    boot_only: bool,
    max_time: int,
) -> int:
    """Fetch kernels and QEMU from the distribution's packages.

    No root is needed, nothing is installed, and the machine's package state stays as it is: all
    is unpacked in the cache folder.  QEMU is fetched only when none is installed.

    Exit code: 0 all there, 4 something cannot be had (no network, no such version).
    """
    fetcher = Fetcher(Shelf(), Deadline(max_time), suites or KERNEL_SUITES, click.echo)
    steps: list[Callable[[], None]] = [partial(_fetch_qemu, fetcher, arch)]
    for version in () if only_qemu else versions or SERIES:
        steps.append(partial(_fetch_kernel, fetcher, version, arch, boot_only))
    return exits.worst(map(_try, steps))


def _try(step: Callable[[], None]) -> int:
    """Do one of several things; that one cannot be had does not keep the others away."""
    try:
        step()
    except MissingError as error:
        click.echo(f"skipped: {error}", err=True)
        return exits.SKIPPED
    return exits.CLEAN


def _fetch_qemu(fetcher: Fetcher, arch: str) -> None:
    emulator = fetch_emulator(fetcher, arch)
    where = "installed" if emulator.installed else "fetched"
    click.echo(f"QEMU {emulator.version} for {arch}: {where}, {emulator.argv[0]}")


def _fetch_kernel(fetcher: Fetcher, version: str, arch: str, boot_only: bool) -> None:
    kernel = fetch_kernel(fetcher, version, arch)
    click.echo(f"kernel {kernel.release} for {arch}: {kernel.vmlinuz.parent}")
    if arch == AMD64 and not boot_only:
        tree = fetch_tree(fetcher, kernel)
        click.echo(f"headers and source of {kernel.release}: {tree.source.parent}")


@click.command(name="build")
@click.option(
    "--patch", "patch_name", default=SEED, show_default=True, metavar="NAME|FILE",
    help="A unified diff of the kernel; 'none' builds the stock source.",
)  # fmt: skip
@click.option(
    "--kernel", "versions", multiple=True, metavar="VERSION",
    help="Fetched kernels. [default: the newest of each series that is fetched]",
)  # fmt: skip
@_max_time(BUILD_SECONDS_MAX)
def lab_build(patch_name: str, versions: tuple[str, ...], max_time: int) -> int:
    """Build KVM's modules with a patch, for fetched kernels.

    They load in the stock kernel.  The patch may change arch/x86/kvm, virt/kvm and KVM's own
    headers.  A build is kept, and is used again for the same patch, kernel and compiler.

    Exit code: 0 built, 2 the patch does not apply or compile, 4 something is not there.
    """
    patch = find_patch(patch_name)
    shelf, deadline = Shelf(), Deadline(max_time)
    for kernel in _chosen(shelf, versions):
        built = build_modules(kernel, patch, shelf, deadline)
        click.echo(f"{built.name}: {', '.join(str(path) for path in built.modules)}")
    return exits.CLEAN


def _chosen(shelf: Shelf, versions: tuple[str, ...]) -> list[Kernel]:
    if versions:
        return [find_kernel(version, AMD64, shelf) for version in versions]
    there = fetched_kernels(shelf, AMD64)
    if not there:
        raise MissingError("no kernel is fetched; run: gmemdiff lab fetch")
    newest = {kernel.version: kernel for kernel in there}
    return list(newest.values())


@click.command(name="list")
@json_option
def lab_list(as_json: bool) -> int:
    """Say what the lab has here and what it lacks, with the checksums of all files looked at.

    Exit code: always 0.
    """
    shelf = Shelf()
    items = inventory(shelf)
    if as_json:
        click.echo(json.dumps([asdict(item) for item in items], indent=2))
        return exits.CLEAN
    for item in items:
        mark = "ok" if item.ok else "--"
        click.echo(f"{mark}  {item.kind:<7} {item.name:<26} {item.arch:<6} {item.state}")
    click.echo(f"cache: {shelf.root}, {cached_bytes(shelf) / _MIB:.0f} MiB")
    return exits.CLEAN

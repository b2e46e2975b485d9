"""What of a program a real kernel can be asked for, and for the rest, why not.

A program is expressible when every op of it is.  What is not is never left out silently: the
program as a whole is not run, and each reason is told once, with the first op that it holds for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from fuzz.vocabulary import MEM_FLAGS, OPS, PAGE, SETUP, VMS, Op, Program
from reference.uapi import TASK_SIZE
from tools.lab.case import SERIAL, THREADS, Case
from tools.lab.orders import ORDERS_MAX, serial_orders

# As in executor/lab.h.
OPS_MAX: Final = 512
VCPUS_MAX: Final = 8
CACHES_MAX: Final = 4
KVMS_VALUE: Final = 1  # what KVM writes through a gfn_to_pfn cache, to the first byte of the page
PRIVATE_SLOT: Final = 32700
PRIVATE_GPA: Final = 0xD000_0000
PRIVATE_SIZE: Final = (6 << 20) + PAGE  # on arm64, the page behind the slot ends guest code
PRIVATE_HVA: Final = 0x6000_0000_0000
BITMAP_PAGES_MAX: Final = 8 << 20
LOW_END: Final = 4 << 20  # nothing of the executor lies below
LOW_OWN_END: Final = 1 << 30  # the executor's code and data lie below
GFN_MAX: Final = 1 << 28  # guest physical addresses of the emulated processor have 40 bits
NESTED_GFN_MAX: Final = 1 << 20
_U32: Final = 1 << 32
_U64: Final = 1 << 64

# Ops that the executor carries out; the table in executor/ops.c.
_EXECUTED: Final = """
    create_gmem close fallocate set_region set_region1 get_dirty_log clear_dirty_log
    enable_manual_dirty_log set_attributes pre_fault mmap munmap mremap mprotect madvise mbind
    fork child_exit clear_refs pagemap_scan uffd_wp move_pages migrate memory_failure gmem_failure
    exit_mm gpc_activate gpc_activate_hva gpc_refresh gpc_write gpc_deactivate
    mlock msync user_read user_write read write guest_flush stat nop
"""
EXECUTED: Final = frozenset(_EXECUTED.split())
_INSIDE_KVM: Final = "KVM does this on its own behalf; no interface asks for it with a free value"
_GLOBAL: Final = "the kernel does this to all memory at a time of its choice"
_NO_PAGE_IDLE: Final = (
    "distributions leave CONFIG_IDLE_PAGE_TRACKING out, and DAMON samples when it likes"
)
WHY_NOT: Final = {
    "fail_next": "a stock kernel lets no single allocation fail on demand",
    "kvm_read": _INSIDE_KVM,
    "kvm_write": _INSIDE_KVM,
    "gpc_read": _INSIDE_KVM,
    "numa_scan": _GLOBAL,
    "compact": _GLOBAL,
    "ksm": _GLOBAL,
    "reclaim": _GLOBAL,
    "clear_young": _NO_PAGE_IDLE,
    "test_young": _NO_PAGE_IDLE,
    "clear_flush_young": _GLOBAL,
    "oom_reap": "the OOM reaper works on a process that is being killed",
}
_NO_CACHES: Final = "arm64 has no gfn_to_pfn caches"
X86_ONLY: Final = {name: _NO_CACHES for name in OPS if name.startswith("gpc_")}
NO_NESTED: Final = {
    "arm64": "the emulated arm64 machine has no nested virtualisation for guests",
    "shadow": "without nested paging KVM offers its guests none, and shadows no nested tables",
}
_RANGES: Final = {  # op -> places of (start, length) pairs in its arguments
    "mmap": ((0, 1),),
    "munmap": ((0, 1),),
    "mremap": ((0, 1), (3, 2)),
    "mprotect": ((0, 1),),
    "madvise": ((0, 1),),
    "mbind": ((0, 1),),
    "uffd_wp": ((0, 1),),
    "pagemap_scan": ((0, 1),),
    "mlock": ((0, 1),),
    "msync": ((0, 1),),
}
_REFUSED_BEYOND_TASK_SIZE: Final = ("mmap", "munmap", "mremap")
# 32-bit fields of the interfaces; a wider value of the model would be cut.
_NARROW: Final = {
    "fallocate": (1,),
    "set_region": (4,),
    "set_region1": (4,),
    "clear_dirty_log": (2,),
}


def reasons(program: Program, mmu: str = "") -> tuple[str, ...]:
    """Why a program cannot run on a real kernel; empty when it can.

    mmu: the lab's flavour that it is to run on, when it is not the program's own.
    """
    flavour = mmu or program.profile.mmu.removeprefix("x86-")
    found: dict[str, str] = {}
    for where, op in _ops(program):
        why_not = _reasons_of(op)
        if flavour == "arm64" and op.name in X86_ONLY:
            why_not = iter((X86_ONLY[op.name],))
        elif flavour in NO_NESTED and _has(op, "l2"):
            why_not = iter((NO_NESTED[flavour],))
        elif flavour == "arm64" and _has(op, "smm"):
            why_not = iter(("arm64 has no system management mode",))
        for why in why_not:
            found.setdefault(why, f"{where} {op.name}: {why}")
    told = list(found.values())
    count = sum(1 for _ in _ops(program))
    if count > OPS_MAX:
        told.append(f"{count} ops are more than the executor's {OPS_MAX}")
    if program.vcpus > VCPUS_MAX:
        told.append(f"{program.vcpus} vCPUs are more than the executor's {VCPUS_MAX}")
    assert program.vm in VMS
    return tuple(told)


def _ops(program: Program) -> Iterator[tuple[str, Op]]:
    for i, op in enumerate(program.setup):
        yield f"{SETUP}[{i}]", op
    for actor in program.actors:
        for i, op in enumerate(actor.ops):
            yield f"{actor.name}[{i}]", op


def _reasons_of(op: Op) -> Iterator[str]:
    if op.name not in EXECUTED:
        yield WHY_NOT.get(op.name, "the executor does not do this")
        return
    if any(op.args[at] >= _U32 for at in _NARROW.get(op.name, ())):
        yield "the kernel's field has 32 bits"
    check = _CHECKS.get(op.name)
    if check is not None:
        yield from check(op)
    for start, length in _RANGES.get(op.name, ()):
        hva, size = op.args[start], op.args[length]
        if hva + size > TASK_SIZE and op.name in _REFUSED_BEYOND_TASK_SIZE:
            continue  # an error before anything happens
        if size and _is_own(hva, hva + size) and (start == 0 or hva):
            yield "the range reaches into the executor's own memory"


def _is_own(start: int, end: int) -> bool:
    """Whether user addresses [start, end) meet what the executor itself lives in."""
    start, end = start // PAGE * PAGE, min(-(-end // PAGE) * PAGE, _U64)
    low = start < LOW_OWN_END and end > LOW_END
    return low or (start < TASK_SIZE and end > PRIVATE_HVA)


def _has(op: Op, name: str) -> bool:
    """Whether an argument of this name is there and not 0."""
    args = zip(OPS[op.name].args, op.args, strict=True)
    return any(arg.name == name and value for arg, value in args)


def _check_region(op: Op) -> Iterator[str]:
    slot, gpa, size, hva, flags = op.args[:5]
    space = op.args[-1]
    if slot + (space << 16) >= _U32:
        yield "the kernel's slot field has 32 bits"
    elif slot & 0xFFFF == PRIVATE_SLOT:
        yield f"slot {PRIVATE_SLOT} is the executor's own"
    if gpa < PRIVATE_GPA + PRIVATE_SIZE and gpa + size > PRIVATE_GPA:
        yield "the slot meets the guest memory that the executor's code is in"
    if size and _is_own(hva, hva + size):
        yield "the slot shows the executor's own memory"
    if flags & MEM_FLAGS["LOG_DIRTY"] and size // PAGE > BITMAP_PAGES_MAX:
        yield f"the executor has no room for a dirty bitmap of {size // PAGE} pages"


def _check_access(op: Op) -> Iterator[str]:
    spec = OPS[op.name]
    values = {arg.name: value for arg, value in zip(spec.args, op.args, strict=True)}
    gfn = values["gfn"]
    if gfn >= GFN_MAX:
        yield "the emulated processor has 40 bits of guest physical addresses"
    if PRIVATE_GPA <= gfn * PAGE < PRIVATE_GPA + PRIVATE_SIZE:
        yield "the executor's own guest code is there"
    if values["smm"] > 1:
        yield "there are two address spaces"
    if values["smm"] and values["l2"]:
        yield "the executor's nested guest has no system management mode"
    if values["l2"] and gfn >= NESTED_GFN_MAX:
        yield "the executor's nested guest has 32 bits of addresses"


def _check_user_access(op: Op) -> Iterator[str]:
    if _is_own(op.args[0], op.args[0] + 1):
        yield "the address is in the executor's own memory"


def _check_cache(op: Op) -> Iterator[str]:
    if op.args[0] >= CACHES_MAX:
        yield f"the executor has {CACHES_MAX} gfn_to_pfn caches"
    if op.name.startswith("gpc_activate") and op.args[1] % PAGE:
        yield "Xen's pages are shorter than a page, and may begin inside one"
    if op.name == "gpc_activate_hva" and not op.args[1]:
        yield "Xen's pages are switched off by the address 0"
    if op.name == "gpc_activate_hva" and _is_own(op.args[1], op.args[1] + 1):
        yield "the address is in the executor's own memory"
    if op.name == "gpc_write" and op.args[1] != KVMS_VALUE:
        yield f"KVM writes {KVMS_VALUE} there and nothing else"


_CHECKS: Final[dict[str, Callable[[Op], Iterator[str]]]] = {
    "set_region": _check_region,
    "set_region1": _check_region,
    "read": _check_access,
    "write": _check_access,
    "user_read": _check_user_access,
    "user_write": _check_user_access,
    "gpc_activate": _check_cache,
    "gpc_activate_hva": _check_cache,
    "gpc_refresh": _check_cache,
    "gpc_write": _check_cache,
    "gpc_deactivate": _check_cache,
}


def with_kvms_values(program: Program) -> Program:
    """The program with every use of a gfn_to_pfn cache made a write of what KVM would write.

    A finding is about which page is used, not about the value, nor whether it is read or written:
    this makes more of them expressible.
    """

    def change(ops: tuple[Op, ...]) -> tuple[Op, ...]:
        return tuple(
            Op("gpc_write", (op.args[0], KVMS_VALUE))
            if op.name in ("gpc_read", "gpc_write")
            else op
            for op in ops
        )

    actors = tuple(replace(actor, ops=change(actor.ops)) for actor in program.actors)
    return replace(program, setup=change(program.setup), actors=actors)


def serial_cases(name: str, program: Program, limit: int = ORDERS_MAX) -> tuple[Case, ...]:
    """A case for each serial order that the schedule allows; expressible programs only."""
    orders = serial_orders(program, limit)
    if len(orders) == 1:
        return (Case(name, program, orders[0], SERIAL),)
    return tuple(
        Case(f"{name} order {i}", program, order, SERIAL) for i, order in enumerate(orders, start=1)
    )


def threads_case(name: str, program: Program, repeat: int) -> Case:
    """The program as threads, repeated; order is only that in which results are told."""
    return Case(f"{name} threads", program, serial_orders(program, 1)[0], THREADS, repeat)

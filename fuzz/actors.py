"""From an Op to the model generator that carries it out.

One small function per op name: it turns the program's values (bytes, names) into the model's
(pages) and holds what the kernel's ioctl and system call entry would hold.  Results are
integers (0 or more, or a negative errno) or short strings (a signal, "MMIO", an errno name).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fuzz.vocabulary import ADVICE, FAILURES, OPS, STATS, Op
from reference.kvm import Kvm
from reference.memslots import UserRegion
from reference.primitives import Steps, Task
from reference.state import Vcpu
from reference.uapi import EIO, ERRNO_NAMES, PAGE_SHIFT

Result = int | str


def _set_region(
    kvm: Kvm,
    _vcpu: Vcpu | None,
    slot: int,
    gpa: int,
    size: int,
    hva: int,
    flags: int,
    fd: int,
    offset: int,
    as_id: int,
) -> Steps[Result]:
    mem = UserRegion(slot, as_id, flags, gpa, size, hva, fd, offset)
    return kvm.kvm_vm_ioctl_set_memory_region(mem, 2)


def _set_region1(
    kvm: Kvm, _vcpu: Vcpu | None, slot: int, gpa: int, size: int, hva: int, flags: int, as_id: int
) -> Steps[Result]:
    mem = UserRegion(slot, as_id, flags, gpa, size, hva, -1, 0)
    return kvm.kvm_vm_ioctl_set_memory_region(mem, 1)


def _numa_scan(kvm: Kvm, _vcpu: Vcpu | None, hva: int, length: int) -> Steps[Result]:
    end = (hva + length + 4095) >> PAGE_SHIFT
    return kvm.numa_scan(hva >> PAGE_SHIFT, end)


def _in_srcu(kvm: Kvm, vcpu: Vcpu, steps: Any) -> Steps[Result]:
    """KVM's own work on behalf of a vCPU that has exited: SRCU is held throughout."""
    kvm.vcpu_exit(vcpu)
    result: Result = yield from steps
    kvm.srcu.read_unlock()
    return result


def _fail_next(kvm: Kvm, what: str) -> Result:
    kvm.fail.add(what)
    return 0


# What carries out each op: (kvm, the vCPU if the actor is one, *values) -> a generator, or at once
# the result of an op that is one atomic step.
_START: Final[dict[str, Callable[..., Any]]] = {
    # VMM tasks
    "create_gmem": lambda k, _, fd, size, flags: k.kvm_gmem_create(fd, size, flags),
    "close": lambda k, _, fd: k.kvm_gmem_close(fd),
    "msync": lambda k, _, hva, length: k.do_msync(hva, length),
    "child_exit": lambda k, _: k.child_exit(),
    "enable_manual_dirty_log": lambda k, _, init: k.enable_manual_dirty_log(bool(init)),
    "fallocate": lambda k, _, fd, mode, offset, size: k.kvm_gmem_fallocate(fd, mode, offset, size),
    "set_region": _set_region,
    "set_region1": _set_region1,
    "get_dirty_log": lambda k, _, slot, as_id: k.kvm_vm_ioctl_get_dirty_log(slot, as_id),
    "clear_dirty_log": lambda k, _, slot, first, num, bits, as_id: k.kvm_vm_ioctl_clear_dirty_log(
        slot, first, num, bits, as_id
    ),
    "set_attributes": lambda k, _, gpa, size, attrs, flags: k.kvm_vm_ioctl_set_mem_attributes(
        gpa, size, attrs, flags
    ),
    "mmap": lambda k, _, hva, size, fd, offset, prot, share: k.do_mmap(
        hva, size, fd, offset, prot, share == 1
    ),
    "munmap": lambda k, _, hva, size: k.do_munmap(hva, size),
    "mremap": lambda k, _, hva, size, new, to: k.do_mremap(hva, size, new, to),
    "mprotect": lambda k, _, hva, size, prot: k.do_mprotect(hva, size, prot),
    "madvise": lambda k, _, hva, size, advice: k.do_madvise(hva, size, ADVICE[advice]),
    "mbind": lambda k, _, hva, size, policy: k.do_mbind(hva, size, policy),
    "uffd_wp": lambda k, _, hva, size, wp_async: k.uffd_writeprotect(hva, size, bool(wp_async)),
    "clear_refs": lambda k, _: k.clear_refs_write(),
    "pagemap_scan": lambda k, _, hva, size: k.do_pagemap_scan(hva, size),
    "mlock": lambda k, _, hva, size: k.do_mlock(hva, size),
    "fork": lambda k, _: k.do_fork(),
    "move_pages": lambda k, _, hva: k.do_pages_move(hva >> PAGE_SHIFT),
    "user_read": lambda k, _, hva: k.user_access(hva >> PAGE_SHIFT, False, 0),
    "user_write": lambda k, _, hva, value: k.user_access(hva >> PAGE_SHIFT, True, value),
    "numa_scan": _numa_scan,
    "migrate": lambda k, _, hva: k.migrate_page(hva >> PAGE_SHIFT),
    "compact": lambda k, _, hva: k.compact_page(hva >> PAGE_SHIFT),
    "reclaim": lambda k, _, hva: k.reclaim_page(hva >> PAGE_SHIFT, check_young=True),
    "ksm": lambda k, _, hva, other: k.ksm_merge(hva >> PAGE_SHIFT, other >> PAGE_SHIFT),
    "memory_failure": lambda k, _, hva: k.memory_failure_at(hva >> PAGE_SHIFT),
    "gmem_failure": lambda k, _, fd, offset: k.memory_failure_gmem(fd, offset),
    "clear_young": lambda k, _, hva: k.age_page(hva >> PAGE_SHIFT, "clear"),
    "test_young": lambda k, _, hva: k.age_page(hva >> PAGE_SHIFT, "test"),
    "clear_flush_young": lambda k, _, hva: k.age_page(hva >> PAGE_SHIFT, "clear_flush"),
    "oom_reap": lambda k, _: k.oom_reap(),
    "exit_mm": lambda k, _: k.exit_mmap(),
    # vCPUs
    "guest_flush": lambda k, v: k.guest_flush(v),
    "read": lambda k, v, gfn, l2, smm: k.kvm_vcpu_run(v, gfn, None, bool(l2), smm),
    "write": lambda k, v, gfn, value, l2, smm: k.kvm_vcpu_run(v, gfn, value, bool(l2), smm),
    "pre_fault": lambda k, v, gpa, size: k.kvm_vcpu_pre_fault_memory(v, gpa, size),
    "kvm_write": lambda k, v, gfn, value: k.kvm_write_guest(v, gfn, value),
    "gpc_activate": lambda k, v, n, gpa: _in_srcu(k, v, k.kvm_gpc_activate(n, gpa)),
    "gpc_activate_hva": lambda k, v, n, hva: _in_srcu(k, v, k.kvm_gpc_activate_hva(n, hva)),
    "gpc_refresh": lambda k, v, n: _in_srcu(k, v, k.kvm_gpc_refresh(k.gpc_of(n))),
    "gpc_read": lambda k, v, n: _in_srcu(k, v, k.gpc_use(n, None)),
    "gpc_write": lambda k, v, n, value: _in_srcu(k, v, k.gpc_use(n, value)),
    "gpc_deactivate": lambda k, v, n: _in_srcu(k, v, k.kvm_gpc_deactivate(n)),
    # anybody
    "kvm_read": lambda k, v, gfn: k.kvm_read_guest(v, gfn),
    "fail_next": lambda k, _, what: _fail_next(k, FAILURES[what]),
    "stat": lambda k, _, name: int(getattr(k, STATS[name])),
    "nop": lambda k, _: 0,
}


# Ioctls of a VM that KVM_BUG() has killed answer EIO (kvm_vm_ioctl(), virt/kvm/kvm_main.c).
_KVM_IOCTLS: Final = frozenset(
    {
        "read",
        "write",
        "pre_fault",
        "kvm_write",
        "gpc_activate",
        "gpc_activate_hva",
        "gpc_refresh",
        "gpc_read",
        "gpc_write",
        "gpc_deactivate",
        "create_gmem",
        "set_region",
        "set_region1",
        "get_dirty_log",
        "clear_dirty_log",
        "set_attributes",
        "enable_manual_dirty_log",
    }
)


def start_op(kvm: Kvm, task: Task, vcpu: Vcpu | None, op: Op) -> Steps[Result] | Result:
    """Begin one op of a task (vcpu: the vCPU it is, if any).

    Returns the generator of its steps, or the result of an op that is one atomic step.  A task
    of a dead mm does nothing more; kernel threads find no page there.
    """
    if kvm.mm_dead and (vcpu is not None or task.name.startswith(("vmm", "setup"))):
        return "killed"
    if kvm.dead and op.name in _KVM_IOCTLS:
        return -EIO
    return _START[op.name](kvm, vcpu, *op.args)  # type: ignore[no-any-return]


def result_text(result: Result) -> str:
    """A result as programs and reports write it: a number, or the name of an errno."""
    if isinstance(result, int) and result < 0:
        return ERRNO_NAMES.get(-result, f"errno{-result}")
    return str(result)


assert set(OPS) == set(_START)

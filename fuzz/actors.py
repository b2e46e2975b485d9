"""From an Op to the model generator that carries it out.

One small function per op name: it turns the program's values (bytes, names) into the model's
(pages) and holds what the kernel's ioctl and system call entry would hold.  Results are
integers (0 or more, or a negative errno) or short strings (a signal, "MMIO", an errno name).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final

from fuzz.vocabulary import ADVICE, FAILURES, OPS, STATS, Op
from reference.kvm import Kvm
from reference.memslots import UserRegion
from reference.primitives import Steps, Task, Want
from reference.state import Vcpu
from reference.uapi import EIO, ERRNO_NAMES, PAGE_SHIFT

Result = int | str
Run = Callable[..., "Steps[Result]"]

# Ops that need no step of their own: they are one atomic step.
_ATOMIC: Final[dict[str, Callable[..., Result]]] = {
    "create_gmem": lambda kvm, fd, size, flags: kvm.kvm_gmem_create(fd, size, flags),
    "close": lambda kvm, fd: kvm.kvm_gmem_close(fd),
    "msync": lambda kvm, hva, length: kvm.do_msync(hva, length),
    "child_exit": lambda kvm: kvm.child_exit(),
    "enable_manual_dirty_log": lambda kvm, init: kvm.enable_manual_dirty_log(bool(init)),
    "stat": lambda kvm, name: int(getattr(kvm, STATS[name])),
    "nop": lambda kvm: 0,
}


def _set_region(
    kvm: Kvm, slot: int, gpa: int, size: int, hva: int, flags: int, fd: int, offset: int, as_id: int
) -> Steps[Result]:
    mem = UserRegion(slot, as_id, flags, gpa, size, hva, fd, offset)
    return kvm.kvm_vm_ioctl_set_memory_region(mem, 2)


def _set_region1(
    kvm: Kvm, slot: int, gpa: int, size: int, hva: int, flags: int, as_id: int
) -> Steps[Result]:
    mem = UserRegion(slot, as_id, flags, gpa, size, hva, -1, 0)
    return kvm.kvm_vm_ioctl_set_memory_region(mem, 1)


def _numa_scan(kvm: Kvm, hva: int, length: int) -> Steps[Result]:
    end = (hva + length + 4095) >> PAGE_SHIFT
    return kvm.numa_scan(hva >> PAGE_SHIFT, end)


# Ops of VMM tasks and kernel threads: (kvm, *values) -> generator.
_TASKS: Final[dict[str, Callable[..., Any]]] = {
    "fallocate": lambda k, fd, mode, offset, size: k.kvm_gmem_fallocate(fd, mode, offset, size),
    "set_region": _set_region,
    "set_region1": _set_region1,
    "get_dirty_log": lambda k, slot, as_id: k.kvm_vm_ioctl_get_dirty_log(slot, as_id),
    "clear_dirty_log": lambda k, slot, first, num, bits, as_id: k.kvm_vm_ioctl_clear_dirty_log(
        slot, first, num, bits, as_id
    ),
    "set_attributes": lambda k, gpa, size, attrs, flags: k.kvm_vm_ioctl_set_mem_attributes(
        gpa, size, attrs, flags
    ),
    "mmap": lambda k, hva, size, fd, offset, prot, share: k.do_mmap(
        hva, size, fd, offset, prot, share == 1
    ),
    "munmap": lambda k, hva, size: k.do_munmap(hva, size),
    "mremap": lambda k, hva, size, new, to: k.do_mremap(hva, size, new, to),
    "mprotect": lambda k, hva, size, prot: k.do_mprotect(hva, size, prot),
    "madvise": lambda k, hva, size, advice: k.do_madvise(hva, size, ADVICE[advice]),
    "mbind": lambda k, hva, size, policy: k.do_mbind(hva, size, policy),
    "uffd_wp": lambda k, hva, size, wp_async: k.uffd_writeprotect(hva, size, bool(wp_async)),
    "clear_refs": lambda k: k.clear_refs_write(),
    "pagemap_scan": lambda k, hva, size: k.do_pagemap_scan(hva, size),
    "mlock": lambda k, hva, size: k.do_mlock(hva, size),
    "fork": lambda k: k.do_fork(),
    "move_pages": lambda k, hva: k.migrate_page(hva >> PAGE_SHIFT),
    "user_read": lambda k, hva: k.user_access(hva >> PAGE_SHIFT, False, 0),
    "user_write": lambda k, hva, value: k.user_access(hva >> PAGE_SHIFT, True, value),
    "numa_scan": _numa_scan,
    "migrate": lambda k, hva: k.migrate_page(hva >> PAGE_SHIFT),
    "compact": lambda k, hva: k.compact_page(hva >> PAGE_SHIFT),
    "reclaim": lambda k, hva: k.reclaim_page(hva >> PAGE_SHIFT, check_young=True),
    "ksm": lambda k, hva, other: k.ksm_merge(hva >> PAGE_SHIFT, other >> PAGE_SHIFT),
    "memory_failure": lambda k, hva: k.memory_failure_at(hva >> PAGE_SHIFT),
    "gmem_failure": lambda k, fd, offset: k.memory_failure_gmem(fd, offset),
    "clear_young": lambda k, hva: k.age_page(hva >> PAGE_SHIFT, "clear"),
    "test_young": lambda k, hva: k.age_page(hva >> PAGE_SHIFT, "test"),
    "clear_flush_young": lambda k, hva: k.age_page(hva >> PAGE_SHIFT, "clear_flush"),
    "oom_reap": lambda k: k.oom_reap(),
    "exit_mm": lambda k: k.exit_mmap(),
}


def _in_srcu(kvm: Kvm, vcpu: Vcpu, steps: Any) -> Steps[Result]:
    """KVM's own work on behalf of a vCPU that has exited: SRCU is held throughout."""
    kvm.vcpu_exit(vcpu)
    result: Result = yield from steps
    kvm.srcu.read_unlock()
    return result


# Ops of vCPUs: (kvm, vcpu, *values) -> generator.
_VCPUS: Final[dict[str, Callable[..., Any]]] = {
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
}


# Ioctls of a VM that KVM_BUG() has killed answer EIO (kvm_vm_ioctl(), virt/kvm/kvm_main.c).
_KVM_IOCTLS: Final = frozenset(_VCPUS) | {
    "create_gmem",
    "set_region",
    "set_region1",
    "get_dirty_log",
    "clear_dirty_log",
    "set_attributes",
    "enable_manual_dirty_log",
}


def start_op(
    kvm: Kvm, task: Task, vcpu: Vcpu | None, op: Op
) -> Generator[str | Want, None, Result]:
    """The generator that carries out one op for a task (vcpu: the vCPU it is, if any).

    A task of a dead mm does nothing more; kernel threads find no page there.
    """
    name, args = op.name, op.args
    if kvm.mm_dead and (vcpu is not None or task.name.startswith(("vmm", "setup"))):
        return _value("killed")
    if kvm.dead and name in _KVM_IOCTLS:
        return _value(-EIO)
    if vcpu is not None and name in _VCPUS:
        return _VCPUS[name](kvm, vcpu, *args)  # type: ignore[no-any-return]
    if name in _TASKS:
        return _TASKS[name](kvm, *args)  # type: ignore[no-any-return]
    if name == "guest_flush" and vcpu is not None:
        return _value(kvm.guest_flush(vcpu))
    if name == "kvm_read":
        return kvm.kvm_read_guest(vcpu, *args)
    if name == "fail_next":
        kvm.fail.add(FAILURES[args[0]])
        return _value(0)
    return _value(_ATOMIC[name](kvm, *args))


def _value(result: Result) -> Generator[str | Want, None, Result]:
    """An op that was one atomic step."""
    return result
    yield ""  # makes this a generator


def result_text(result: Result) -> str:
    """A result as programs and reports write it: a number, or the name of an errno."""
    if isinstance(result, int) and result < 0:
        return ERRNO_NAMES.get(-result, f"errno{-result}")
    return str(result)


assert set(OPS) == {*_ATOMIC, *_TASKS, *_VCPUS, "guest_flush", "kvm_read", "fail_next"}

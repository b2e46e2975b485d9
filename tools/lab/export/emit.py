"""From one op to the C that does it: one small function per op, in one table.

Each gives an expression of type long, which is 0 or more, or a negative errno, or RET_*; larger
arguments are set up in lines before it.  `needs` collects what the file must define.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fuzz.vocabulary import (
    ADVICE,
    FD_NONE,
    OPS,
    PAGE,
    POLICIES,
    STATS,
    Op,
)
from tools.lab.export import values
from tools.lab.export.emitter import GFN_OWN, GPCS_MAX, SLOTS_OWN, Emitter, Made
from tools.lab.export.errors import NotExpressibleError
from tools.lab.export.refused import REFUSED


def _create_gmem(e: Emitter, fd: int, size: int, flags: int) -> Made:
    if fd < 0:
        raise NotExpressibleError("create_gmem: the new descriptor has no name")
    e.need("gmem_create")
    e.gmem(fd)
    return f"gmem_create(vm, {fd}, {values.size(size)}, {values.flags(flags, values.GMEM_FLAGS)})"


def _close(e: Emitter, fd: int) -> Made:
    if fd < 0:
        return f"sys_result(close({e.fd(fd) if fd != FD_NONE else '-1'}))"
    e.need("gmem_close")
    e.gmem(fd)
    return f"gmem_close(vm, {fd})"


def _fallocate(e: Emitter, fd: int, mode: int, offset: int, length: int) -> Made:
    e.need("fallocate")
    mode_text = values.flags(mode, values.FALLOC_FLAGS)
    place = f"{values.size(offset)}, {values.size(length)}"
    return f"sys_result(fallocate({e.fd(fd)}, {mode_text}, {place}))"


def _region(
    e: Emitter, slot: int, gpa: int, size: int, hva: int, flags: int, as_id: int, more: list[str]
) -> tuple[str, list[str]]:
    """Fields that both versions of the ioctl have."""
    if slot & 0xFFFF in (SLOTS_OWN, SLOTS_OWN + 1):
        raise NotExpressibleError(f"slot {slot}: the guest's own code has it")
    if size and gpa >> 12 <= GFN_OWN + 0x10000 and (gpa + size) >> 12 > GFN_OWN:
        raise NotExpressibleError("set_region: covers the place of the guest's own code")
    number = f"{slot} | {as_id} << 16" if as_id else str(slot)
    fields = [f".slot = {number},"]
    if flags:
        fields.append(f".flags = {values.flags(flags, values.MEM_FLAGS)},")
    fields += [f".guest_phys_addr = {values.size(gpa)},", f".memory_size = {values.size(size)},"]
    if hva:
        fields.append(f".userspace_addr = {e.hva(hva)},")
    return number, fields + more


def _set_region(
    e: Emitter,
    slot: int,
    gpa: int,
    size: int,
    hva: int,
    flags: int,
    fd: int,
    offset: int,
    as_id: int,
) -> Made:
    e.need("region2")
    more = [f".guest_memfd = {e.fd(fd)},"] if fd != FD_NONE else []
    more += [f".guest_memfd_offset = {values.size(offset)},"] if offset else []
    _, fields = _region(e, slot, gpa, size, hva, flags, as_id, more)
    lines = ["region2 = (struct kvm_userspace_memory_region2) {", *_indented(fields), "};"]
    call = "sys_result(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION2, &region2))"
    return ["struct kvm_userspace_memory_region2 region2;"], lines, call


def _set_region1(
    e: Emitter, slot: int, gpa: int, size: int, hva: int, flags: int, as_id: int
) -> Made:
    if flags & 4:  # the name comes with the second version
        e.need("region2")
    _, fields = _region(e, slot, gpa, size, hva, flags, as_id, [])
    lines = ["region = (struct kvm_userspace_memory_region) {", *_indented(fields), "};"]
    call = "sys_result(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region))"
    return ["struct kvm_userspace_memory_region region;"], lines, call


def _indented(lines: list[str]) -> list[str]:
    return [f"\t{line}" for line in lines]


def _set_attributes(e: Emitter, gpa: int, size: int, attrs: int, flags: int) -> Made:
    e.need("attributes")
    fields = [
        f".address = {values.size(gpa)},",
        f".size = {values.size(size)},",
        f".attributes = {values.flags(attrs, values.ATTR_FLAGS)},",
    ]
    if flags:
        fields.append(f".flags = {flags:#x},")
    lines = ["attributes = (struct kvm_memory_attributes) {", *_indented(fields), "};"]
    call = "sys_result(ioctl(vm->fd, KVM_SET_MEMORY_ATTRIBUTES, &attributes))"
    return ["struct kvm_memory_attributes attributes;"], lines, call


def _get_dirty_log(e: Emitter, slot: int, as_id: int) -> Made:
    e.need("dirty_log")
    return f"get_dirty_log(vm, {slot}{f' | {as_id} << 16' if as_id else ''})"


def _clear_dirty_log(e: Emitter, slot: int, first: int, num: int, bits: int, as_id: int) -> Made:
    e.need("clear_dirty_log")
    number = f"{slot}{f' | {as_id} << 16' if as_id else ''}"
    return f"clear_dirty_log(vm, {number}, {first}, {num}, {bits:#x}UL)"


def _enable_manual(e: Emitter, initially_set: int) -> Made:
    e.need("manual_dirty_log")
    return f"enable_manual_dirty_log(vm, {'KVM_DIRTY_LOG_INITIALLY_SET' if initially_set else 0})"


def _mmap(e: Emitter, hva: int, size: int, fd: int, offset: int, prot: int, share: int) -> Made:
    e.need("mapping")
    kind = "MAP_SHARED" if share else "MAP_PRIVATE"
    if fd == FD_NONE:
        kind, descriptor = f"{kind} | MAP_ANONYMOUS", "-1"
    else:
        descriptor = e.fd(fd)
    prot_text = values.flags(prot, values.PROT_FLAGS) if prot else "PROT_NONE"
    return (
        f"map({e.hva(hva)}, {values.size(size)}, {prot_text}, {kind}, {descriptor}, "
        f"{values.size(offset)})"
    )


def _mremap(e: Emitter, hva: int, size: int, new_size: int, to: int) -> Made:
    e.need("mremap")
    where = f"{values.size(size)}, {values.size(new_size)}, {e.hva(to)}"
    return f"move({e.hva(hva)}, {where})"


def _madvise(e: Emitter, hva: int, size: int, advice: int) -> Made:
    name = ADVICE[advice]
    if name == "HWPOISON" and size != 4096:
        raise NotExpressibleError("madvise HWPOISON: of one page only")
    if name == "HWPOISON":
        e.need("signals")
    for macro, number in (
        ("DONTNEED_LOCKED", 24), ("GUARD_INSTALL", 102), ("GUARD_REMOVE", 103),
        ("POPULATE_WRITE", 23), ("HWPOISON", 100), ("SOFT_OFFLINE", 101), ("COLD", 20),
        ("PAGEOUT", 21),
    ):  # fmt: skip
        if macro == name:
            e.constants[f"MADV_{macro}"] = str(number)
    return f"sys_result(madvise({e.pointer(hva)}, {values.size(size)}, MADV_{name}))"


def _mbind(e: Emitter, hva: int, size: int, policy: int) -> Made:
    e.need("mbind")
    mode = {
        "default": "MPOL_DEFAULT", "bind": "MPOL_BIND",
        "bind_balancing": "MPOL_BIND | MPOL_F_NUMA_BALANCING",
    }[POLICIES[policy]]  # fmt: skip
    e.constants["MPOL_F_NUMA_BALANCING"] = "(1 << 13)"
    return f"bind({e.hva(hva)}, {values.size(size)}, {mode})"


def _uffd_wp(e: Emitter, hva: int, size: int, wp_async: int) -> Made:
    if not wp_async:
        raise NotExpressibleError("uffd_wp async=0: a later write waits for ever")
    e.need("uffd")
    return f"uffd_wp({e.hva(hva)}, {values.size(size)})"


def _pagemap_scan(e: Emitter, hva: int, size: int) -> Made:
    e.need("pagemap_scan")
    return f"pagemap_scan({e.hva(hva)}, {values.size(size)})"


def _named(need: str, text: str) -> Callable[[Emitter], Made]:
    def emit(e: Emitter) -> Made:
        e.need(need)
        return text

    return emit


def _range(call: str, after: str = "") -> Callable[[Emitter, int, int], Made]:
    """A system call that takes an address and a length."""

    def emit(e: Emitter, hva: int, size: int) -> Made:
        return f"sys_result({call}({e.pointer(hva)}, {values.size(size)}{after}))"

    return emit


def _at(need: tuple[str, ...], call: str) -> Callable[[Emitter, int], Made]:
    """A helper that takes an address."""

    def emit(e: Emitter, hva: int) -> Made:
        e.need(*need)
        if "hwpoison" in need:
            e.constants["MADV_HWPOISON"] = "100"
        return f"{call}({e.hva(hva)})"

    return emit


def _mprotect(e: Emitter, hva: int, size: int, prot: int) -> Made:
    prot_text = values.flags(prot, values.PROT_FLAGS) if prot else "PROT_NONE"
    return f"sys_result(mprotect({e.pointer(hva)}, {values.size(size)}, {prot_text}))"


def _user_write(e: Emitter, hva: int, value: int) -> Made:
    e.need("user", "user_write")
    return f"user_write({e.hva(hva)}, {values.word(value)})"


def _gmem_failure(e: Emitter, fd: int, offset: int) -> Made:
    if fd < 0:
        raise NotExpressibleError("gmem_failure: only for a file of this VM")
    e.need("present", "hwpoison", "gmem_hwpoison", "signals")
    e.constants["MADV_HWPOISON"] = "100"
    e.gmem(fd)
    return f"gmem_hwpoison(vm, {fd}, {values.size(offset)})"


def _ksm(e: Emitter, hva: int, other: int) -> Made:
    if hva < other:
        raise NotExpressibleError(
            "ksm: KSM keeps the page that it scans last, at the higher address"
        )
    e.need("ksm")
    return f"ksm_merge({e.hva(hva)}, {e.hva(other)})"


def _gpc(e: Emitter, number: int) -> None:
    """Caches are vCPUs' vcpu_info pages."""
    if number >= GPCS_MAX:
        raise NotExpressibleError(f"gpc={number}: the reproducer has {GPCS_MAX} pfn caches")
    e.gpcs = max(e.gpcs, number + 1)
    e.need("gpc", "sys_result")


def _gpc_activate(e: Emitter, number: int, gpa: int) -> Made:
    _gpc(e, number)
    _whole_page(gpa)
    return f"gpc_start(vm, {number}, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, {values.size(gpa)})"


def _gpc_activate_hva(e: Emitter, number: int, hva: int) -> Made:
    _gpc(e, number)
    _whole_page(hva)
    return f"gpc_start(vm, {number}, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA, {e.hva(hva)})"


def _whole_page(address: int) -> None:
    if address % PAGE:
        raise NotExpressibleError("a pfn cache inside a page: Xen's pages are shorter than a page")


def _gpc_use(e: Emitter, number: int, _value: int = 1) -> Made:
    """A load or a store: KVM stores a value of its own, which shows the page as well."""
    _gpc(e, number)
    e.need("gpc_write")
    return f"gpc_write(vm, {number})"


def _gpc_refresh(e: Emitter, number: int) -> Made:
    _gpc(e, number)
    return f"gpc_refresh(vm, {number})"


def _gpc_deactivate(e: Emitter, number: int) -> Made:
    _gpc(e, number)
    e.need("gpc_stop")
    return f"gpc_stop(vm, {number})"


def _plain_guest(l2: int, smm: int) -> None:
    if l2:
        raise NotExpressibleError("l2=1: the reproducer's guest runs no guest of its own")
    if smm:
        raise NotExpressibleError("smm=1: the reproducer's guest does not enter SMM")


def guest_access(e: Emitter, vcpu: int, op: Op) -> Made:
    """An op of a vCPU.  Raises NotExpressibleError."""
    if op.name == "read":
        gfn, l2, smm = op.args
        _plain_guest(l2, smm)
        e.need("guest_read")
        return f"guest_read(vm, {vcpu}, {e.gfn(gfn)})"
    if op.name == "write":
        gfn, value, l2, smm = op.args
        _plain_guest(l2, smm)
        e.need("guest_write")
        return f"guest_write(vm, {vcpu}, {e.gfn(gfn)}, {values.word(value)})"
    if op.name == "guest_flush":
        e.need("guest_flush")
        return f"guest_flush(vm, {vcpu})"
    gpa, length = op.args
    e.need("pre_fault")
    return f"pre_fault(vm, {vcpu}, {values.size(gpa)}, {values.size(length)})"


GUEST_OPS: Final = frozenset({"read", "write", "guest_flush", "pre_fault"})


def _stat(e: Emitter, number: int) -> Made:
    name = STATS[number]
    if name == "pages_4k":
        return "leaves(vm)"
    e.need("vcpu_stats")
    if name == "remote_tlb_flush":  # KVM's own of that name counts only those that interrupted
        return 'stat_of(vm->stats, "remote_tlb_flush_requests")'
    return f'vcpu_stat(vm, "{name}")'


_EMIT: Final[dict[str, Callable[..., Made]]] = {
    "create_gmem": _create_gmem,
    "close": _close,
    "fallocate": _fallocate,
    "set_region": _set_region,
    "set_region1": _set_region1,
    "get_dirty_log": _get_dirty_log,
    "clear_dirty_log": _clear_dirty_log,
    "enable_manual_dirty_log": _enable_manual,
    "set_attributes": _set_attributes,
    "mmap": _mmap,
    "munmap": _range("munmap"),
    "mremap": _mremap,
    "mprotect": _mprotect,
    "madvise": _madvise,
    "mbind": _mbind,
    "uffd_wp": _uffd_wp,
    "clear_refs": _named("clear_refs", "clear_refs()"),
    "pagemap_scan": _pagemap_scan,
    "mlock": _range("mlock"),
    "msync": _range("msync", ", MS_SYNC"),
    "fork": _named("fork", "fork_child(vm)"),
    "child_exit": _named("fork", "child_exit(vm)"),
    "move_pages": _at(("migrate",), "migrate"),
    "migrate": _at(("migrate",), "migrate"),
    "user_read": _at(("user", "user_read"), "user_read"),
    "user_write": _user_write,
    "ksm": _ksm,
    "memory_failure": _at(("present", "hwpoison", "signals"), "hwpoison"),
    "gmem_failure": _gmem_failure,
    "stat": _stat,
    "nop": lambda _: "0",
    "gpc_activate": _gpc_activate,
    "gpc_activate_hva": _gpc_activate_hva,
    "gpc_refresh": _gpc_refresh,
    "gpc_read": _gpc_use,
    "gpc_write": _gpc_use,
    "gpc_deactivate": _gpc_deactivate,
}

assert set(OPS) == set(_EMIT) | set(REFUSED) | GUEST_OPS


def expression(e: Emitter, op: Op) -> Made:
    """The C of an op that is no guest's.  Raises NotExpressibleError."""
    if op.name in REFUSED:
        raise NotExpressibleError(f"{op.name}: {REFUSED[op.name]}")
    return _EMIT[op.name](e, *op.args)

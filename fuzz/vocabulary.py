"""The eight nouns of the project, as frozen data.

*Op*          one request: an ioctl, a system call, a guest access, a kernel thread's work.
*Program*     a setup list of ops, then ops per actor, on one profile; with a Schedule.
*Step*        a stretch of model code between two yields; named by the label it starts at.
*Schedule*    the preemptions of a Program; between them, actors take turns op by op.
*Trace*       what happened on one side: steps, results, final state.
*Verdict*     what the judge says of the two Traces.
*Finding*     a verdict worth keeping: program, fingerprint, explanation.
*Seeded bug*  a named wrong model (patched/mutants) that a named program must catch.

Argument values are plain integers everywhere; the types below only say how one is written in
text and drawn from bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from reference.features import Profile

FORMAT_VERSION: Final = 1
PAGE: Final = 4096

# HVA areas lie 1 GiB apart, so that each has page-table upper levels of its own.
AREAS: Final = "ABCDEFGH"
AREA_SHIFT: Final = 30


def area_base(letter: str) -> int:
    """Address in bytes at which the HVA area with this letter starts."""
    return (AREAS.index(letter) + 1) << AREA_SHIFT


# File descriptors that are not gmemN.
FD_NONE: Final = -1  # the field is not given (0 in the ioctl)
FD_BAD: Final = -2  # not an open descriptor
FD_FILE: Final = -3  # open, but not a guest_memfd
FD_FOREIGN: Final = -4  # a guest_memfd of another VM
FD_NAMES: Final[Mapping[int, str]] = {
    FD_NONE: "none",
    FD_BAD: "bad",
    FD_FILE: "file",
    FD_FOREIGN: "foreign",
}

MEM_FLAGS: Final[Mapping[str, int]] = {"LOG_DIRTY": 1, "READONLY": 2, "GUEST_MEMFD": 4}
GMEM_FLAGS: Final[Mapping[str, int]] = {"MMAP": 1, "INIT_SHARED": 2}
FALLOC_FLAGS: Final[Mapping[str, int]] = {"KEEP_SIZE": 1, "PUNCH_HOLE": 2, "COLLAPSE_RANGE": 8}
PROT_FLAGS: Final[Mapping[str, int]] = {"READ": 1, "WRITE": 2, "EXEC": 4}
ATTR_FLAGS: Final[Mapping[str, int]] = {"PRIVATE": 8}
MAP_KINDS: Final = ("private", "shared")
ADVICE: Final = (
    "DONTNEED",
    "DONTNEED_LOCKED",
    "FREE",
    "REMOVE",
    "PAGEOUT",
    "COLD",
    "GUARD_INSTALL",
    "GUARD_REMOVE",
    "HWPOISON",
    "SOFT_OFFLINE",
    "POPULATE_WRITE",
)
POLICIES: Final = ("default", "bind", "bind_balancing")
FAILURES: Final = (
    "memslot",
    "bitmap",
    "metadata",
    "file",
    "folio",
    "xarray",
    "signal",
    "user_copy",
)
STATS: Final = ("pages_4k", "pf_fixed", "tlb_flush", "remote_tlb_flush")


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument of an op: its name, how it is written, and its value when left out.

    kind is one of
    int    a decimal or 0x number
    addr   a byte count written in pages: ``4p``, ``4p+1``, or a plain number of bytes
    hva    a user address: ``A``, ``A+3p``, ``B+3p+1``, or a plain number of bytes
    fd     ``gmem0`` .. ``gmem7``, or one of FD_NAMES
    flags  names of `choices` joined by ``|``, unknown bits as 0x..; ``0`` for none
    enum   the index of one of `names`
    """

    name: str
    kind: str
    default: int | None = None
    choices: Mapping[str, int] = field(default_factory=dict)
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpSpec:
    """What an op is called, who may do it, and what it takes."""

    name: str
    actors: tuple[str, ...]  # of "vmm", "vcpu", "kthread"
    args: tuple[Arg, ...]
    help: str


def _int(name: str, default: int | None = None) -> Arg:
    return Arg(name, "int", default)


def _addr(name: str, default: int | None = None) -> Arg:
    return Arg(name, "addr", default)


def _hva(name: str = "hva", default: int | None = None) -> Arg:
    return Arg(name, "hva", default)


def _fd(default: int | None = None) -> Arg:
    return Arg("fd", "fd", default)


def _flags(name: str, choices: Mapping[str, int], default: int | None = None) -> Arg:
    return Arg(name, "flags", default, choices=choices)


def _enum(name: str, names: tuple[str, ...], default: int | None = None) -> Arg:
    return Arg(name, "enum", default, names=names)


_VMM: Final = ("vmm",)
_VCPU: Final = ("vcpu",)
_KTHREAD: Final = ("kthread",)
_ANY: Final = ("vmm", "vcpu", "kthread")

_SPECS: Final = (
    # guest_memfd
    OpSpec(
        "create_gmem",
        _VMM,
        (_fd(), _addr("size"), _flags("flags", GMEM_FLAGS, 3)),
        "KVM_CREATE_GUEST_MEMFD; the new descriptor is known as fd from here on",
    ),
    OpSpec("close", _VMM, (_fd(),), "close the descriptor; a mapping keeps the file open"),
    OpSpec(
        "fallocate",
        _VMM,
        (_fd(), _flags("mode", FALLOC_FLAGS), _addr("offset"), _addr("len")),
        "allocate (KEEP_SIZE) or punch a hole (KEEP_SIZE|PUNCH_HOLE)",
    ),
    # memslots
    OpSpec(
        "set_region",
        _VMM,
        (
            _int("slot"),
            _addr("gpa", 0),
            _addr("size"),
            _hva(default=0),
            _flags("flags", MEM_FLAGS, 0),
            _fd(FD_NONE),
            _addr("offset", 0),
            _int("as", 0),
        ),
        "KVM_SET_USER_MEMORY_REGION2; size=0 deletes",
    ),
    OpSpec(
        "set_region1",
        _VMM,
        (
            _int("slot"),
            _addr("gpa", 0),
            _addr("size"),
            _hva(default=0),
            _flags("flags", MEM_FLAGS, 0),
            _int("as", 0),
        ),
        "KVM_SET_USER_MEMORY_REGION, the first version",
    ),
    OpSpec(
        "get_dirty_log", _VMM, (_int("slot"), _int("as", 0)), "KVM_GET_DIRTY_LOG; gives the bitmap"
    ),
    OpSpec(
        "clear_dirty_log",
        _VMM,
        (_int("slot"), _int("first", 0), _int("num"), _int("bits"), _int("as", 0)),
        "KVM_CLEAR_DIRTY_LOG of num pages from page first, where bits are set",
    ),
    OpSpec(
        "enable_manual_dirty_log",
        _VMM,
        (_int("initially_set", 0),),
        "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, optionally with DIRTY_LOG_INITIALLY_SET",
    ),
    OpSpec(
        "set_attributes",
        _VMM,
        (_addr("gpa"), _addr("size"), _flags("attrs", ATTR_FLAGS, 0), _int("flags", 0)),
        "KVM_SET_MEMORY_ATTRIBUTES",
    ),
    # the VMM's own memory
    OpSpec(
        "mmap",
        _VMM,
        (
            _hva(),
            _addr("len"),
            _fd(FD_NONE),
            _addr("offset", 0),
            _flags("prot", PROT_FLAGS, 3),
            _enum("share", MAP_KINDS, None),
        ),
        "MAP_FIXED mapping of a guest_memfd, or of anonymous memory when fd=none",
    ),
    OpSpec("munmap", _VMM, (_hva(), _addr("len")), "remove mappings"),
    OpSpec(
        "mremap",
        _VMM,
        (_hva(), _addr("len"), _addr("new_len"), _hva("to", 0)),
        "shrink in place (to=0) or move to a fixed place",
    ),
    OpSpec(
        "mprotect", _VMM, (_hva(), _addr("len"), _flags("prot", PROT_FLAGS)), "change protection"
    ),
    OpSpec("madvise", _VMM, (_hva(), _addr("len"), _enum("advice", ADVICE)), "madvise(2)"),
    OpSpec("mbind", _VMM, (_hva(), _addr("len"), _enum("policy", POLICIES)), "set the NUMA policy"),
    OpSpec("uffd_wp", _VMM, (_hva(), _addr("len"), _int("async", 0)), "userfaultfd write-protect"),
    OpSpec("clear_refs", _VMM, (), "write 4 to /proc/self/clear_refs (soft-dirty)"),
    OpSpec("pagemap_scan", _VMM, (_hva(), _addr("len")), "PAGEMAP_SCAN with WP_MATCHING"),
    OpSpec("mlock", _VMM, (_hva(), _addr("len")), "fault in and lock"),
    OpSpec("msync", _VMM, (_hva(), _addr("len")), "msync(2); fires no notifier"),
    OpSpec("fork", _VMM, (), "fork a child that holds copy-on-write references"),
    OpSpec("child_exit", _VMM, (), "the oldest child exits"),
    OpSpec("move_pages", _VMM, (_hva(),), "migrate the page mapped at hva"),
    OpSpec("user_read", _VMM, (_hva(),), "load from the VMM's mapping; gives the value"),
    OpSpec("user_write", _VMM, (_hva(), _int("value")), "store through the VMM's mapping"),
    # vCPUs
    OpSpec(
        "read",
        _VCPU,
        (_int("gfn"), _int("l2", 0), _int("smm", 0)),
        "guest load from a page; gives the value",
    ),
    OpSpec(
        "write",
        _VCPU,
        (_int("gfn"), _int("value"), _int("l2", 0), _int("smm", 0)),
        "guest store to a page",
    ),
    OpSpec("guest_flush", _VCPU, (), "the guest flushes its own TLB"),
    OpSpec("pre_fault", _VCPU, (_addr("gpa"), _addr("size")), "KVM_PRE_FAULT_MEMORY"),
    OpSpec("kvm_read", ("vmm", "vcpu"), (_int("gfn"),), "kvm_read_guest by KVM itself"),
    OpSpec("kvm_write", _VCPU, (_int("gfn"), _int("value")), "kvm_write_guest by KVM itself"),
    # gfn_to_pfn caches
    OpSpec("gpc_activate", _VCPU, (_int("gpc"), _addr("gpa")), "activate a cache by guest address"),
    OpSpec("gpc_activate_hva", _VCPU, (_int("gpc"), _hva()), "activate a cache by user address"),
    OpSpec("gpc_refresh", _VCPU, (_int("gpc"),), "kvm_gpc_refresh"),
    OpSpec("gpc_read", _VCPU, (_int("gpc"),), "check, refresh as needed, load; gives the value"),
    OpSpec("gpc_write", _VCPU, (_int("gpc"), _int("value")), "check, refresh as needed, store"),
    OpSpec("gpc_deactivate", _VCPU, (_int("gpc"),), "kvm_gpc_deactivate"),
    # kernel threads; pages are named by where the VMM maps them
    OpSpec(
        "numa_scan", _KTHREAD, (_hva(), _addr("len")), "automatic NUMA balancing scans the range"
    ),
    OpSpec("migrate", _KTHREAD, (_hva(),), "NUMA hinting or hot-remove migrates the page"),
    OpSpec("compact", _KTHREAD, (_hva(),), "compaction tries to migrate the page"),
    OpSpec("reclaim", _KTHREAD, (_hva(),), "reclaim tries to page the page out"),
    OpSpec("ksm", _KTHREAD, (_hva(), _hva("with")), "KSM merges two equal anonymous pages"),
    OpSpec("memory_failure", _KTHREAD, (_hva(),), "the page mapped at hva is poisoned"),
    OpSpec("gmem_failure", _KTHREAD, (_fd(), _addr("offset")), "a page of the file is poisoned"),
    OpSpec("clear_young", _KTHREAD, (_hva(),), "page_idle/DAMON clear; gives 1 if young"),
    OpSpec("test_young", _KTHREAD, (_hva(),), "page_idle/DAMON test; gives 1 if young"),
    OpSpec("clear_flush_young", _KTHREAD, (_hva(),), "folio_referenced; gives 1 if young"),
    OpSpec("oom_reap", _KTHREAD, (), "the OOM reaper zaps what it may, non-blocking"),
    OpSpec("exit_mm", _KTHREAD, (), "the address space is torn down (exit_mmap)"),
    # for tests
    OpSpec("fail_next", _ANY, (_enum("what", FAILURES),), "the next allocation of this kind fails"),
    OpSpec("stat", _ANY, (_enum("name", STATS),), "a KVM statistic of this VM"),
    OpSpec("nop", _ANY, (), "nothing; takes a turn"),
)

OPS: Final[Mapping[str, OpSpec]] = {spec.name: spec for spec in _SPECS}


@dataclass(frozen=True, slots=True)
class Op:
    """One request.  args holds one integer per argument of its OpSpec, in that order.

    expect, when given, is the result both sides must have, or ``reference | patched``.
    """

    name: str
    args: tuple[int, ...] = ()
    expect: str = ""


@dataclass(frozen=True, slots=True)
class Actor:
    """A named sequence of ops: ``vmm0``, ``vcpu1``, ``kthread0``; the name starts with its kind."""

    name: str
    ops: tuple[Op, ...]

    @property
    def kind(self) -> str:
        return self.name.rstrip("0123456789")


@dataclass(frozen=True, slots=True)
class Preemption:
    """When `actor`, in its op number `op` (from 0), is for the `occurrence`-th time (from 1)
    about to take the step `label`, actor `to` runs instead."""

    actor: str
    op: int
    label: str
    occurrence: int
    to: str


@dataclass(frozen=True, slots=True)
class Program:
    """A whole test case.  Every field is plain frozen data; equality is by value."""

    profile: Profile
    setup: tuple[Op, ...] = ()
    actors: tuple[Actor, ...] = ()
    schedule: tuple[Preemption, ...] = ()
    vm: str = "default"  # or "sw-protected"
    vcpus: int = 1
    frames: int = 64  # physical pages; running out is ENOMEM
    reference: str = "stock"
    patched: str = "seed"
    expect: tuple[str, ...] = ()  # verdict lines that must come out; see fuzz/judge.py
    title: tuple[str, ...] = ()  # comment lines at the top: why this program exists


SETUP: Final = "setup"  # the actor name of setup ops in traces; it runs first and alone
VMS: Final = ("default", "sw-protected")

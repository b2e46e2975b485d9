"""A sentence for each step of a reproducer, for the comment above it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fuzz.vocabulary import ADVICE, Op
from tools.lab.export import values

_FALLOCATE: Final = {1: "Allocate pages of", 3: "Punch a hole into"}


def _pages(count: int) -> str:
    pages, rest = divmod(count, 4096)
    if rest or not pages:
        return f"{count} bytes"
    return "1 page" if pages == 1 else f"{pages} pages"


def _hva(value: int) -> str:
    letter = values.area_of(value)
    if not letter:
        return f"{value:#x}"
    page = (value & ((1 << 30) - 1)) >> 12
    return f"{letter}" + (f", page {page}" if page else "")


def _region(slot: int, gpa: int, size: int, hva: int, flags: int, *_: int) -> str:
    if not size:
        return f"Delete memslot {slot}"
    kind = "guest_memfd memslot" if flags & 4 else "memslot"
    return (
        f"Memslot {slot}, a {kind}: {_pages(size)} at gfn {gpa >> 12:#x}, user address {_hva(hva)}"
    )


def _mmap(hva: int, size: int, fd: int, offset: int, _prot: int, share: int) -> str:
    what = f"guest_memfd {fd} from page {offset >> 12}" if fd >= 0 else "memory of its own"
    return f"The VMM maps {what} {'shared' if share else 'private'} at {_hva(hva)}"


_SAID: Final[dict[str, Callable[..., str]]] = {
    "create_gmem": lambda fd, size, flags: f"guest_memfd {fd}: {_pages(size)}",
    "close": lambda fd: "Close the descriptor; mappings keep the file",
    "fallocate": lambda fd, mode, offset, size: (
        f"{_FALLOCATE.get(mode, 'fallocate() of')} guest_memfd {fd}: {_pages(size)} from page "
        f"{offset >> 12}"
    ),
    "set_region": _region,
    "set_region1": _region,
    "get_dirty_log": lambda slot, as_id: f"Which pages of memslot {slot} were written?",
    "clear_dirty_log": lambda slot, first, num, bits, as_id: f"Log writes to memslot {slot} anew",
    "enable_manual_dirty_log": lambda init: "Dirty pages are to be cleared one by one",
    "set_attributes": lambda gpa, size, attrs, flags: (
        f"gfn {gpa >> 12:#x}, {_pages(size)}: {'private' if attrs else 'shared'} from here on"
    ),
    "mmap": _mmap,
    "munmap": lambda hva, size: f"The VMM unmaps {_pages(size)} at {_hva(hva)}",
    "mremap": lambda hva, size, new, to: (
        f"The VMM moves {_pages(size)} from {_hva(hva)} to {_hva(to)}"
        if to
        else f"The VMM shrinks its mapping at {_hva(hva)} to {_pages(new)}"
    ),
    "mprotect": lambda hva, size, prot: f"The VMM changes the protection at {_hva(hva)}",
    "madvise": lambda hva, size, advice: f"MADV_{ADVICE[advice]} of {_pages(size)} at {_hva(hva)}",
    "mbind": lambda hva, size, policy: f"A NUMA policy for {_pages(size)} at {_hva(hva)}",
    "uffd_wp": lambda hva, size, wp: f"userfaultfd write-protects {_pages(size)} at {_hva(hva)}",
    "clear_refs": lambda: "Clear the soft-dirty bits of the whole process",
    "pagemap_scan": lambda hva, size: f"PAGEMAP_SCAN write-protects {_pages(size)} at {_hva(hva)}",
    "mlock": lambda hva, size: f"Lock {_pages(size)} at {_hva(hva)}",
    "msync": lambda hva, size: f"msync() of {_pages(size)} at {_hva(hva)}",
    "fork": lambda: "A child takes copy-on-write references",
    "child_exit": lambda: "The oldest child exits",
    "move_pages": lambda hva: f"Migrate the page at {_hva(hva)}",
    "migrate": lambda hva: f"Migrate the page at {_hva(hva)}",
    "user_read": lambda hva: f"The VMM loads from {_hva(hva)}",
    "user_write": lambda hva, value: f"The VMM stores {value} to {_hva(hva)}",
    "read": lambda gfn, l2, smm: f"The guest loads from gfn {gfn:#x}",
    "write": lambda gfn, value, l2, smm: f"The guest stores {value} to gfn {gfn:#x}",
    "guest_flush": lambda: "The guest flushes its TLB",
    "pre_fault": lambda gpa, size: f"KVM maps {_pages(size)} from gfn {gpa >> 12:#x} ahead of use",
    "ksm": lambda hva, other: f"KSM merges the pages at {_hva(hva)} and {_hva(other)}",
    "memory_failure": lambda hva: f"The page at {_hva(hva)} has a memory failure",
    "gmem_failure": lambda fd, offset: (
        f"Page {offset >> 12} of guest_memfd {fd} has a memory failure"
    ),
    "gpc_activate": lambda n, gpa: f"pfn cache {n} is set up for gfn {gpa >> 12:#x}",
    "gpc_activate_hva": lambda n, hva: f"pfn cache {n} is set up for user address {_hva(hva)}",
    "gpc_refresh": lambda n: f"pfn cache {n} is refreshed",
    "gpc_read": lambda n: f"KVM uses pfn cache {n}; here it stores, which shows as much",
    "gpc_write": lambda n, value: f"KVM stores through pfn cache {n}",
    "gpc_deactivate": lambda n: f"pfn cache {n} is given up",
    "stat": lambda name: "What KVM's statistics say",
}


def sentence(op: Op) -> str:
    """What an op does, in words; without a full stop."""
    said = _SAID.get(op.name)
    return said(*op.args) if said is not None else op.name

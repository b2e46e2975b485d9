"""What the port takes for granted of the kernel: constants, enumerators, members, functions.

Types are written as the kernel's DWARF spells them; several are ways to write the same.  config
names the option without which the kernel has no such thing, which is then no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reference import uapi

X86: Final = "x86-64"
ARM64: Final = "arm64"

_GMEM: Final = "CONFIG_KVM_GUEST_MEMFD"
_ATTRIBUTES: Final = "CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES"
_ULONG: Final = ("long unsigned int", "unsigned long")
_SLOT: Final = ("struct kvm_memory_slot *",)
_GFN: Final = ("gfn_t",)
_BOOL: Final = ("bool",)
_LOCK: Final = ("spinlock_t",)
_MUTEX: Final = ("struct mutex",)
_LIST: Final = ("struct list_head",)


@dataclass(frozen=True, slots=True)
class Constant:
    """A macro, or several with operators, and the value.

    port: its name in reference/uapi.py and reference/c/uapi.h.
    """

    name: str
    port: str
    value: int
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Enumerator:
    """An enumerator.  value None: the port needs only that it exists."""

    name: str
    value: int | None
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a structure, with a dot for one within another.

    port: what the port calls it, when not the same, or ``holder->name`` of what stands for it.
    offset: where it must stand, because user space and kernel agree on it; None: anywhere.
    """

    struct: str
    name: str
    types: tuple[str, ...]
    port: str = ""
    offset: int | None = None
    machine: str = ""
    config: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """A function that shows the call structure; the first name is the port's.

    unit: the file that must have it, so that an object without that file says nothing.
    """

    names: tuple[str, ...]
    unit: str
    machine: str = ""
    config: str = ""


# Not the kernel's numbers, or not under these names: what the model made of several of them.
OWN_CONSTANTS: Final = frozenset(
    # the kernel's PAGE_MASK is the complement; TASK_SIZE and the largest gfn depend on the CPU
    ("PAGE_MASK", "U64", "TASK_SIZE", "MAX_GFN_X86", "MAX_GFN_ARM64", "LARGEST_FILE")
)
_OTHERWISE: Final = {
    "KVM_USER_MEM_SLOTS_X86": ("KVM_USER_MEM_SLOTS", X86),
    "KVM_USER_MEM_SLOTS_ARM64": ("KVM_USER_MEM_SLOTS", ARM64),
    "PTE_PREFETCH_NUM": ("PTE_PREFETCH_NUM", X86),
    # one macro in older kernels, two since
    "FALLOC_FL_SUPPORTED_MASK": ("FALLOC_FL_MODE_MASK | FALLOC_FL_KEEP_SIZE", ""),
}

CONSTANTS: Final = tuple(
    Constant(*(_OTHERWISE.get(name, (name, ""))[0], name, value),
             machine=_OTHERWISE.get(name, (name, ""))[1])
    for name, value in vars(uapi).items()
    if name.isupper() and isinstance(value, int) and name not in OWN_CONSTANTS
)  # fmt: skip

# Constants that show in DWARF without macro information: constant -> function.variable, an array.
ARRAYS: Final = {"PTE_PREFETCH_NUM": ("direct_pte_prefetch_many.pages",
                                      "kvm_mmu_prefetch_sptes.pages")}  # fmt: skip

ENUMERATORS: Final = (
    Enumerator("KVM_MR_CREATE", 0),
    Enumerator("KVM_MR_DELETE", 1),
    Enumerator("KVM_MR_MOVE", 2),
    Enumerator("KVM_MR_FLAGS_ONLY", 3),
    Enumerator("OUTSIDE_GUEST_MODE", 0),
    Enumerator("IN_GUEST_MODE", 1),
    Enumerator("RET_PF_CONTINUE", 0, X86),  # its truth is tested, the others' numbers are not used
    Enumerator("RET_PF_RETRY", None, X86),
    Enumerator("RET_PF_EMULATE", None, X86),
    Enumerator("RET_PF_FIXED", None, X86),
    Enumerator("RET_PF_SPURIOUS", None, X86),
)

MEMBERS: Final = (
    Member("kvm", "mmu_lock", ("rwlock_t",)),  # faults of the TDP MMU hold it for reading
    Member("kvm", "slots_lock", _MUTEX),
    Member("kvm", "slots_arch_lock", _MUTEX),
    Member("kvm", "nr_memslot_pages", _ULONG),
    # two sets for each address space: an active one and one to edit
    Member("kvm", "__memslots", ("struct kvm_memslots[2][2]",), "memslot_sets", machine=X86),
    Member("kvm", "__memslots", ("struct kvm_memslots[1][2]",), "memslot_sets", machine=ARM64),
    Member("kvm", "memslots", ("struct kvm_memslots *[2]",), machine=X86),
    Member("kvm", "memslots", ("struct kvm_memslots *[1]",), machine=ARM64),
    Member("kvm", "mn_invalidate_lock", _LOCK),
    Member("kvm", "mn_active_invalidate_count", _ULONG),
    Member("kvm", "mn_memslots_update_rcuwait", ("struct rcuwait",)),
    Member("kvm", "gpc_lock", _LOCK),
    Member("kvm", "gpc_list", _LIST),
    Member("kvm", "mmu_invalidate_seq", _ULONG),
    Member("kvm", "mmu_invalidate_in_progress", ("long int", "long")),
    Member("kvm", "mmu_invalidate_range_start", _GFN),
    Member("kvm", "mmu_invalidate_range_end", _GFN),
    Member("kvm", "mem_attr_array", ("struct xarray",), config=_ATTRIBUTES),
    Member("kvm", "srcu", ("struct srcu_struct",)),
    Member("kvm", "manual_dirty_log_protect", ("u64",), "manual_dirty_log"),
    Member("kvm", "vm_bugged", _BOOL, "dead"),
    Member("kvm_memslots", "generation", ("u64",)),
    Member("kvm_memory_slot", "base_gfn", _GFN),
    Member("kvm_memory_slot", "npages", _ULONG),
    Member("kvm_memory_slot", "dirty_bitmap", ("long unsigned int *", "unsigned long *")),
    Member("kvm_memory_slot", "userspace_addr", _ULONG),
    Member("kvm_memory_slot", "flags", ("u32",)),
    Member("kvm_memory_slot", "id", ("short int", "short")),
    Member("kvm_memory_slot", "as_id", ("u16",)),
    Member("kvm_memory_slot", "gmem.file", ("struct file *",), "gmem_file", config=_GMEM),
    Member("kvm_memory_slot", "gmem.pgoff", ("pgoff_t", *_ULONG), "gmem_pgoff", config=_GMEM),
    Member("kvm_gfn_range", "slot", _SLOT),
    Member("kvm_gfn_range", "start", _GFN),
    Member("kvm_gfn_range", "end", _GFN),
    Member("kvm_gfn_range", "may_block", _BOOL),
    Member("kvm_mmu_notifier_range", "start", ("u64",)),
    Member("kvm_mmu_notifier_range", "end", ("u64",)),
    Member("kvm_mmu_notifier_range", "handler", ("gfn_handler_t",)),
    Member("kvm_mmu_notifier_range", "on_lock", ("on_lock_fn_t",)),
    Member("kvm_mmu_notifier_range", "flush_on_ret", _BOOL),
    Member("kvm_mmu_notifier_range", "may_block", _BOOL),
    Member("kvm_mmu_notifier_range", "lockless", _BOOL),
    Member("kvm_userspace_memory_region2", "slot", ("__u32",), offset=0),
    Member("kvm_userspace_memory_region2", "flags", ("__u32",), offset=4),
    Member("kvm_userspace_memory_region2", "guest_phys_addr", ("__u64",), offset=8),
    Member("kvm_userspace_memory_region2", "memory_size", ("__u64",), offset=16),
    Member("kvm_userspace_memory_region2", "userspace_addr", ("__u64",), offset=24),
    Member("kvm_userspace_memory_region2", "guest_memfd_offset", ("__u64",), offset=32),
    Member("kvm_userspace_memory_region2", "guest_memfd", ("__u32",), offset=40),
    Member("gfn_to_pfn_cache", "generation", ("u64",), machine=X86),
    Member("gfn_to_pfn_cache", "gpa", ("gpa_t",), machine=X86),
    Member("gfn_to_pfn_cache", "uhva", _ULONG, machine=X86),
    Member("gfn_to_pfn_cache", "memslot", _SLOT, machine=X86),
    Member("gfn_to_pfn_cache", "list", _LIST, "kvm->gpc_list", machine=X86),
    Member("gfn_to_pfn_cache", "lock", ("rwlock_t",), machine=X86),
    Member("gfn_to_pfn_cache", "refresh_lock", _MUTEX, machine=X86),
    Member("gfn_to_pfn_cache", "pfn", ("kvm_pfn_t",), "frame", machine=X86),
    Member("gfn_to_pfn_cache", "active", _BOOL, machine=X86),
    Member("gfn_to_pfn_cache", "valid", _BOOL, machine=X86),
    Member("kvm_page_fault", "gfn", _GFN, machine=X86),
    Member("kvm_page_fault", "write", _BOOL, machine=X86),
    Member("kvm_page_fault", "prefetch", _BOOL, machine=X86),
    Member("kvm_page_fault", "is_private", _BOOL, machine=X86),
    Member("kvm_page_fault", "slot", _SLOT, machine=X86),
    Member("kvm_page_fault", "mmu_seq", _ULONG, machine=X86),
    Member("kvm_page_fault", "pfn", ("kvm_pfn_t",), "frame", machine=X86),
    Member("kvm_page_fault", "map_writable", _BOOL, machine=X86),
)


def _functions(unit: str, names: str, machine: str = "", config: str = "") -> list[Function]:
    """A blank between functions, a bar between names that one function had in time."""
    return [Function(tuple(name.split("|")), unit, machine, config) for name in names.split()]


FUNCTIONS: Final = (
    *_functions(
        "virt/kvm/kvm_main.c",
        "kvm_vm_ioctl_set_memory_region kvm_set_memory_region|__kvm_set_memory_region "
        "kvm_check_memslot_overlap kvm_set_memslot kvm_replace_memslot kvm_invalidate_memslot "
        "kvm_activate_memslot kvm_swap_active_memslots kvm_prepare_memory_region "
        "kvm_commit_memory_region "
        "kvm_handle_hva_range|__kvm_handle_hva_range kvm_age_hva_range kvm_mmu_unmap_gfn_range "
        "kvm_mmu_invalidate_start|kvm_mmu_invalidate_begin kvm_mmu_invalidate_range_add "
        "kvm_mmu_invalidate_end kvm_mmu_notifier_invalidate_range_start "
        "kvm_mmu_notifier_invalidate_range_end kvm_mmu_notifier_clear_flush_young "
        "kvm_mmu_notifier_clear_young kvm_mmu_notifier_test_young kvm_mmu_notifier_release "
        "kvm_flush_remote_tlbs",
    ),
    *_functions(
        "virt/kvm/guest_memfd.c",
        "kvm_gmem_bind|kvm_gmem_prepare_memory_region kvm_gmem_unbind kvm_gmem_release "
        "__kvm_gmem_invalidate_start|kvm_gmem_invalidate_begin kvm_gmem_invalidate_end "
        "kvm_gmem_punch_hole kvm_gmem_allocate kvm_gmem_get_folio kvm_gmem_get_pfn "
        "kvm_gmem_error_folio kvm_gmem_fault_user_mapping",
    ),
    *_functions(
        "virt/kvm/pfncache.c",
        "gfn_to_pfn_cache_invalidate_start hva_to_pfn_retry __kvm_gpc_refresh kvm_gpc_refresh "
        "__kvm_gpc_activate kvm_gpc_activate kvm_gpc_activate_hva kvm_gpc_check "
        "kvm_gpc_deactivate",
        X86,
    ),
    *_functions(
        "arch/x86/kvm/mmu/mmu.c",
        "mmu_invalidate_retry_gfn kvm_unmap_gfn_range kvm_age_gfn kvm_test_age_gfn "
        "direct_page_fault kvm_tdp_mmu_page_fault is_page_fault_stale fast_page_fault",
        X86,
    ),
    *_functions(
        "arch/arm64/kvm/mmu.c",
        "kvm_handle_guest_abort user_mem_abort gmem_abort kvm_unmap_gfn_range kvm_age_gfn "
        "kvm_test_age_gfn",
        ARM64,
    ),
)

# reference/features.py, where DWARF can show it: a member of a structure, or a function.
FEATURE_SIGNS: Final = {
    "gmem_bind_in_commit": "kvm_gmem_commit_memory_region()",
    "gpc_invalidate_seq": "kvm.gpc_invalidate_seq",
    "tdp_mmu": "kvm_tdp_mmu_page_fault()",
    "pte_prefetch": "direct_pte_prefetch()",
    "shadow": "paging64_page_fault()",
    "pre_fault": "kvm_arch_vcpu_pre_fault_memory()",
    "memory_attributes": "kvm.mem_attr_array",
    "gpc": "__kvm_gpc_refresh()",
}

"""Numbers of the kernel's interfaces that the model needs, under the kernel's names."""

from __future__ import annotations

from typing import Final

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 1 << PAGE_SHIFT
PAGE_MASK: Final = PAGE_SIZE - 1
U64: Final = (1 << 64) - 1
TASK_SIZE: Final = 1 << 47  # access_ok(): end of user addresses

EPERM: Final = 1
ENOENT: Final = 2
EINTR: Final = 4
EIO: Final = 5
EBADF: Final = 9
EAGAIN: Final = 11
ENOMEM: Final = 12
EACCES: Final = 13
EFAULT: Final = 14
EBUSY: Final = 16
EEXIST: Final = 17
ENODEV: Final = 19
EINVAL: Final = 22
EMFILE: Final = 24
ENOTTY: Final = 25
EFBIG: Final = 27
EOVERFLOW: Final = 75
EOPNOTSUPP: Final = 95
EHWPOISON: Final = 133

ERRNO_NAMES: Final = {
    number: name
    for name, number in dict(globals()).items()
    if name.startswith("E") and isinstance(number, int)
}

# include/uapi/linux/kvm.h
KVM_MEM_LOG_DIRTY_PAGES: Final = 1 << 0
KVM_MEM_READONLY: Final = 1 << 1
KVM_MEM_GUEST_MEMFD: Final = 1 << 2
GUEST_MEMFD_FLAG_MMAP: Final = 1 << 0
GUEST_MEMFD_FLAG_INIT_SHARED: Final = 1 << 1
KVM_MEMORY_ATTRIBUTE_PRIVATE: Final = 1 << 3

# include/linux/kvm_host.h
KVM_MEMSLOT_INVALID: Final = 1 << 16
KVM_MEMSLOT_GMEM_ONLY: Final = 1 << 17
KVM_MEM_MAX_NR_PAGES: Final = (1 << 31) - 1
KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS: Final = 1 << 63
KVM_USER_MEM_SLOTS_X86: Final = 32764
KVM_USER_MEM_SLOTS_ARM64: Final = 32767

FALLOC_FL_KEEP_SIZE: Final = 1
FALLOC_FL_PUNCH_HOLE: Final = 2
FALLOC_FL_SUPPORTED_MASK: Final = 0xFB  # all but NO_HIDE_STALE, include/linux/falloc.h

PROT_READ: Final = 1
PROT_WRITE: Final = 2
PROT_EXEC: Final = 4
PROT_ALL: Final = PROT_READ | PROT_WRITE | PROT_EXEC
PROT_GROWS: Final = 0x3000000  # PROT_GROWSDOWN and PROT_GROWSUP
PROT_VALID: Final = 0xF  # with PROT_SEM: arch_validate_prot(), include/linux/mman.h

PTE_PREFETCH_NUM: Final = 8
MAX_GFN_X86: Final = (1 << 40) - 1  # 52-bit physical addresses
MAX_GFN_ARM64: Final = (1 << 28) - 1  # 40-bit IPA space
LARGEST_FILE: Final = (1 << 63) - 1  # s_maxbytes

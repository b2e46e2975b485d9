/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers of the kernel's interfaces that the port needs, under the kernel's names. */
#ifndef GMEMDIFF_UAPI_H
#define GMEMDIFF_UAPI_H

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096
#define PAGE_MASK 4095
#define U64 0xffffffffffffffffULL
#define TASK_SIZE 0x800000000000LL

#define EPERM 1
#define ENOENT 2
#define EINTR 4
#define EIO 5
#define EBADF 9
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define EFAULT 14
#define EBUSY 16
#define EEXIST 17
#define ENODEV 19
#define EINVAL 22
#define EMFILE 24
#define ENOTTY 25
#define EFBIG 27
#define EOVERFLOW 75
#define EOPNOTSUPP 95
#define EHWPOISON 133

/* include/uapi/linux/kvm.h */
#define KVM_MEM_LOG_DIRTY_PAGES 1
#define KVM_MEM_READONLY 2
#define KVM_MEM_GUEST_MEMFD 4
#define GUEST_MEMFD_FLAG_MMAP 1
#define GUEST_MEMFD_FLAG_INIT_SHARED 2
#define KVM_MEMORY_ATTRIBUTE_PRIVATE 8

/* include/linux/kvm_host.h */
#define KVM_MEMSLOT_INVALID 0x10000u
#define KVM_MEMSLOT_GMEM_ONLY 0x20000u
#define KVM_MEM_MAX_NR_PAGES 0x7fffffffLL
#define KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS 0x8000000000000000ULL
#define KVM_USER_MEM_SLOTS_X86 32764
#define KVM_USER_MEM_SLOTS_ARM64 32767

#define FALLOC_FL_KEEP_SIZE 1
#define FALLOC_FL_PUNCH_HOLE 2
#define FALLOC_FL_SUPPORTED_MASK 251

#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define PROT_ALL 7
#define PROT_GROWS 0x3000000 /* PROT_GROWSDOWN and PROT_GROWSUP */
#define PROT_VALID 0xf /* with PROT_SEM: arch_validate_prot(), include/linux/mman.h */

#define PTE_PREFETCH_NUM 8
#define MAX_GFN_X86 0xffffffffffLL
#define MAX_GFN_ARM64 0xfffffffLL
#define LARGEST_FILE 0x7fffffffffffffffLL

#endif

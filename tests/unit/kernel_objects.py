"""Small objects with the kernel's names in them, compiled from words of our own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from fuzz.port.compiler import NoCompilerError, find_compiler

TYPES: Final = """
typedef _Bool bool;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32, __u32;
typedef unsigned long u64, __u64, gfn_t, gpa_t, pgoff_t, kvm_pfn_t;
typedef struct { int raw; } spinlock_t, rwlock_t;
struct mutex { int owner; };
struct rcuwait { void *task; };
struct srcu_struct { int idx; };
struct xarray { void *head; };
struct list_head { struct list_head *next, *prev; };
struct file;
enum kvm_mr_change { KVM_MR_CREATE, KVM_MR_DELETE, KVM_MR_MOVE, KVM_MR_FLAGS_ONLY };
enum { OUTSIDE_GUEST_MODE, IN_GUEST_MODE };
struct kvm_memory_slot {
	struct kvm_memory_slot *next;
	gfn_t base_gfn;
	unsigned long npages, *dirty_bitmap, userspace_addr;
	u32 flags;
	short id;
	u16 as_id;
	struct { struct file *file; pgoff_t pgoff; } gmem;
};
struct kvm_memslots { u64 generation; struct kvm_memory_slot *first; };
struct kvm {
	rwlock_t mmu_lock;
	struct mutex slots_lock, slots_arch_lock;
	unsigned long nr_memslot_pages;
	struct kvm_memslots __memslots[SPACES][2], *memslots[SPACES];
	spinlock_t mn_invalidate_lock;
	unsigned long mn_active_invalidate_count;
	struct rcuwait mn_memslots_update_rcuwait;
	spinlock_t gpc_lock;
	struct list_head gpc_list;
	unsigned long mmu_invalidate_seq;
	long mmu_invalidate_in_progress;
	gfn_t mmu_invalidate_range_start, mmu_invalidate_range_end;
	struct xarray mem_attr_array;
	struct srcu_struct srcu;
	u64 manual_dirty_log_protect;
	bool vm_bugged;
};
struct kvm_gfn_range { struct kvm_memory_slot *slot; gfn_t start, end; bool may_block; };
typedef bool (*gfn_handler_t)(struct kvm *kvm, struct kvm_gfn_range *range);
typedef void (*on_lock_fn_t)(struct kvm *kvm);
struct kvm_mmu_notifier_range {
	u64 start, end;
	gfn_handler_t handler;
	on_lock_fn_t on_lock;
	bool flush_on_ret, may_block, lockless;
};
struct kvm_userspace_memory_region2 {
	__u32 slot, flags;
	__u64 guest_phys_addr, memory_size, userspace_addr, guest_memfd_offset;
	__u32 guest_memfd, pad;
};
"""
MACROS: Final = """
#define _AC(number, suffix) number##suffix
#define UL(number) (_AC(number, UL))
#define BIT_ULL(nr) (1ULL << (nr))
#define PAGE_SHIFT 12
#define PAGE_SIZE (UL(1) << PAGE_SHIFT)
#define EINVAL 22
#define FALLOC_FL_KEEP_SIZE 0x01
#define FALLOC_FL_MODE_MASK (0x02 | 0x08 | 0x10 | 0x20 | 0x40 | 0x80)
#define USHRT_MAX ((unsigned short)~0U)
#define SHRT_MAX ((short)(USHRT_MAX >> 1))
#define KVM_MEM_GUEST_MEMFD (1UL << 2)
#define KVM_MEMSLOT_INVALID (1UL << 16)
#define KVM_MEMSLOT_GMEM_ONLY (1UL << 17)
#define KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS BIT_ULL(63)
#ifdef __x86_64__
#define SPACES 2
#define KVM_USER_MEM_SLOTS (SHRT_MAX - 3)
#else
#define SPACES 1
#define KVM_USER_MEM_SLOTS SHRT_MAX
#endif
"""
# Functions of which only the name matters.
_OTHERS: Final = """
kvm_vm_ioctl_set_memory_region kvm_set_memory_region kvm_check_memslot_overlap kvm_set_memslot
kvm_replace_memslot kvm_invalidate_memslot kvm_activate_memslot kvm_swap_active_memslots
kvm_prepare_memory_region kvm_commit_memory_region kvm_age_hva_range kvm_mmu_unmap_gfn_range
kvm_mmu_invalidate_start kvm_mmu_invalidate_range_add kvm_mmu_invalidate_end
kvm_mmu_notifier_invalidate_range_end kvm_mmu_notifier_clear_flush_young
kvm_mmu_notifier_clear_young kvm_mmu_notifier_release kvm_flush_remote_tlbs
"""
_PREDICATES: Final = """
static inline bool kvm_slot_has_gmem(const struct kvm_memory_slot *slot)
{
	return slot && slot->flags & KVM_MEM_GUEST_MEMFD;
}
static inline bool kvm_memslot_is_gmem_only(const struct kvm_memory_slot *slot)
{
	return slot->flags & KVM_MEMSLOT_GMEM_ONLY;
}
"""
_LOOP: Final = """
static inline void note_start(struct kvm_gfn_range *range, struct kvm_memory_slot *slot)
{
	range->start = slot->base_gfn;
}
static inline __attribute__((always_inline)) bool
kvm_handle_hva_range(struct kvm *kvm, struct kvm_mmu_notifier_range *range)
{
	struct kvm_gfn_range gfn_range;
	struct kvm_memory_slot *slot;
	bool r = 0;

	for (slot = kvm->memslots[0]->first; slot; slot = slot->next) {
		SKIP
		note_start(&gfn_range, slot);
		gfn_range.slot = slot;
		r |= range->handler(kvm, &gfn_range);
	}
	return r;
}
bool kvm_mmu_notifier_invalidate_range_start(struct kvm *kvm, struct kvm_mmu_notifier_range *range)
{
	return kvm_handle_hva_range(kvm, range);
}
bool kvm_mmu_notifier_test_young(struct kvm *kvm, struct kvm_mmu_notifier_range *range)
{
	return !kvm_handle_hva_range(kvm, range);
}
u64 first_address(struct kvm_userspace_memory_region2 *mem, enum kvm_mr_change change, int mode)
{
	return mode == IN_GUEST_MODE && change == KVM_MR_CREATE ? mem->guest_phys_addr : 0;
}
"""
SKIP: Final = "if (kvm_slot_has_gmem(slot) && kvm_memslot_is_gmem_only(slot)) continue;"


def kvm_main(skip: str = "") -> str:
    """A file that has all that the port assumes of virt/kvm/kvm_main.c, and this in its loop."""
    others = "".join(f"void {name}(void) {{}}\n" for name in _OTHERS.split())
    return MACROS + TYPES + _PREDICATES + _LOOP.replace("SKIP", skip) + others


def compiled(
    folder: Path, text: str, *flags: str, name: str = "virt/kvm/kvm_main.c", link: bool = False
) -> Path:
    """An object with debug information of one source file; skips the test without a compiler.

    link: as a module is, which is still relocatable.
    """
    try:
        compiler = find_compiler()
    except NoCompilerError as error:
        pytest.skip(str(error))
    if "-g3" in flags and compiler.covers:
        pytest.skip("clang writes no macros in a form that is read here")
    source = folder / name
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(text, encoding="utf-8")
    made = folder / "object.o"
    command = [*compiler.command, *(flags or ("-O2", "-g")), "-c", name, "-o", str(made)]
    environment = {**os.environ, "LC_ALL": "C"}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    if link:
        linked = folder / "kvm.ko"
        command = [*compiler.command, "-r", "-nostdlib", str(made), "-o", str(linked)]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        return linked
    return made

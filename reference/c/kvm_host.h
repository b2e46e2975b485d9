/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The objects of a VM and of its host process.  Names are the kernel's (struct kvm,
 * include/linux/kvm_host.h; struct mm_struct); the Python model has the same in state.py,
 * machine.py, gmem_types.py, mm_types.py and frames.py.
 *
 * Addresses are page numbers unless a name says bytes.
 */
#ifndef GMEMDIFF_KVM_HOST_H
#define GMEMDIFF_KVM_HOST_H

#include "kvm_features.h"
#include "shim.h"
#include "uapi.h"

#define INVALID_GPA (-1) /* an mmu_invalidate_range_{start,end} that holds no range; no gpa */

/*
 * What an op or a function answers: 0 or more, a negative errno, or one of these, which the Python
 * model writes as strings.
 */
typedef s64 result_t;
#define RESULT_WORD(n) (INT64_MIN + (n))
#define RET_PF_RETRY RESULT_WORD(0)
#define RET_PF_FIXED RESULT_WORD(1)
#define RET_PF_SPURIOUS RESULT_WORD(2)
#define RESULT_MMIO RESULT_WORD(3)
#define RET_PF_EMULATE RESULT_MMIO
#define RESULT_SIGBUS RESULT_WORD(4)
#define RESULT_SIGSEGV RESULT_WORD(5)
#define RESULT_KILLED RESULT_WORD(6)
#define RESULT_TEXT RESULT_WORD(7) /* kvm->text */
#define RESULT_OK RESULT_WORD(8) /* the empty string: no signal */
#define RESULT_OOM RESULT_WORD(9) /* a fault that found no memory */
#define RET_PF_CONTINUE RESULT_WORD(10)
#define RESULT_WORDS 16
static inline bool is_word(result_t result) /* isinstance(result, str) */
{
	return result < INT64_MIN + RESULT_WORDS;
}

/* A pointer or a negative errno, as in include/linux/err.h. */
static inline bool IS_ERR(const void *p)
{
	return (u64)p >= (u64)-4095L;
}
static inline s64 PTR_ERR(const void *p)
{
	return (s64)p;
}
static inline void *ERR_PTR(s64 error)
{
	return (void *)error;
}

/* One physical page and its struct page. */
struct frame {
	s64 pfn;
	s64 generation; /* raised at every free */
	s64 refs;
	s64 mapcount; /* user PTEs */
	s64 content; /* one integer stands for all of it */
	bool uptodate, poisoned, free, anon;
	struct gmem_inode *inode; /* page-cache owner, with */
	s64 index; /* its index in the file */
	struct lock lock; /* folio_lock */
};

struct gmem_inode {
	const char *name;
	s64 npages;
	u64 flags;
	struct map pages; /* index -> struct frame */
	struct lock invalidate_lock;
	struct vec files; /* struct gmem_file */
};

struct gmem_binding {
	s64 start, end; /* file pages [start, end) */
	struct kvm_memory_slot *slot;
};

struct gmem_file {
	struct gmem_inode *inode;
	s64 refs;
	struct vec bindings; /* struct gmem_binding, by start; stands for the xarray */
};

struct kvm_memory_slot {
	s64 id;
	int as_id;
	s64 base_gfn, npages;
	u32 flags;
	s64 userspace_addr; /* page number */
	struct map *dirty_bitmap; /* set of relative gfns; NULL: not logged.  Copies share it */
	struct gmem_file *gmem_file;
	s64 gmem_pgoff;
	bool freed; /* kfree()d: nobody may use it any more */
};

/* One of the two sets of an address space. */
struct kvm_memslots {
	u64 generation;
	struct map slots; /* id -> struct kvm_memory_slot */
};

enum root_kind { ROOT_TDP, ROOT_SHADOW, ROOT_S2 };

/* A present leaf: a 4K SPTE, or an arm64 stage-2 PTE. */
struct spte {
	struct frame *frame;
	s64 generation; /* of the frame, when the leaf was made */
	bool writable, host_writable, accessed, prefetched;
	bool touched; /* ghost: used since a young hook last cleared it (Oracles.touched) */
};

struct root {
	enum root_kind kind;
	int as_id;
	bool l2; /* serves a nested guest */
	bool invalid; /* role.invalid, or an obsolete mmu_valid_gen */
	bool tables; /* more than the root itself was ever made */
	struct map sptes; /* gfn -> struct spte */
};

struct tlb_entry {
	struct frame *frame;
	s64 generation;
	bool writable;
};

enum { OUTSIDE_GUEST_MODE, IN_GUEST_MODE };
#define FD_NONE (-1) /* of the program language: anonymous memory */
#define FD_FILE (-3) /* and an open file that is no guest_memfd */

enum { KVM_REQ_TLB_FLUSH = 1, KVM_REQ_MMU_FREE_OBSOLETE_ROOTS = 2, KVM_REQ_TLB_FLUSH_GUEST = 4 };

/* Keys of the two maps of a vCPU. */
#define ROOT_KEY(as_id, l2) ((s64)(as_id) << 1 | (l2))
static inline s64 TLB_KEY(s64 gfn, int as_id, bool l2)
{
	if ((u64)gfn >> 60) /* of a hostile program; no slot holds it, and no entry has this key */
		return -1;
	return gfn << 2 | (s64)as_id << 1 | l2;
}
#define TLB_KEY_GFN(key) ((key) >> 2)
#define TLB_KEY_AS(key) ((int)((key) >> 1 & 1))

struct kvm_vcpu {
	int id;
	int mode;
	u32 requests;
	struct map roots; /* ROOT_KEY -> struct root */
	struct map tlb; /* TLB_KEY -> struct tlb_entry */
	struct task *task;
};

struct kvm_page_fault {
	struct kvm_vcpu *vcpu;
	s64 gfn;
	bool write, l2, prefetch, is_private, map_writable;
	int as_id;
	struct kvm_memory_slot *slot;
	s64 mmu_seq;
	struct frame *frame;
	s64 generation;
	s64 pfn_clock; /* ghost: how many invalidations had ended when the pfn was read */
};

struct kvm_gfn_range { /* gfns [start, end) of one slot */
	struct kvm_memory_slot *slot;
	s64 start, end;
	bool may_block;
	bool from_hva; /* ghost: called for by an HVA notifier */
};

struct kvm;
typedef bool (*gfn_handler_t)(struct kvm *kvm, struct kvm_gfn_range *range);
typedef void (*on_lock_fn_t)(struct kvm *kvm);

struct kvm_mmu_notifier_range { /* HVA pages [start, end), and what to do for each slot */
	s64 start, end;
	gfn_handler_t handler;
	on_lock_fn_t on_lock;
	bool flush_on_ret, may_block, lockless;
};

struct gfn_to_pfn_cache {
	s64 id;
	struct lock refresh_lock, lock;
	bool active, valid, listed;
	s64 gpa; /* a gfn, or INVALID_GPA */
	s64 uhva;
	struct kvm_memory_slot *memslot;
	u64 generation; /* of the memslots */
	struct frame *frame;
	s64 frame_generation;
};

struct vma {
	s64 start, end; /* pages [start, end) */
	struct gmem_file *file; /* NULL: anonymous memory */
	s64 pgoff;
	u64 prot;
	bool shared, locked, anon_vma;
	s64 policy;
	s64 linked; /* when it was last put into the tree of its file */
};

struct pte {
	struct frame *frame;
	bool writable;
	bool unreadable; /* PROT_NONE, or a NUMA hint */
};

enum entry_kind { ENTRY_SWAP, ENTRY_SWAPCACHE, ENTRY_MIGRATION, ENTRY_POISON, ENTRY_GUARD };

/* What stands where a PTE is gone. */
struct entry {
	enum entry_kind kind;
	s64 content; /* of ENTRY_SWAP */
	struct frame *frame; /* of ENTRY_SWAPCACHE, with a reference, and of ENTRY_MIGRATION */
	bool writable;
};

#define PUD_SHIFT 18 /* pages per PUD entry: 1 GiB */

struct mm_struct {
	struct vec vmas; /* struct vma, by address */
	s64 links; /* how often a VMA was put into the tree of a file */
	struct map ptes; /* page -> struct pte */
	struct map entries; /* page -> struct entry */
	struct map puds; /* set of populated PUD entries */
	struct vec children; /* struct map: pages (-> struct frame) that a forked child shares */
};

#define ADDRESS_SPACES_MAX 2
#define VCPUS_MAX 8

struct kvm {
	struct features features;
	bool x86, shadow_paging; /* shadow_paging: the profile's MMU is x86-shadow */
	bool has_private_mem;
	int nr_as;
	bool dead; /* KVM_BUG() happened */
	bool mm_exiting, mm_dead; /* exit_mmap() was called; and goes on */
	u32 fail; /* bits of enum failure: allocations that fail next */
	char *text; /* of RESULT_TEXT */

	struct lock slots_lock, slots_arch_lock;
	struct srcu srcu;
	struct kvm_memslots memslot_sets[ADDRESS_SPACES_MAX][2];
	struct kvm_memslots *memslots[ADDRESS_SPACES_MAX];
	s64 nr_memslot_pages;
	bool manual_dirty_log, dirty_log_initially_set;

	struct lock mmu_lock, mn_invalidate_lock;
	s64 mn_active_invalidate_count;
	struct rcuwait mn_memslots_update_rcuwait;
	s64 mmu_invalidate_in_progress, mmu_invalidate_seq;
	s64 mmu_invalidate_range_start, mmu_invalidate_range_end;

	struct vec roots; /* struct root */
	int nr_vcpus;
	struct kvm_vcpu vcpus[VCPUS_MAX];
	struct map gpte_accessed; /* set: gfns whose guest PTE has its A bit */
	struct map mem_attr_array; /* gfn -> (void *)attributes; attributes are never 0 */

	struct lock gpc_lock;
	struct vec gpc_list; /* struct gfn_to_pfn_cache */
	struct map gpcs; /* number -> struct gfn_to_pfn_cache */
	s64 gpc_invalidate_seq;

	struct lock mmap_lock;
	struct map fds; /* fd -> struct gmem_file */
	struct vec frames; /* struct frame, by pfn */
	struct vec free_frames; /* a stack */
	s64 frames_max;
	struct mm_struct mm;
	struct frame *zero_frame;
	u32 busy; /* bit per task index + 1: inside an op; kept by the scheduler */

	s64 pages_4k, pf_fixed, tlb_flush, remote_tlb_flush;
	s64 notifier_zaps, notifier_locks, fault_retries;

	struct oracles *oracles;
};

enum failure {
	FAIL_MEMSLOT, FAIL_BITMAP, FAIL_METADATA, FAIL_FILE,
	FAIL_FOLIO, FAIL_XARRAY, FAIL_SIGNAL, FAIL_USER_COPY,
};

/* Whether an injected failure of this kind is due; uses it up. */
static inline bool take_failure(struct kvm *kvm, enum failure kind)
{
	bool due = kvm->fail >> kind & 1;

	kvm->fail &= ~(1u << kind);
	return due;
}

/* A WARN of the kernel fired; site is "function: condition". */
static inline void WARN_ON(struct kvm *kvm, const char *site)
{
	(void)kvm;
	report("warn", "%s", site);
}

/* A KVM_BUG or a BUG: the VM is dead from here on. */
static inline void KVM_BUG_ON(struct kvm *kvm, const char *site)
{
	kvm->dead = true;
	report("bug", "%s", site);
}
#define BUG(kvm, site) KVM_BUG_ON(kvm, site)

/* Report a use of a memslot structure that has been freed (KASAN would). */
static inline void check_slot_alive(struct kvm *kvm, struct kvm_memory_slot *slot, const char *user)
{
	(void)kvm;
	if (slot->freed)
		report("use-after-free", "memslot in %s", user);
}

static inline bool kvm_slot_has_gmem(const struct kvm_memory_slot *slot)
{
	return slot->flags & KVM_MEM_GUEST_MEMFD;
}

static inline bool kvm_memslot_is_gmem_only(const struct kvm_memory_slot *slot)
{
	return slot->flags & KVM_MEMSLOT_GMEM_ONLY;
}

static inline bool slot_invalid(const struct kvm_memory_slot *slot)
{
	return slot->flags & KVM_MEMSLOT_INVALID;
}

static inline s64 user_mem_slots(const struct kvm *kvm) /* KVM_USER_MEM_SLOTS */
{
	return kvm->x86 ? KVM_USER_MEM_SLOTS_X86 : KVM_USER_MEM_SLOTS_ARM64;
}

/* The slot bound to one file page, or NULL. */
struct kvm_memory_slot *gmem_bound_at(const struct gmem_file *file, s64 index);
/* The slots bound to file pages [start, end), by offset (struct kvm_memory_slot). */
struct vec gmem_bound_in(const struct gmem_file *file, s64 start, s64 end);

static inline bool gmem_supports_mmap(const struct gmem_inode *inode)
{
	return inode->flags & GUEST_MEMFD_FLAG_MMAP;
}

static inline bool gmem_init_shared(const struct gmem_inode *inode)
{
	return inode->flags & GUEST_MEMFD_FLAG_INIT_SHARED;
}

static inline bool vma_may_write(const struct vma *vma)
{
	return vma->prot & PROT_WRITE;
}

static inline s64 vma_index_of(const struct vma *vma, s64 page)
{
	return vma->pgoff + page - vma->start;
}

#include "kvm.h"
#include "observer.h"

#endif

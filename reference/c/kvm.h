/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The functions of the port that other files call, by file.  Each has the name of the kernel
 * function it mirrors, or of its part in the Python model; ranges are half open.
 */
#ifndef GMEMDIFF_KVM_H
#define GMEMDIFF_KVM_H

/* kvm_main.c: memory slots, MMU notifiers, dirty log, attributes, access by HVA, TLB flushes */
struct kvm_userspace_memory_region2 {
	u64 slot, as_id; /* as the program gives them: any number, not yet checked */
	u64 flags;
	u64 guest_phys_addr, memory_size, userspace_addr; /* bytes */
	s64 guest_memfd;
	u64 guest_memfd_offset; /* bytes */
};

enum kvm_mr_change { KVM_MR_CREATE, KVM_MR_DELETE, KVM_MR_MOVE, KVM_MR_FLAGS_ONLY };

s64 kvm_vm_ioctl_set_memory_region(struct kvm *kvm, struct kvm_userspace_memory_region2 *mem,
				   int version);
void kvm_mmu_invalidate_start(struct kvm *kvm);
void kvm_mmu_invalidate_range_add(struct kvm *kvm, s64 start, s64 end);
void kvm_mmu_invalidate_end(struct kvm *kvm);
bool kvm_mmu_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range);
void kvm_mmu_notifier_invalidate_range_start(struct kvm *kvm, s64 start, s64 end, bool blockable);
void kvm_mmu_notifier_invalidate_range_end(struct kvm *kvm, s64 start, s64 end);
bool kvm_mmu_notifier_clear_flush_young(struct kvm *kvm, s64 start, s64 end);
bool kvm_mmu_notifier_clear_young(struct kvm *kvm, s64 start, s64 end);
bool kvm_mmu_notifier_test_young(struct kvm *kvm, s64 address);
void kvm_mmu_notifier_release(struct kvm *kvm);
bool mmu_invalidate_retry_gfn(struct kvm *kvm, s64 mmu_seq, s64 gfn);
bool mmu_invalidate_retry(struct kvm *kvm, s64 mmu_seq);
void kvm_make_all_cpus_request(struct kvm *kvm, u32 request);
void kvm_flush_remote_tlbs(struct kvm *kvm);
void kvm_tlb_flush_vmid_range(struct kvm *kvm, s64 start, s64 end);
void kvm_service_local_tlb_flush_requests(struct kvm *kvm, struct kvm_vcpu *vcpu);
void mark_page_dirty_in_slot(struct kvm *kvm, struct kvm_memory_slot *slot, s64 gfn);
result_t kvm_vm_ioctl_get_dirty_log(struct kvm *kvm, s64 slot_id, s64 as_id);
result_t kvm_vm_ioctl_clear_dirty_log(struct kvm *kvm, s64 slot_id, u64 first, u64 num, u64 bits,
				      s64 as_id);
s64 enable_manual_dirty_log(struct kvm *kvm, bool initially_set);
s64 kvm_vm_ioctl_set_mem_attributes(struct kvm *kvm, u64 gpa, u64 size, u64 attributes, u64 flags);
bool kvm_range_has_memory_attributes(struct kvm *kvm, s64 start, s64 end, u64 attributes);
struct kvm_memory_slot *gfn_to_memslot(struct kvm *kvm, int as_id, s64 gfn);
result_t kvm_read_guest(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn); /* vcpu may be NULL */
s64 kvm_write_guest(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn, s64 value);

/* guest_memfd.c */
s64 kvm_gmem_create(struct kvm *kvm, s64 fd, u64 size, u64 flags);
void fput(struct kvm *kvm, struct gmem_file *file);
void task_work_run(struct kvm *kvm);
struct gmem_file *kvm_gmem_prepare(struct kvm *kvm, struct kvm_memory_slot *slot, s64 fd,
				   u64 offset, s64 *error); /* the file, or NULL; *error: errno */
s64 kvm_gmem_bind(struct kvm *kvm, struct kvm_memory_slot *slot);
void kvm_gmem_unbind(struct kvm *kvm, struct kvm_memory_slot *slot);
void kvm_gmem_invalidate_start(struct kvm *kvm, struct gmem_inode *inode, s64 start, s64 end);
void kvm_gmem_invalidate_end(struct kvm *kvm, struct gmem_inode *inode, s64 start, s64 end);
/* ERR_PTR */
struct frame *kvm_gmem_get_pfn(struct kvm *kvm, struct kvm_memory_slot *slot, s64 gfn);
result_t kvm_gmem_fault_user_mapping(struct kvm *kvm, struct gmem_inode *inode, s64 page, s64 index,
				     bool writable); /* a signal, or RESULT_OK */
s64 kvm_gmem_error_folio(struct kvm *kvm, struct gmem_inode *inode, struct frame *frame);
s64 kvm_gmem_close(struct kvm *kvm, s64 fd);
s64 kvm_gmem_fallocate(struct kvm *kvm, s64 fd, u64 mode, u64 offset, u64 length);
s64 kvm_gmem_punch_hole(struct kvm *kvm, struct gmem_inode *inode, s64 start, s64 end);

/* pfncache.c */
struct gfn_to_pfn_cache *gpc_of(struct kvm *kvm, s64 number);
void gfn_to_pfn_cache_invalidate_start(struct kvm *kvm, s64 start, s64 end);
s64 kvm_gpc_activate(struct kvm *kvm, s64 number, u64 gpa);
s64 kvm_gpc_activate_hva(struct kvm *kvm, s64 number, u64 hva);
s64 kvm_gpc_refresh(struct kvm *kvm, struct gfn_to_pfn_cache *gpc);
s64 gpc_use(struct kvm *kvm, s64 number, const s64 *value); /* NULL: read */
s64 kvm_gpc_deactivate(struct kvm *kvm, s64 number);

/* mmu_zap.c: removing leaves (arch/x86/kvm/mmu/mmu.c, tdp_mmu.c, arch/arm64/kvm/mmu.c) */
bool rwlock_needbreak(struct kvm *kvm);
void zap_leaf(struct kvm *kvm, struct root *root, s64 gfn);
bool kvm_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range);
void kvm_arch_flush_shadow_memslot(struct kvm *kvm, struct kvm_memory_slot *slot);
void kvm_flush_shadow_all(struct kvm *kvm);
void kvm_mmu_free_obsolete_roots(struct kvm *kvm, struct kvm_vcpu *vcpu);
void kvm_mmu_reload(struct kvm *kvm, struct kvm_vcpu *vcpu, int as_id, bool l2);
struct root *kvm_mmu_load(struct kvm *kvm, struct kvm_vcpu *vcpu, int as_id, bool l2);

/* mmu_age.c: accessed state of leaves, write protection for dirty logging */
bool kvm_age_gfn(struct kvm *kvm, struct kvm_gfn_range *range);
bool kvm_test_age_gfn(struct kvm *kvm, struct kvm_gfn_range *range);
#define KINDS_ALL (1u << ROOT_TDP | 1u << ROOT_SHADOW | 1u << ROOT_S2)
/* gfns: a set (struct map), or NULL for [start, end). */
bool write_protect_gfns(struct kvm *kvm, struct kvm_memory_slot *slot, const struct map *gfns,
			s64 start, s64 end, u32 kinds);
void kvm_mmu_slot_apply_flags(struct kvm *kvm, struct kvm_memory_slot *old,
			      struct kvm_memory_slot *new);

/* fault_x86.c */
result_t kvm_mmu_do_page_fault(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn, bool write,
			       int as_id, bool l2, bool prefetch);
/* Also for arm64. */
void note_pfn(struct kvm *kvm, struct kvm_page_fault *fault, struct frame *frame);
void kvm_mmu_finish_page_fault(struct kvm *kvm, struct kvm_page_fault *fault);
void make_spte(struct kvm *kvm, struct root *root, struct kvm_memory_slot *slot, s64 gfn,
	       struct frame *frame, s64 generation, bool writable, struct kvm_page_fault *fault);

/* fault_arm64.c */
result_t kvm_handle_guest_abort(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn, bool write,
				bool l2);

/* vcpu.c (arch/x86/kvm/x86.c) */
void vcpu_exit(struct kvm *kvm, struct kvm_vcpu *vcpu);
result_t kvm_vcpu_run(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn, const s64 *value, bool l2,
		      s64 as_id); /* value NULL: read */
s64 guest_flush(struct kvm *kvm, struct kvm_vcpu *vcpu);
s64 kvm_vcpu_pre_fault_memory(struct kvm *kvm, struct kvm_vcpu *vcpu, u64 gpa, u64 size);
#define NO_BACKING INT64_MIN
s64 backing_of(struct kvm *kvm, s64 gfn, int as_id); /* NO_BACKING: MMIO, cannot be mapped */

/* frames.c */
struct frame *alloc_page(struct kvm *kvm); /* NULL: none left */
void clear_page(struct frame *frame);
void put_page(struct kvm *kvm, struct frame *frame);
s64 read_frame(struct kvm *kvm, struct frame *frame, s64 generation, const char *who);
void write_frame(struct kvm *kvm, struct frame *frame, s64 generation, s64 value, const char *who);

/* mm_vma.c */
struct vma_part { /* the part [start, end) of a VMA */
	struct vma *vma;
	s64 start, end;
};
bool page_range(u64 hva, u64 length, s64 *start, s64 *end); /* false: refused */
struct vec vmas_in(struct kvm *kvm, s64 start, s64 end); /* struct vma_part */
struct vec split_vmas(struct kvm *kvm, s64 start, s64 end); /* struct vma */
/* struct frame, references kept */
struct vec zap_ptes(struct kvm *kvm, s64 start, s64 end, bool drop_markers);
void unmap_vmas(struct kvm *kvm, struct vec *vmas, s64 start, s64 end);
void detach(struct kvm *kvm, struct vec *vmas);
void drop_files(struct kvm *kvm, struct vec *vmas);
u64 page_align(u64 length);
s64 do_munmap(struct kvm *kvm, u64 hva, u64 length);
s64 do_mmap(struct kvm *kvm, u64 hva, u64 length, s64 fd, u64 offset, u64 prot, bool shared);
void insert_vma(struct kvm *kvm, struct vma *vma);
s64 do_mremap(struct kvm *kvm, u64 hva, u64 length, u64 new_length, u64 to);
s64 do_mprotect(struct kvm *kvm, u64 hva, u64 length, u64 prot);
#define PROT_UNCHANGED NULL /* a NUMA scan; any number can be a prot of the program */
bool can_change_pte_writable(struct kvm *kvm, struct vma *vma, const struct pte *pte);
void change_protection(struct kvm *kvm, struct vma *vma, s64 start, s64 end, const u64 *prot);
#define NOT_POPULATED INT64_MIN
s64 first_populated(struct kvm *kvm, s64 start, s64 end); /* a page, or NOT_POPULATED */
s64 do_mbind(struct kvm *kvm, u64 hva, u64 length, s64 policy);
s64 do_fork(struct kvm *kvm);
s64 child_exit(struct kvm *kvm);

/* mm_fault.c */
struct vma *find_vma(struct kvm *kvm, s64 page); /* NULL: none covers it */
void set_pte(struct kvm *kvm, s64 page, struct frame *frame, bool writable);
struct frame *clear_pte(struct kvm *kvm, s64 page); /* NULL: there was none */
struct frame *zero_page(struct kvm *kvm);
result_t handle_mm_fault(struct kvm *kvm, struct vma *vma, s64 page, bool write);
bool usable(const struct pte *pte, bool write); /* pte may be NULL */
bool allowed(const struct vma *vma, bool write);
bool check_vma_flags(const struct vma *vma, bool write);
struct frame *get_user_page_fast_only(struct kvm *kvm, s64 page, bool write); /* NULL: no */
struct frame *get_user_pages(struct kvm *kvm, s64 page, bool write); /* ERR_PTR */
bool is_poisoned(struct kvm *kvm, struct vma *vma, s64 page);
struct frame *hva_to_pfn(struct kvm *kvm, s64 page, bool write, bool try_write,
			 bool *writable); /* ERR_PTR */
result_t user_access(struct kvm *kvm, s64 page, bool write, s64 value);

/* mm_rmap.c */
struct keys pages_mapping(struct kvm *kvm, struct frame *frame);
bool unmap_one(struct kvm *kvm, s64 page, struct frame *frame, struct entry *entry); /* or NULL */
void unmap_mapping_folio(struct kvm *kvm, struct gmem_inode *inode, struct frame *frame, s64 index);
s64 do_pages_move(struct kvm *kvm, s64 page);
s64 migrate_page(struct kvm *kvm, s64 page);
s64 compact_page(struct kvm *kvm, s64 page);
s64 reclaim_page(struct kvm *kvm, s64 page, bool check_young);
s64 ksm_merge(struct kvm *kvm, s64 page, s64 other);
s64 memory_failure(struct kvm *kvm, struct frame *frame);
s64 memory_failure_at(struct kvm *kvm, s64 page);
s64 memory_failure_gmem(struct kvm *kvm, s64 fd, u64 offset);
s64 numa_scan(struct kvm *kvm, s64 start, s64 end);
enum how_to_age { AGE_CLEAR, AGE_TEST, AGE_CLEAR_FLUSH };
s64 age_page(struct kvm *kvm, s64 page, enum how_to_age how);
s64 oom_reap(struct kvm *kvm);
s64 exit_mmap(struct kvm *kvm);

/* mm_advice.c */
enum advice { /* in the order of ADVICE, fuzz/vocabulary.py */
	MADV_DONTNEED, MADV_DONTNEED_LOCKED, MADV_FREE, MADV_REMOVE, MADV_PAGEOUT, MADV_COLD,
	MADV_GUARD_INSTALL, MADV_GUARD_REMOVE, MADV_HWPOISON, MADV_SOFT_OFFLINE,
	MADV_POPULATE_WRITE,
};
result_t do_madvise(struct kvm *kvm, u64 hva, u64 length, enum advice advice);
s64 populate(struct kvm *kvm, s64 start, s64 end);
void zap_vma_range(struct kvm *kvm, s64 start, s64 end, bool blockable);
s64 do_mlock(struct kvm *kvm, u64 hva, u64 length);
s64 do_msync(struct kvm *kvm, u64 hva, u64 length);
s64 uffd_writeprotect(struct kvm *kvm, u64 hva, u64 length, bool wp_async);
s64 clear_refs_write(struct kvm *kvm);
s64 do_pagemap_scan(struct kvm *kvm, u64 hva, u64 length);

#endif

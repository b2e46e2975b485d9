/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The x86 page fault: from a guest access to an installed leaf.  arch/x86/kvm/mmu/mmu.c, tdp_mmu.c,
 * spte.c and paging_tmpl.h.
 *
 * The pfn is looked up without mmu_lock; the sequence snapshot before, and the stale check under
 * mmu_lock after, make sure that no invalidation came between.
 */
#include "kvm_host.h"

static result_t kvm_tdp_mmu_page_fault(struct kvm *kvm, struct kvm_page_fault *fault);
static result_t direct_page_fault(struct kvm *kvm, struct kvm_page_fault *fault);
static result_t FNAME_page_fault(struct kvm *kvm, struct kvm_page_fault *fault);

/* vcpu->arch.mmu->root of the fault, or NULL when none is loaded. */
static struct root *fault_root(const struct kvm_page_fault *fault)
{
	return map_get(&fault->vcpu->roots, ROOT_KEY(fault->as_id, fault->l2));
}

/* kvm_mem_is_private(), include/linux/kvm_host.h. */
static bool kvm_mem_is_private(const struct kvm *kvm, s64 gfn)
{
	return (u64)map_get(&kvm->mem_attr_array, gfn) & KVM_MEMORY_ATTRIBUTE_PRIVATE;
}

/*
 * kvm_mmu_do_page_fault(), arch/x86/kvm/mmu/mmu_internal.h.  prefetch is true for
 * KVM_PRE_FAULT_MEMORY.  Must be called with SRCU held for reading.
 */
result_t kvm_mmu_do_page_fault(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn, bool write,
			       int as_id, bool l2, bool prefetch)
{
	struct kvm_page_fault fault = {
		.vcpu = vcpu,
		.gfn = gfn,
		.write = write,
		.l2 = l2,
		.prefetch = prefetch,
		.is_private = kvm_mem_is_private(kvm, gfn),
		.as_id = as_id,
	};

	STEP("kvm_mmu_do_page_fault.slot");
	fault.slot = gfn_to_memslot(kvm, as_id, gfn);
	if (kvm->features.tdp_mmu && !l2)
		return kvm_tdp_mmu_page_fault(kvm, &fault);
	if (kvm->features.shadow || l2)
		return FNAME_page_fault(kvm, &fault);
	return direct_page_fault(kvm, &fault);
}

/*
 * fast_page_fault(), arch/x86/kvm/mmu/mmu.c.  Restores write permission on a present leaf, without
 * any lock; never brings a new pfn.
 */
static result_t fast_page_fault(struct kvm *kvm, struct kvm_page_fault *fault)
{
	struct root *root = fault_root(fault);
	struct spte *spte;

	if (!root || root->invalid || !fault->write)
		return RET_PF_CONTINUE;
	spte = map_get(&root->sptes, fault->gfn);
	if (!spte)
		return RET_PF_CONTINUE;

	if (spte->writable)
		return RET_PF_SPURIOUS;
	if (!spte->host_writable)
		return RET_PF_CONTINUE;
	spte->writable = true;
	if (fault->slot)
		mark_page_dirty_in_slot(kvm, fault->slot, fault->gfn);
	return RET_PF_FIXED;
}

static bool mmu_invalidate_retry_gfn_unsafe(struct kvm *kvm, struct kvm_page_fault *fault);
static result_t __kvm_mmu_faultin_pfn(struct kvm *kvm, struct kvm_page_fault *fault);

/* kvm_mmu_faultin_pfn(), arch/x86/kvm/mmu/mmu.c. */
static result_t kvm_mmu_faultin_pfn(struct kvm *kvm, struct kvm_page_fault *fault)
{
	struct kvm_memory_slot *slot = fault->slot;
	result_t r;

	STEP("kvm_mmu_faultin_pfn.mmu_seq");
	fault->mmu_seq = kvm->mmu_invalidate_seq;

	if (fault->is_private != kvm_mem_is_private(kvm, fault->gfn))
		return -EFAULT;

	if (!slot) {
		struct root *root = fault_root(fault);

		if (root)
			root->tables = true; /* of an MMIO leaf: kvm_handle_noslot_fault() */
		return fault->is_private ? -EFAULT : RET_PF_EMULATE;
	}

	/* A pre-fault would spin with SRCU held, for which the update of the slot waits. */
	if (slot_invalid(slot))
		return fault->prefetch ? -EAGAIN : RET_PF_RETRY;

	if (mmu_invalidate_retry_gfn_unsafe(kvm, fault))
		return RET_PF_RETRY;

	r = __kvm_mmu_faultin_pfn(kvm, fault);
	if (r != RET_PF_CONTINUE)
		return r;

	STEP("kvm_mmu_faultin_pfn.recheck");
	if (mmu_invalidate_retry_gfn_unsafe(kvm, fault)) {
		kvm_mmu_finish_page_fault(kvm, fault);
		return RET_PF_RETRY;
	}
	return RET_PF_CONTINUE;
}

/*
 * mmu_invalidate_retry_gfn_unsafe(), include/linux/kvm_host.h.  Without mmu_lock it may only save
 * work: the real check comes under the lock.
 */
static bool mmu_invalidate_retry_gfn_unsafe(struct kvm *kvm, struct kvm_page_fault *fault)
{
	if (kvm->mmu_invalidate_in_progress &&
	    fault->gfn >= kvm->mmu_invalidate_range_start &&
	    fault->gfn < kvm->mmu_invalidate_range_end)
		return true;
	return kvm->mmu_invalidate_seq != fault->mmu_seq;
}

static result_t kvm_mmu_faultin_pfn_gmem(struct kvm *kvm, struct kvm_page_fault *fault);
static result_t kvm_faultin_pfn_hva(struct kvm *kvm, struct kvm_page_fault *fault);

/* __kvm_mmu_faultin_pfn(), arch/x86/kvm/mmu/mmu.c: guest_memfd or user page. */
static result_t __kvm_mmu_faultin_pfn(struct kvm *kvm, struct kvm_page_fault *fault)
{
	if (fault->is_private || kvm_memslot_is_gmem_only(fault->slot))
		return kvm_mmu_faultin_pfn_gmem(kvm, fault);
	return kvm_faultin_pfn_hva(kvm, fault);
}

/* kvm_mmu_faultin_pfn_gmem(), arch/x86/kvm/mmu/mmu.c. */
static result_t kvm_mmu_faultin_pfn_gmem(struct kvm *kvm, struct kvm_page_fault *fault)
{
	struct kvm_memory_slot *slot = fault->slot;
	struct frame *frame;

	if (!kvm_slot_has_gmem(slot))
		return -EFAULT;

	frame = kvm_gmem_get_pfn(kvm, slot, fault->gfn);
	if (IS_ERR(frame))
		return PTR_ERR(frame);

	note_pfn(kvm, fault, frame);
	fault->map_writable = !(slot->flags & KVM_MEM_READONLY);
	return RET_PF_CONTINUE;
}

/*
 * The ordinary half of __kvm_mmu_faultin_pfn(), arch/x86/kvm/mmu/mmu.c, over __kvm_faultin_pfn(),
 * virt/kvm/kvm_main.c.  A write to a read-only slot is emulated.
 */
static result_t kvm_faultin_pfn_hva(struct kvm *kvm, struct kvm_page_fault *fault)
{
	struct kvm_memory_slot *slot = fault->slot;
	s64 page = slot->userspace_addr + fault->gfn - slot->base_gfn;
	bool may_write = !(slot->flags & KVM_MEM_READONLY);
	struct frame *frame;
	bool writable;

	if (fault->write && !may_write)
		return RET_PF_EMULATE;

	frame = hva_to_pfn(kvm, page, fault->write, may_write, &writable);
	if (IS_ERR(frame))
		return PTR_ERR(frame) == -EHWPOISON ? RESULT_SIGBUS : PTR_ERR(frame);

	note_pfn(kvm, fault, frame);
	fault->map_writable = writable && !(slot->flags & KVM_MEM_READONLY);
	return RET_PF_CONTINUE;
}

/* Keep the pfn that a fault found, and tell the observer; mirrors no kernel function. */
void note_pfn(struct kvm *kvm, struct kvm_page_fault *fault, struct frame *frame)
{
	fault->frame = frame;
	fault->generation = frame->generation;
	watch_pfn_read(kvm, fault);
}

/* kvm_mmu_finish_page_fault(), arch/x86/kvm/mmu/mmu.c: drop the page reference. */
void kvm_mmu_finish_page_fault(struct kvm *kvm, struct kvm_page_fault *fault)
{
	if (!fault->frame)
		return;
	put_page(kvm, fault->frame);
	fault->frame = NULL;
}

/* is_page_fault_stale(), arch/x86/kvm/mmu/mmu.c; mmu_lock is held. */
static bool is_page_fault_stale(struct kvm *kvm, struct kvm_page_fault *fault)
{
	struct root *root = fault_root(fault);

	if (!root || root->invalid)
		return true;
	return fault->slot && mmu_invalidate_retry_gfn(kvm, fault->mmu_seq, fault->gfn);
}

static result_t kvm_tdp_mmu_map(struct kvm *kvm, struct kvm_page_fault *fault);

/* kvm_tdp_mmu_page_fault(), arch/x86/kvm/mmu/mmu.c: maps with mmu_lock held for reading. */
static result_t kvm_tdp_mmu_page_fault(struct kvm *kvm, struct kvm_page_fault *fault)
{
	result_t r;

	STEP("fast_page_fault.walk");
	r = fast_page_fault(kvm, fault);
	if (r != RET_PF_CONTINUE)
		return r;

	r = kvm_mmu_faultin_pfn(kvm, fault);
	if (r != RET_PF_CONTINUE)
		return r;

	r = RET_PF_RETRY;
	read_lock(&kvm->mmu_lock, "kvm_tdp_mmu_page_fault.mmu_lock");

	if (is_page_fault_stale(kvm, fault))
		goto out_unlock;

	STEP("kvm_tdp_mmu_map.install");
	r = kvm_tdp_mmu_map(kvm, fault);

out_unlock:
	kvm_mmu_finish_page_fault(kvm, fault);
	read_unlock(&kvm->mmu_lock);
	return r;
}

/* kvm_tdp_mmu_map(), arch/x86/kvm/mmu/tdp_mmu.c; the leaf is written by one atomic exchange. */
static result_t kvm_tdp_mmu_map(struct kvm *kvm, struct kvm_page_fault *fault)
{
	struct root *root = fault_root(fault);
	struct spte *old;

	if (!root)
		return RET_PF_RETRY;

	old = map_get(&root->sptes, fault->gfn);
	if (old && old->frame != fault->frame)
		BUG(kvm, "kvm_tdp_mmu_map: a present leaf changes its pfn");
	else if (old && (old->writable || !fault->write))
		return RET_PF_SPURIOUS;

	make_spte(kvm, root, fault->slot, fault->gfn, fault->frame, fault->generation,
		  fault->map_writable, fault);
	return RET_PF_FIXED;
}

/*
 * make_spte(), arch/x86/kvm/mmu/spte.c, and the writing of the leaf.
 *
 * A writable leaf in a logged slot marks its page dirty at once.  fault is NULL for a prefetched
 * leaf, which starts with its accessed bit clear.
 */
void make_spte(struct kvm *kvm, struct root *root, struct kvm_memory_slot *slot, s64 gfn,
	       struct frame *frame, s64 generation, bool writable, struct kvm_page_fault *fault)
{
	struct spte *spte = new_object(struct spte);
	bool prefetched = !fault;

	if (!map_has(&root->sptes, gfn))
		kvm->pages_4k++;

	spte->frame = frame;
	spte->generation = generation;
	spte->writable = writable;
	spte->host_writable = writable; /* may be made writable again without a new pfn */
	spte->accessed = !prefetched;
	spte->prefetched = prefetched;
	map_put(&root->sptes, gfn, spte);
	root->tables = true;

	if (writable)
		mark_page_dirty_in_slot(kvm, slot, gfn);
	watch_spte_installed(kvm, root, gfn, spte, fault);
}

static result_t direct_map(struct kvm *kvm, struct kvm_page_fault *fault);

/* direct_page_fault(), arch/x86/kvm/mmu/mmu.c: the legacy direct MMU (tdp_mmu=0). */
static result_t direct_page_fault(struct kvm *kvm, struct kvm_page_fault *fault)
{
	result_t r;

	STEP("fast_page_fault.walk");
	r = fast_page_fault(kvm, fault);
	if (r != RET_PF_CONTINUE)
		return r;

	r = kvm_mmu_faultin_pfn(kvm, fault);
	if (r != RET_PF_CONTINUE)
		return r;

	r = RET_PF_RETRY;
	write_lock(&kvm->mmu_lock, "direct_page_fault.mmu_lock");

	if (is_page_fault_stale(kvm, fault))
		goto out_unlock;

	r = direct_map(kvm, fault);

out_unlock:
	kvm_mmu_finish_page_fault(kvm, fault);
	write_unlock(&kvm->mmu_lock);
	return r;
}

static result_t mmu_set_spte(struct kvm *kvm, struct kvm_page_fault *fault);
static void direct_pte_prefetch(struct kvm *kvm, struct kvm_page_fault *fault);

/* direct_map(), arch/x86/kvm/mmu/mmu.c: the leaf, then its neighbours. */
static result_t direct_map(struct kvm *kvm, struct kvm_page_fault *fault)
{
	result_t ret = mmu_set_spte(kvm, fault);

	if (ret == RET_PF_SPURIOUS)
		return ret;

	STEP("direct_pte_prefetch.walk");
	direct_pte_prefetch(kvm, fault);
	return ret;
}

/* mmu_set_spte(), arch/x86/kvm/mmu/mmu.c; mmu_lock is held for writing. */
static result_t mmu_set_spte(struct kvm *kvm, struct kvm_page_fault *fault)
{
	struct root *root = fault_root(fault);
	struct spte *old = map_get(&root->sptes, fault->gfn);

	if (old && old->frame != fault->frame) {
		if (root->kind == ROOT_SHADOW && !kvm->features.shadow && !root->l2)
			WARN_ON(kvm, "mmu_set_spte: a direct leaf changes its pfn");
		zap_leaf(kvm, root, fault->gfn);
		kvm_flush_remote_tlbs(kvm);
	} else if (old && (old->writable || !fault->write)) {
		return RET_PF_SPURIOUS;
	}

	make_spte(kvm, root, fault->slot, fault->gfn, fault->frame, fault->generation,
		  fault->map_writable, fault);
	return RET_PF_FIXED;
}

/* The start of the aligned block of leaves that prefetch looks at (mmu.c of x86). */
static s64 prefetch_first(s64 gfn)
{
	return gfn & ~(s64)(PTE_PREFETCH_NUM - 1);
}

static bool kvm_mmu_prefetch_sptes(struct kvm *kvm, struct kvm_page_fault *fault,
				   struct root *root, s64 gfn, s64 count);

/*
 * direct_pte_prefetch(), arch/x86/kvm/mmu/mmu.c.  Runs of non-present neighbours are filled from
 * user page tables, whatever the slot's provider is.  Not while any invalidation is in progress.
 */
static void direct_pte_prefetch(struct kvm *kvm, struct kvm_page_fault *fault)
{
	struct root *root = fault_root(fault);
	s64 first = prefetch_first(fault->gfn);
	s64 run = 0; /* how many leaves just before gfn are not present */

	if (kvm->mmu_invalidate_in_progress)
		return;

	for (s64 gfn = first; gfn < first + PTE_PREFETCH_NUM; gfn++) {
		if (gfn != fault->gfn && !map_has(&root->sptes, gfn)) {
			run++;
			continue;
		}
		if (run && !kvm_mmu_prefetch_sptes(kvm, fault, root, gfn - run, run))
			return;
		run = 0;
	}
	if (run)
		kvm_mmu_prefetch_sptes(kvm, fault, root, first + PTE_PREFETCH_NUM - run, run);
}

/*
 * kvm_mmu_prefetch_sptes(), arch/x86/kvm/mmu/mmu.c.  Takes what a lockless, write-intent look at
 * the user page tables yields, from the start of the run up to the first page that is not there.
 */
static bool kvm_mmu_prefetch_sptes(struct kvm *kvm, struct kvm_page_fault *fault,
				   struct root *root, s64 gfn, s64 count)
{
	struct kvm_memory_slot *slot = gfn_to_memslot(kvm, fault->as_id, gfn);
	bool done = false;

	if (!slot || slot_invalid(slot) || slot->dirty_bitmap)
		return false;
	if (slot->flags & KVM_MEM_READONLY || gfn + count > slot->base_gfn + slot->npages)
		return false;

	for (s64 end = gfn + count; gfn < end; gfn++) {
		s64 page = slot->userspace_addr + gfn - slot->base_gfn;
		struct frame *frame = get_user_page_fast_only(kvm, page, true);

		if (!frame)
			break;
		make_spte(kvm, root, slot, gfn, frame, frame->generation, true, NULL);
		put_page(kvm, frame);
		done = true;
	}
	return done;
}

static void FNAME_pte_prefetch(struct kvm *kvm, struct kvm_page_fault *fault);

/*
 * FNAME(page_fault)(), arch/x86/kvm/mmu/paging_tmpl.h.
 *
 * Assumption: guest page tables map every page to itself, writable, and live outside the modelled
 * slots; walking them sets their accessed bit and never fails.
 */
static result_t FNAME_page_fault(struct kvm *kvm, struct kvm_page_fault *fault)
{
	result_t r;

	STEP("FNAME_walk_addr.gpte");
	set_add(&kvm->gpte_accessed, fault->gfn);

	r = kvm_mmu_faultin_pfn(kvm, fault);
	if (r != RET_PF_CONTINUE)
		return r;

	r = RET_PF_RETRY;
	write_lock(&kvm->mmu_lock, "FNAME_page_fault.mmu_lock");

	if (is_page_fault_stale(kvm, fault))
		goto out_unlock;

	r = mmu_set_spte(kvm, fault);
	if (r == RET_PF_SPURIOUS)
		goto out_unlock;

	STEP("FNAME_pte_prefetch.walk");
	FNAME_pte_prefetch(kvm, fault);

out_unlock:
	kvm_mmu_finish_page_fault(kvm, fault);
	write_unlock(&kvm->mmu_lock);
	return r;
}

/*
 * FNAME(pte_prefetch)(), arch/x86/kvm/mmu/paging_tmpl.h: one by one, up to the first that the
 * guest's own PTE does not call accessed.
 */
static void FNAME_pte_prefetch(struct kvm *kvm, struct kvm_page_fault *fault)
{
	struct root *root = fault_root(fault);
	s64 first = prefetch_first(fault->gfn);

	if (kvm->mmu_invalidate_in_progress)
		return;

	for (s64 gfn = first; gfn < first + PTE_PREFETCH_NUM; gfn++) {
		if (map_has(&root->sptes, gfn))
			continue;
		if (!map_has(&kvm->gpte_accessed, gfn) ||
		    !kvm_mmu_prefetch_sptes(kvm, fault, root, gfn, 1))
			return;
	}
}

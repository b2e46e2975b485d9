/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vCPU running guest code: entry, one access through its TLB, exit, fault, again.
 * arch/x86/kvm/x86.c and arch/arm64/kvm/arm.c.
 *
 * SRCU is held while an exit is handled, and not while guest code runs; a vCPU stays in guest mode
 * between two accesses until it is kicked.
 */
#include "kvm_host.h"

static bool kvm_vcpu_exit_request(struct kvm *kvm, struct kvm_vcpu *vcpu);

/*
 * vcpu_enter_guest(), arch/x86/kvm/x86.c, and kvm_arch_vcpu_ioctl_run() of arm64.
 *
 * Requests are looked at again after the mode says IN_GUEST: a sender that saw the vCPU outside did
 * not interrupt it, and relies on this second look.
 */
static void vcpu_enter_guest(struct kvm *kvm, struct kvm_vcpu *vcpu, int as_id, bool l2)
{
	for (;;) {
		STEP("vcpu_enter_guest.requests");
		kvm_service_local_tlb_flush_requests(kvm, vcpu);
		kvm_mmu_reload(kvm, vcpu, as_id, l2);
		((struct root *)map_get(&vcpu->roots, ROOT_KEY(as_id, l2)))->tables = true;

		STEP("vcpu_enter_guest.mode");
		vcpu->mode = IN_GUEST_MODE;
		if (!kvm_vcpu_exit_request(kvm, vcpu))
			break;
		vcpu->mode = OUTSIDE_GUEST_MODE;
	}
	srcu_read_unlock(&kvm->srcu);
}

/* kvm_vcpu_exit_request(), arch/x86/kvm/x86.c. */
static bool kvm_vcpu_exit_request(struct kvm *kvm, struct kvm_vcpu *vcpu)
{
	return vcpu->requests;
}

/* The end of vcpu_enter_guest(), arch/x86/kvm/x86.c: out of the guest, with SRCU for what comes. */
void vcpu_exit(struct kvm *kvm, struct kvm_vcpu *vcpu)
{
	vcpu->mode = OUTSIDE_GUEST_MODE;
	srcu_read_lock(&kvm->srcu);
}

static result_t kvm_mmu_page_fault(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn, bool write,
				   int as_id, bool l2);
static struct tlb_entry *translate(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn, bool write,
				   int as_id, bool l2);
static s64 run_guest_access(struct kvm *kvm, struct kvm_vcpu *vcpu, struct tlb_entry *entry,
			    s64 gfn, const s64 *value, int as_id);

/*
 * vcpu_run(), arch/x86/kvm/x86.c: guest code touches one page; KVM_RUN until the access is done.
 *
 * value NULL loads; otherwise stores.  Returns the value loaded, 0 for a store, or what user space
 * sees of a fault that KVM could not resolve: RESULT_MMIO, another word, or an errno
 * (kvm_prepare_memory_fault_exit(), include/linux/kvm_host.h).
 */
result_t kvm_vcpu_run(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn, const s64 *value, bool l2,
		      s64 as_id)
{
	bool write = value;

	if (as_id >= kvm->nr_as || (l2 && kvm->shadow_paging))
		return -EINVAL;

	if (vcpu->mode == OUTSIDE_GUEST_MODE || !map_has(&vcpu->roots, ROOT_KEY(as_id, l2))) {
		vcpu_exit(kvm, vcpu);
		vcpu_enter_guest(kvm, vcpu, as_id, l2);
	}

	for (;;) {
		struct tlb_entry *entry;
		result_t r;

		STEP("guest.access");
		if (vcpu->mode != IN_GUEST_MODE) { /* kicked */
			srcu_read_lock(&kvm->srcu);
			vcpu_enter_guest(kvm, vcpu, as_id, l2);
			continue;
		}

		entry = translate(kvm, vcpu, gfn, write, as_id, l2);
		if (entry)
			return run_guest_access(kvm, vcpu, entry, gfn, value, as_id);

		vcpu_exit(kvm, vcpu);
		r = kvm_mmu_page_fault(kvm, vcpu, gfn, write, as_id, l2);
		if (r == RET_PF_RETRY) {
			/* Back into the guest, which drops SRCU; the instruction faults again. */
			srcu_read_unlock(&kvm->srcu);
			kvm->fault_retries++;
			RETRY("vcpu_run.retry");
			srcu_read_lock(&kvm->srcu);
		} else if (r != RET_PF_FIXED && r != RET_PF_SPURIOUS) {
			srcu_read_unlock(&kvm->srcu);
			return r;
		}

		/* xfer_to_guest_mode_handle_work(): with SRCU dropped. */
		if (current->task_work.n) {
			srcu_read_unlock(&kvm->srcu);
			task_work_run(kvm);
			srcu_read_lock(&kvm->srcu);
		}
		vcpu_enter_guest(kvm, vcpu, as_id, l2);
	}
}

/* kvm_mmu_page_fault(), arch/x86/kvm/mmu/mmu.c, or the arm64 abort. */
static result_t kvm_mmu_page_fault(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn, bool write,
				   int as_id, bool l2)
{
	result_t r;

	if (kvm->dead)
		return -EIO;
	if (!kvm->x86)
		return kvm_handle_guest_abort(kvm, vcpu, gfn, write, l2);

	r = kvm_mmu_do_page_fault(kvm, vcpu, gfn, write, as_id, l2, false);
	if (r == RET_PF_FIXED) /* those that KVM_PRE_FAULT_MEMORY makes are not counted */
		kvm->pf_fixed++;
	return r == -EAGAIN ? RET_PF_RETRY : r;
}

/*
 * The MMU of the processor: a TLB hit, else a walk that caches what it finds, else a fault (NULL).
 *
 * A walk sets the leaf's accessed bit (x86), or faults while it is clear (arm64 without hardware
 * access flags).
 */
static struct tlb_entry *translate(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn, bool write,
				   int as_id, bool l2)
{
	s64 key = TLB_KEY(gfn, as_id, l2);
	struct tlb_entry *entry = map_get(&vcpu->tlb, key);
	struct root *root;
	struct spte *spte;

	if (entry && (entry->writable || !write))
		return entry;

	root = map_get(&vcpu->roots, ROOT_KEY(as_id, l2));
	spte = root ? map_get(&root->sptes, gfn) : NULL;
	if (!spte || (write && !spte->writable) || !(kvm->x86 || spte->accessed))
		return NULL;
	spte->accessed = true;

	entry = new_object(struct tlb_entry);
	entry->frame = spte->frame;
	entry->generation = spte->generation;
	entry->writable = spte->writable;
	map_put(&vcpu->tlb, key, entry);
	if (kvm->features.shadow || l2)
		set_add(&kvm->gpte_accessed, gfn);
	watch_tlb_filled(kvm, vcpu, gfn, entry, spte, as_id);
	return entry;
}

/*
 * The guest's load or store itself, through a cached translation (hardware).  Reports name a vCPU
 * without its number.
 */
static s64 run_guest_access(struct kvm *kvm, struct kvm_vcpu *vcpu, struct tlb_entry *entry,
			    s64 gfn, const s64 *value, int as_id)
{
	if (!value)
		return read_frame(kvm, entry->frame, entry->generation, "vcpu");
	write_frame(kvm, entry->frame, entry->generation, *value, "vcpu");
	watch_guest_wrote(kvm, vcpu, gfn_to_memslot(kvm, as_id, gfn), gfn);
	return 0;
}

/*
 * The guest flushes its own TLB: hardware, or with shadow paging kvm_set_cr3(),
 * arch/x86/kvm/regs.c, whose flush is counted.
 */
s64 guest_flush(struct kvm *kvm, struct kvm_vcpu *vcpu)
{
	if (vcpu->mode == OUTSIDE_GUEST_MODE || !map_has(&vcpu->roots, ROOT_KEY(0, false))) {
		vcpu_exit(kvm, vcpu);
		vcpu_enter_guest(kvm, vcpu, 0, false);
	}
	map_clear(&vcpu->tlb);
	if (kvm->features.shadow)
		kvm->tlb_flush++;
	return 0;
}

static s64 kvm_tdp_map_page(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn);

/*
 * kvm_vcpu_pre_fault_memory(), virt/kvm/kvm_main.c.  Returns the pages done, or an errno when the
 * first one already failed.  arm64 has no such ioctl, and answers EINVAL to one that it does not
 * know.
 */
s64 kvm_vcpu_pre_fault_memory(struct kvm *kvm, struct kvm_vcpu *vcpu, u64 gpa, u64 size)
{
	s64 done = 0, r = 0;
	u64 end;

	if (!kvm->x86)
		return -EINVAL;
	if (gpa & PAGE_MASK || size & PAGE_MASK || !size)
		return -EINVAL;
	if (__builtin_add_overflow(gpa, size, &end))
		return -EINVAL;

	vcpu->mode = OUTSIDE_GUEST_MODE;
	srcu_read_lock(&kvm->srcu);
	for (u64 gfn = gpa >> PAGE_SHIFT; gfn < end >> PAGE_SHIFT; gfn++) {
		if (take_failure(kvm, FAIL_SIGNAL)) {
			r = -EINTR;
			break;
		}
		r = kvm_tdp_map_page(kvm, vcpu, gfn);
		if (r)
			break;
		done++;
	}
	srcu_read_unlock(&kvm->srcu);
	return done ? done : r;
}

/*
 * kvm_arch_vcpu_pre_fault_memory() and kvm_tdp_map_page(), arch/x86/kvm/mmu/mmu.c.
 *
 * Loops on a retry with SRCU held, which is why an INVALID slot must not be retried here.
 * Assumption: a root that went obsolete meanwhile is loaded anew before each try; a kernel that
 * does so only once per page would spin here until a signal.
 */
static s64 kvm_tdp_map_page(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn)
{
	for (;;) {
		result_t r;

		if (kvm->dead)
			return -EIO;
		kvm_mmu_reload(kvm, vcpu, 0, false);
		if (!kvm->features.pre_fault)
			return -EOPNOTSUPP;

		r = kvm_mmu_do_page_fault(kvm, vcpu, gfn, false, 0, false, true);
		switch (r) {
		case RET_PF_FIXED:
		case RET_PF_SPURIOUS:
			return 0;
		case RET_PF_RETRY:
			if (take_failure(kvm, FAIL_SIGNAL))
				return -EINTR;
			kvm->fault_retries++;
			RETRY("kvm_tdp_map_page.retry");
			continue;
		case RET_PF_EMULATE:
			return -ENOENT;
		case RESULT_SIGBUS: /* kvm_send_hwpoison_signal(), then a retry that meets it */
			return -EINTR;
		default:
			return is_word(r) ? -EFAULT : r;
		}
	}
}

/*
 * The contents that a guest would read at a gfn now; NO_BACKING for MMIO and what cannot be mapped.
 * Mirrors no kernel function: for comparing final states.  Follows an installed leaf first.
 */
s64 backing_of(struct kvm *kvm, s64 gfn, int as_id)
{
	struct kvm_memory_slot *slot;
	struct entry *entry;
	struct frame *frame;
	struct spte *spte;
	struct pte *pte;
	s64 page;

	for (u32 i = 0; i < kvm->roots.n; i++) {
		struct root *root = kvm->roots.items[i];

		if (root->as_id != as_id || root->l2 || root->invalid)
			continue;
		spte = map_get(&root->sptes, gfn);
		if (spte)
			return spte->frame->content;
	}

	slot = gfn_to_memslot(kvm, as_id, gfn);
	if (!slot || slot_invalid(slot))
		return NO_BACKING;

	if (kvm_memslot_is_gmem_only(slot)) {
		if (!slot->gmem_file)
			return NO_BACKING;
		frame = map_get(&slot->gmem_file->inode->pages,
				gfn - slot->base_gfn + slot->gmem_pgoff);
		return frame && frame->uptodate ? frame->content : 0;
	}

	page = slot->userspace_addr + gfn - slot->base_gfn;
	pte = map_get(&kvm->mm.ptes, page);
	if (pte)
		return pte->frame->content;
	entry = map_get(&kvm->mm.entries, page);
	if (entry)
		return entry->frame ? entry->frame->content : entry->content;
	return find_vma(kvm, page) ? 0 : NO_BACKING;
}

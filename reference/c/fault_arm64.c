/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arm64 stage-2 abort.  arch/arm64/kvm/mmu.c.
 *
 * An INVALID slot reads as a bad HVA, and therefore as MMIO, not as a retry; the retry check is not
 * ranged: any invalidation in progress makes the guest execute its instruction again.
 */
#include "kvm_host.h"

static result_t handle_access_fault(struct kvm *kvm, struct root *root, s64 gfn);
static result_t gmem_abort(struct kvm *kvm, struct kvm_page_fault *fault, struct root *root);
static result_t user_mem_abort(struct kvm *kvm, struct kvm_page_fault *fault, struct root *root);

/* kvm_handle_guest_abort(), arch/arm64/kvm/mmu.c; SRCU is held for reading. */
result_t kvm_handle_guest_abort(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn, bool write,
				bool l2)
{
	struct kvm_page_fault fault = { .vcpu = vcpu, .gfn = gfn, .write = write, .l2 = l2 };
	struct root *root = kvm_mmu_load(kvm, vcpu, 0, l2);
	struct spte *spte = map_get(&root->sptes, gfn);
	struct kvm_memory_slot *slot;

	if (spte && !spte->accessed)
		return handle_access_fault(kvm, root, gfn);

	STEP("kvm_handle_guest_abort.slot");
	slot = gfn_to_memslot(kvm, 0, gfn);
	if (!slot || slot_invalid(slot) || (write && slot->flags & KVM_MEM_READONLY))
		return RET_PF_EMULATE;

	fault.slot = slot;
	if (kvm_slot_has_gmem(slot))
		return gmem_abort(kvm, &fault, root);
	return user_mem_abort(kvm, &fault, root);
}

/* handle_access_fault(), arch/arm64/kvm/mmu.c: make the leaf young. */
static result_t handle_access_fault(struct kvm *kvm, struct root *root, s64 gfn)
{
	struct spte *spte;

	read_lock(&kvm->mmu_lock, "handle_access_fault.mmu_lock");
	spte = map_get(&root->sptes, gfn);
	if (spte)
		spte->accessed = true;
	read_unlock(&kvm->mmu_lock);
	return RET_PF_FIXED;
}

static result_t stage2_map(struct kvm *kvm, struct kvm_page_fault *fault, struct root *root);

/* gmem_abort(), arch/arm64/kvm/mmu.c. */
static result_t gmem_abort(struct kvm *kvm, struct kvm_page_fault *fault, struct root *root)
{
	struct kvm_memory_slot *slot = fault->slot;
	struct frame *frame;

	STEP("gmem_abort.mmu_seq");
	fault->mmu_seq = kvm->mmu_invalidate_seq;

	frame = kvm_gmem_get_pfn(kvm, slot, fault->gfn);
	if (IS_ERR(frame))
		return PTR_ERR(frame);

	note_pfn(kvm, fault, frame);
	fault->map_writable = !(slot->flags & KVM_MEM_READONLY);

	WANT_LOCK_SHARED(&kvm->mmu_lock, "gmem_abort.mmu_lock");
	return stage2_map(kvm, fault, root);
}

/* user_mem_abort(), arch/arm64/kvm/mmu.c.  With logging on, only a write fault maps writable. */
static result_t user_mem_abort(struct kvm *kvm, struct kvm_page_fault *fault, struct root *root)
{
	struct kvm_memory_slot *slot = fault->slot;
	struct frame *frame;
	bool writable;

	STEP("user_mem_abort.mmu_seq");
	fault->mmu_seq = kvm->mmu_invalidate_seq;

	frame = hva_to_pfn(kvm, slot->userspace_addr + fault->gfn - slot->base_gfn, fault->write,
			   !(slot->flags & KVM_MEM_READONLY), &writable);
	if (IS_ERR(frame))
		return PTR_ERR(frame) == -EHWPOISON ? RESULT_SIGBUS : PTR_ERR(frame);

	note_pfn(kvm, fault, frame);
	fault->map_writable = writable && !(slot->flags & KVM_MEM_READONLY);
	if (slot->dirty_bitmap && !fault->write)
		fault->map_writable = false;

	WANT_LOCK_SHARED(&kvm->mmu_lock, "user_mem_abort.mmu_lock");
	return stage2_map(kvm, fault, root);
}

/*
 * The end of both aborts, arch/arm64/kvm/mmu.c: retry check, map or relax, drop the page.  The
 * caller has waited for mmu_lock.
 */
static result_t stage2_map(struct kvm *kvm, struct kvm_page_fault *fault, struct root *root)
{
	struct frame *frame = fault->frame;
	result_t ret = RET_PF_RETRY;
	struct spte *old;

	__read_lock(&kvm->mmu_lock);
	if (mmu_invalidate_retry(kvm, fault->mmu_seq))
		goto out_unlock;

	old = map_get(&root->sptes, fault->gfn);
	if (old && old->frame != frame) {
		/* Break before make: the old leaf and its TLB entries go first. */
		zap_leaf(kvm, root, fault->gfn);
		kvm_tlb_flush_vmid_range(kvm, fault->gfn, fault->gfn + 1);
	}
	if (!old || old->frame != frame || (fault->write && !old->writable))
		make_spte(kvm, root, fault->slot, fault->gfn, frame, fault->generation,
			  fault->map_writable, fault);
	kvm->pf_fixed++;
	ret = RET_PF_FIXED;

out_unlock:
	kvm_mmu_finish_page_fault(kvm, fault);
	read_unlock(&kvm->mmu_lock);
	return ret;
}

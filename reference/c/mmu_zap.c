/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Removing leaves: range walks, whole memslots, everything; and the roots they hang from.
 *
 * x86: arch/x86/kvm/mmu/mmu.c and tdp_mmu.c.  arm64: arch/arm64/kvm/mmu.c and nested.c.
 */
#include "kvm_host.h"

/* rwlock_needbreak() on mmu_lock, include/linux/spinlock.h: somebody waits for it. */
bool rwlock_needbreak(struct kvm *kvm)
{
	return someone_waits_for(&kvm->mmu_lock);
}

/* Clear one present leaf; counts as handle_changed_spte() does, arch/x86/kvm/mmu/tdp_mmu.c. */
void zap_leaf(struct kvm *kvm, struct root *root, s64 gfn)
{
	map_del(&root->sptes, gfn);
	kvm->pages_4k--;
}

static bool kvm_tdp_mmu_zap_leafs(struct kvm *kvm, struct kvm_gfn_range *range);
static void stage2_unmap_gfns(struct kvm *kvm, struct kvm_memory_slot *slot, s64 start, s64 end,
			      bool from_hva);

/*
 * kvm_unmap_gfn_range(), arch/x86/kvm/mmu/mmu.c and arch/arm64/kvm/mmu.c.  Returns whether the
 * caller must flush; arm64 does its own TLBI and says no.
 */
bool kvm_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	check_slot_alive(kvm, range->slot, "kvm_unmap_gfn_range");
	if (!kvm->x86) {
		stage2_unmap_gfns(kvm, range->slot, range->start, range->end, range->from_hva);
		return false;
	}
	return kvm_tdp_mmu_zap_leafs(kvm, range);
}

/*
 * kvm_tdp_mmu_zap_leafs(), arch/x86/kvm/mmu/tdp_mmu.c, and the rmap walk
 * __kvm_rmap_zap_gfn_range(), arch/x86/kvm/mmu/mmu.c.
 *
 * Walks invalid roots too; only leaves of valid ones need a flush.  May give mmu_lock away when
 * somebody wants it, flushing first; roots and leaves may go meanwhile.
 */
static bool kvm_tdp_mmu_zap_leafs(struct kvm *kvm, struct kvm_gfn_range *range)
{
	struct kvm_memory_slot *slot = range->slot;
	struct vec roots = vec_copy(&kvm->roots);
	bool flush = false;
	s64 zapped = 0;

	for (u32 i = 0; i < roots.n; i++) {
		struct root *root = roots.items[i];
		struct keys gfns;

		if (root->as_id != slot->as_id)
			continue;
		gfns = map_keys_in(&root->sptes, range->start, range->end);
		for (u32 j = 0; j < gfns.n; j++) {
			s64 gfn = gfns.key[j];

			if (zapped && range->may_block) {
				STEP("kvm_tdp_mmu_zap_leafs.cond_resched");
				if (rwlock_needbreak(kvm)) {
					if (flush)
						kvm_flush_remote_tlbs(kvm);
					flush = false;
					write_unlock(&kvm->mmu_lock);
					RETRY("kvm_tdp_mmu_zap_leafs.resched");
					write_lock(&kvm->mmu_lock, "kvm_tdp_mmu_zap_leafs.relock");
				}
				if (!map_has(&root->sptes, gfn))
					continue;
			}
			zap_leaf(kvm, root, gfn);
			zapped++;
			flush |= !root->invalid;
		}
	}
	if (zapped) {
		watch_sptes_unmapped(kvm, slot, zapped, range->from_hva);
		if (range->from_hva)
			kvm->notifier_zaps += zapped;
	}
	return flush;
}

/*
 * __unmap_stage2_range() and kvm_nested_s2_unmap(), arch/arm64/kvm/mmu.c and nested.c: the range
 * from the VM's stage 2, and everything from nested ones.
 */
static void stage2_unmap_gfns(struct kvm *kvm, struct kvm_memory_slot *slot, s64 start, s64 end,
			      bool from_hva)
{
	s64 zapped = 0;

	for (u32 i = 0; i < kvm->roots.n; i++) {
		struct root *root = kvm->roots.items[i];
		struct keys gfns = root->l2 ? map_keys(&root->sptes) :
					      map_keys_in(&root->sptes, start, end);

		for (u32 j = 0; j < gfns.n; j++)
			zap_leaf(kvm, root, gfns.key[j]);
		if (!root->l2)
			zapped += gfns.n;
		else if (gfns.n)
			kvm_flush_remote_tlbs(kvm);
	}
	kvm_tlb_flush_vmid_range(kvm, start, end);
	if (zapped) {
		watch_sptes_unmapped(kvm, slot, zapped, from_hva);
		if (from_hva)
			kvm->notifier_zaps += zapped;
	}
}

static void kvm_mmu_zap_memslot(struct kvm *kvm, struct kvm_memory_slot *slot);
static void kvm_mmu_zap_all_fast(struct kvm *kvm);

/*
 * kvm_arch_flush_shadow_memslot(), arch/x86/kvm/mmu/mmu.c and arch/arm64/kvm/mmu.c.  No
 * invalidation is counted here: the slot is INVALID and SRCU has been waited for.
 */
void kvm_arch_flush_shadow_memslot(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	if (!kvm->x86) {
		write_lock(&kvm->mmu_lock, "kvm_arch_flush_shadow_memslot.mmu_lock");
		stage2_unmap_gfns(kvm, slot, slot->base_gfn, slot->base_gfn + slot->npages, false);
		write_unlock(&kvm->mmu_lock);
	} else if (kvm->has_private_mem) {
		kvm_mmu_zap_memslot(kvm, slot);
	} else {
		/* VM type DEFAULT with KVM_X86_QUIRK_SLOT_ZAP_ALL, on unless turned off. */
		kvm_mmu_zap_all_fast(kvm);
	}
}

/* kvm_mmu_zap_memslot(), arch/x86/kvm/mmu/mmu.c. */
static void kvm_mmu_zap_memslot(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	struct kvm_gfn_range range;

	write_lock(&kvm->mmu_lock, "kvm_mmu_zap_memslot.mmu_lock");
	range = (struct kvm_gfn_range){
		.slot = slot,
		.start = slot->base_gfn,
		.end = slot->base_gfn + slot->npages,
		.may_block = true,
	};
	if (kvm_unmap_gfn_range(kvm, &range))
		kvm_flush_remote_tlbs(kvm);
	write_unlock(&kvm->mmu_lock);
}

static void kvm_tdp_mmu_invalidate_roots(struct kvm *kvm);
static void kvm_zap_obsolete_pages(struct kvm *kvm);
static void kvm_tdp_mmu_zap_invalidated_roots(struct kvm *kvm);

/*
 * kvm_mmu_zap_all_fast(), arch/x86/kvm/mmu/mmu.c.  Every root goes obsolete at once and every
 * vCPU is told to load a new one, which flushes; then the leaves are freed, those of the TDP MMU
 * under mmu_lock held for reading.
 */
static void kvm_mmu_zap_all_fast(struct kvm *kvm)
{
	write_lock(&kvm->mmu_lock, "kvm_mmu_zap_all_fast.mmu_lock");
	kvm_tdp_mmu_invalidate_roots(kvm);
	kvm_make_all_cpus_request(kvm, KVM_REQ_MMU_FREE_OBSOLETE_ROOTS);
	STEP("kvm_zap_obsolete_pages.zap");
	kvm_zap_obsolete_pages(kvm);
	write_unlock(&kvm->mmu_lock);

	if (kvm->features.tdp_mmu) {
		read_lock(&kvm->mmu_lock, "kvm_tdp_mmu_zap_invalidated_roots.mmu_lock");
		kvm_tdp_mmu_zap_invalidated_roots(kvm);
		read_unlock(&kvm->mmu_lock);
	}
}

/*
 * kvm_tdp_mmu_invalidate_roots(), arch/x86/kvm/mmu/tdp_mmu.c, and the flip of mmu_valid_gen in
 * kvm_mmu_zap_all_fast().
 */
static void kvm_tdp_mmu_invalidate_roots(struct kvm *kvm)
{
	for (u32 i = 0; i < kvm->roots.n; i++)
		((struct root *)kvm->roots.items[i])->invalid = true;
}

static bool drop_invalid_roots(struct kvm *kvm, enum root_kind kind);

/*
 * kvm_zap_obsolete_pages(), arch/x86/kvm/mmu/mmu.c: shadow pages only.
 *
 * Their tables are freed, and a flush of all vCPUs comes first, for the kick: nobody may still walk
 * them.  A vCPU that ran made tables, at least those of the guest's code.
 */
static void kvm_zap_obsolete_pages(struct kvm *kvm)
{
	if (drop_invalid_roots(kvm, ROOT_SHADOW))
		kvm_flush_remote_tlbs(kvm);
}

/* kvm_tdp_mmu_zap_invalidated_roots(), arch/x86/kvm/mmu/tdp_mmu.c. */
static void kvm_tdp_mmu_zap_invalidated_roots(struct kvm *kvm)
{
	drop_invalid_roots(kvm, ROOT_TDP);
}

/*
 * Zap the leaves of invalid roots of one kind, and forget the roots (tdp_mmu.c, mmu.c of x86);
 * whether there were tables below one.
 */
static bool drop_invalid_roots(struct kvm *kvm, enum root_kind kind)
{
	bool found = false;
	u32 i = 0;

	while (i < kvm->roots.n) {
		struct root *root = kvm->roots.items[i];

		if (!root->invalid || root->kind != kind) {
			i++;
			continue;
		}
		kvm->pages_4k -= root->sptes.n;
		map_clear(&root->sptes);
		vec_remove_at(&kvm->roots, i);
		found |= root->tables;
	}
	return found;
}

/*
 * kvm_flush_shadow_all(), virt/kvm/kvm_main.c, that is kvm_mmu_zap_all() on x86 and
 * kvm_uninit_stage2_mmu() on arm64: the mm is going away.
 */
void kvm_flush_shadow_all(struct kvm *kvm)
{
	write_lock(&kvm->mmu_lock, "kvm_flush_shadow_all.mmu_lock");
	for (u32 i = 0; i < kvm->roots.n; i++) {
		struct root *root = kvm->roots.items[i];

		kvm->pages_4k -= root->sptes.n;
		map_clear(&root->sptes);
	}
	kvm_flush_remote_tlbs(kvm);
	write_unlock(&kvm->mmu_lock);
}

/* Whether any vCPU has a root loaded. */
static bool root_in_use(struct kvm *kvm, const struct root *root)
{
	for (int i = 0; i < kvm->nr_vcpus; i++) {
		const struct kvm_vcpu *vcpu = &kvm->vcpus[i];

		for (u32 j = 0; j < vcpu->roots.n; j++)
			if (vcpu->roots.entries[j].value == root)
				return true;
	}
	return false;
}

/* __kvm_mmu_free_obsolete_roots(), arch/x86/kvm/mmu/mmu.c: those of a guest, or of its guest. */
static void free_obsolete_roots(struct kvm *kvm, struct kvm_vcpu *vcpu, bool l2)
{
	bool freed = false;
	u32 i = 0;

	while (i < vcpu->roots.n) {
		struct root *root = vcpu->roots.entries[i].value;

		if (!root->invalid || root->l2 != l2) {
			i++;
			continue;
		}
		map_del(&vcpu->roots, vcpu->roots.entries[i].key);
		freed |= root->kind == ROOT_SHADOW && !root_in_use(kvm, root);
	}
	if (freed)
		kvm_flush_remote_tlbs(kvm);
}

/*
 * kvm_mmu_free_obsolete_roots(), arch/x86/kvm/mmu/mmu.c.
 *
 * The last user of a shadow root frees it, which flushes all vCPUs for the kick; the roots of the
 * guest and those of its guest are freed one after the other.  The TLB goes too: nothing runs
 * before the next root is loaded, and that flushes.
 */
void kvm_mmu_free_obsolete_roots(struct kvm *kvm, struct kvm_vcpu *vcpu)
{
	free_obsolete_roots(kvm, vcpu, false);
	free_obsolete_roots(kvm, vcpu, true);
	map_clear(&vcpu->tlb);
}

/* kvm_mmu_reload(), arch/x86/kvm/mmu.h: make sure that there is a valid root. */
void kvm_mmu_reload(struct kvm *kvm, struct kvm_vcpu *vcpu, int as_id, bool l2)
{
	if (vcpu->requests & KVM_REQ_MMU_FREE_OBSOLETE_ROOTS) {
		vcpu->requests &= ~KVM_REQ_MMU_FREE_OBSOLETE_ROOTS;
		kvm_mmu_free_obsolete_roots(kvm, vcpu);
	}
	if (!map_has(&vcpu->roots, ROOT_KEY(as_id, l2)))
		kvm_mmu_load(kvm, vcpu, as_id, l2);
}

/* Which MMU serves an access: mmu_is_direct and the role of roots, arch/x86/kvm/mmu/mmu.c. */
static enum root_kind root_kind(struct kvm *kvm, bool l2)
{
	if (!kvm->x86)
		return ROOT_S2;
	return kvm->features.tdp_mmu && !l2 ? ROOT_TDP : ROOT_SHADOW;
}

/*
 * kvm_mmu_load(), arch/x86/kvm/mmu/mmu.c: find or make a valid root, and flush.
 *
 * The allocation takes mmu_lock for an instant; nothing here depends on who has it, so the step
 * is not split.  arm64 has one stage 2 per VM and one per nested context.
 */
struct root *kvm_mmu_load(struct kvm *kvm, struct kvm_vcpu *vcpu, int as_id, bool l2)
{
	struct root *root;

	for (u32 i = 0; i < kvm->roots.n; i++) {
		root = kvm->roots.items[i];
		if (root->as_id == as_id && root->l2 == l2 && !root->invalid)
			goto found;
	}
	root = new_object(struct root);
	root->kind = root_kind(kvm, l2);
	root->as_id = as_id;
	root->l2 = l2;
	vec_push(&kvm->roots, root);
found:
	map_put(&vcpu->roots, ROOT_KEY(as_id, l2), root);
	if (kvm->x86)
		map_clear(&vcpu->tlb);
	return root;
}

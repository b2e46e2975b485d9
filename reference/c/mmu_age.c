/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Accessed state of leaves (aging), and write protection for dirty logging.
 *
 * x86: arch/x86/kvm/mmu/mmu.c, tdp_mmu.c and arch/x86/kvm/x86.c.  arm64: arch/arm64/kvm/mmu.c.
 */
#include "kvm_host.h"

static bool young_leaves(struct kvm *kvm, struct kvm_gfn_range *range, bool clear);

/*
 * kvm_age_gfn(), arch/x86/kvm/mmu/mmu.c and arch/arm64/kvm/mmu.c.  Clears accessed state and
 * tells whether any was set.  TDP: valid roots only.  arm64 ages the VM's own stage 2, never
 * nested ones.
 */
bool kvm_age_gfn(struct kvm *kvm, struct kvm_gfn_range *range)
{
	bool young = young_leaves(kvm, range, true);

	watch_young_tested(kvm, range, young, true);
	return young;
}

/* kvm_test_age_gfn(), arch/x86/kvm/mmu/mmu.c and arch/arm64/kvm/mmu.c. */
bool kvm_test_age_gfn(struct kvm *kvm, struct kvm_gfn_range *range)
{
	bool young = young_leaves(kvm, range, false);

	watch_young_tested(kvm, range, young, false);
	return young;
}

/*
 * Look at, and perhaps clear, accessed state of a slot's leaves: the walk inside
 * kvm_tdp_mmu_age_gfn_range() and kvm_rmap_age_gfn_range(), arch/x86/kvm/mmu.
 */
static bool young_leaves(struct kvm *kvm, struct kvm_gfn_range *range, bool clear)
{
	bool young = false;

	for (u32 i = 0; i < kvm->roots.n; i++) {
		struct root *root = kvm->roots.items[i];

		if (root->as_id != range->slot->as_id || root->invalid)
			continue;
		if (root->l2 && !kvm->x86)
			continue;
		for (u32 j = 0; j < root->sptes.n; j++) {
			s64 gfn = root->sptes.entries[j].key;
			struct spte *spte = root->sptes.entries[j].value;

			if (gfn < range->start || gfn >= range->end || !spte->accessed)
				continue;
			young = true;
			if (clear)
				spte->accessed = false;
		}
	}
	return young;
}

/*
 * Take write permission from leaves of a slot in roots of some kinds; was there any?  gfns is a
 * set, or NULL for [start, end).
 *
 * The common core of wrprot_gfn_range() (arch/x86/kvm/mmu/tdp_mmu.c), rmap_write_protect()
 * (mmu.c) and kvm_stage2_wp_range() (arch/arm64/kvm/mmu.c).
 */
bool write_protect_gfns(struct kvm *kvm, struct kvm_memory_slot *slot, const struct map *gfns,
			s64 start, s64 end, u32 kinds)
{
	bool changed = false;

	for (u32 i = 0; i < kvm->roots.n; i++) {
		struct root *root = kvm->roots.items[i];

		if (root->as_id != slot->as_id || !(kinds & 1u << root->kind))
			continue;
		if (root->invalid && root->kind == ROOT_TDP)
			continue;
		for (u32 j = 0; j < root->sptes.n; j++) {
			s64 gfn = root->sptes.entries[j].key;
			struct spte *spte = root->sptes.entries[j].value;

			if (!spte->writable)
				continue;
			if (gfns ? !map_has(gfns, gfn) : gfn < start || gfn >= end)
				continue;
			spte->writable = false;
			changed = true;
		}
	}
	return changed;
}

/* Stands for kvm_shadow_root_allocated(), arch/x86/kvm/mmu.h: a shadow root exists now. */
static bool have_shadow_roots(struct kvm *kvm)
{
	for (u32 i = 0; i < kvm->roots.n; i++)
		if (((struct root *)kvm->roots.items[i])->kind == ROOT_SHADOW)
			return true;
	return false;
}

/*
 * kvm_mmu_slot_apply_flags(), arch/x86/kvm/x86.c, and kvm_arch_commit_memory_region(),
 * arch/arm64/kvm/mmu.c.
 *
 * Turning logging on write-protects the slot and then flushes, after mmu_lock is dropped and
 * always: somebody else may have write-protected without having flushed yet.  With only 4K pages
 * there is nothing to recover when logging is turned off.  x86 leaves read-only slots alone.
 */
void kvm_mmu_slot_apply_flags(struct kvm *kvm, struct kvm_memory_slot *old,
			      struct kvm_memory_slot *new)
{
	u32 log_dirty = new->flags & KVM_MEM_LOG_DIRTY_PAGES;
	s64 start = new->base_gfn, end = start + new->npages;

	if (kvm->x86 && new->flags & KVM_MEM_READONLY)
		return;
	if (log_dirty == (old->flags & KVM_MEM_LOG_DIRTY_PAGES) || !log_dirty)
		return;
	if (kvm->dirty_log_initially_set)
		return;

	if (!kvm->features.tdp_mmu || have_shadow_roots(kvm)) {
		write_lock(&kvm->mmu_lock, "kvm_mmu_slot_remove_write_access.mmu_lock");
		write_protect_gfns(kvm, new, NULL, start, end,
				   1u << ROOT_SHADOW | 1u << ROOT_S2);
		write_unlock(&kvm->mmu_lock);
	}
	if (kvm->features.tdp_mmu) {
		read_lock(&kvm->mmu_lock, "kvm_mmu_slot_remove_write_access.tdp_mmu_lock");
		write_protect_gfns(kvm, new, NULL, start, end, 1u << ROOT_TDP);
		read_unlock(&kvm->mmu_lock);
	}
	STEP("kvm_mmu_slot_apply_flags.flush");
	kvm_flush_remote_tlbs(kvm);
}

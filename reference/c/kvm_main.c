/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of KVM that all architectures share: memory slots, MMU notifiers, dirty logging, memory
 * attributes, KVM's own access to guest memory, and TLB flushes.
 *
 * Mirrors virt/kvm/kvm_main.c, and the few functions of include/linux/kvm_host.h, arch/x86/kvm/ and
 * arch/arm64/kvm/ that belong to them; each of those names its file.  The Python model has the same
 * in memslots.py, mmu_notifier.py, dirty_log.py, mem_attributes.py, guest_access.py and tlb.py.
 */
#include "kvm_host.h"

#define BITMAP_PAGES_MAX (1 << 16) /* assumption: no bitmap for more pages can be allocated */
#define ATTRIBUTE_PAGES_MAX (1 << 16) /* assumption: entries for more pages cannot be reserved */

/* The slots of one set that meet a range, copied when the loop begins. */
struct kvm_memslot_iter {
	struct kvm_memory_slot *slot;
	struct vec found; /* struct kvm_memory_slot */
	u32 next;
};

/* The next slot that was found; false: there is none. */
static bool kvm_memslot_iter_next(struct kvm_memslot_iter *iter)
{
	if (iter->next == iter->found.n)
		return false;
	iter->slot = iter->found.items[iter->next++];
	return true;
}

/* A set of n keys that the caller fills in, all different: saves the search for each. */
static struct map set_of_size(s64 n)
{
	struct map set = { n, n, arena_alloc(n * sizeof(*set.entries)) };

	for (u32 i = 0; i < set.n; i++)
		set.entries[i].value = SET_MEMBER;
	return set;
}

/* Remove the keys in [start, end); the others keep their order. */
static void map_del_in(struct map *map, s64 start, s64 end)
{
	u32 kept = 0;

	if (!map->n)
		return;
	for (u32 i = 0; i < map->n; i++)
		if (map->entries[i].key < start || map->entries[i].key >= end)
			map->entries[kept++] = map->entries[i];
	memset(map->entries + kept, 0, (map->n - kept) * sizeof(*map->entries));
	map->n = kept;
}

/*
 * Memory slots.
 *
 * Two sets per address space: the active one is read under SRCU, the other one is edited and then
 * swapped in.  A slot that goes away is first published as INVALID, so that no new user can find
 * it, and only then flushed and freed.
 */

static s64 check_memory_region_flags(u64 flags);
static s64 check_region_layout(struct kvm *kvm, struct kvm_userspace_memory_region2 *mem);
static s64 kvm_set_memory_region(struct kvm *kvm, struct kvm_userspace_memory_region2 *mem);
static s64 kind_of_change(struct kvm *kvm, struct kvm_memory_slot *old,
			  struct kvm_userspace_memory_region2 *mem, s64 npages, s64 base_gfn,
			  enum kvm_mr_change *change);
static bool kvm_check_memslot_overlap(struct kvm *kvm, int as_id, s64 id, s64 start, s64 end);
static s64 kvm_set_memslot(struct kvm *kvm, struct kvm_memory_slot *old,
			   struct kvm_memory_slot *new, enum kvm_mr_change change);
static void kvm_replace_memslot(struct kvm *kvm, struct kvm_memory_slot *old,
				struct kvm_memory_slot *new);
static void kvm_replace_and_activate(struct kvm *kvm, struct kvm_memory_slot *stale,
				     struct kvm_memory_slot *active, struct kvm_memory_slot *new);
static void kvm_invalidate_memslot(struct kvm *kvm, struct kvm_memory_slot *old,
				   struct kvm_memory_slot *invalid_slot);
static void kvm_activate_memslot(struct kvm *kvm, struct kvm_memory_slot *old,
				 struct kvm_memory_slot *new);
static void kvm_swap_active_memslots(struct kvm *kvm, int as_id);
static struct kvm_memslots *kvm_get_inactive_memslots(struct kvm *kvm, int as_id);
static s64 kvm_prepare_memory_region(struct kvm *kvm, struct kvm_memory_slot *old,
				     struct kvm_memory_slot *new, enum kvm_mr_change change);
static s64 kvm_arch_prepare_memory_region(struct kvm *kvm, struct kvm_memory_slot *old,
					  struct kvm_memory_slot *new, enum kvm_mr_change change);
static void kvm_commit_memory_region(struct kvm *kvm, struct kvm_memory_slot *old,
				     struct kvm_memory_slot *new, enum kvm_mr_change change);

/*
 * kvm_vm_ioctl_set_memory_region() and its case of kvm_vm_ioctl(), virt/kvm/kvm_main.c; version 1
 * is KVM_SET_USER_MEMORY_REGION.
 */
s64 kvm_vm_ioctl_set_memory_region(struct kvm *kvm, struct kvm_userspace_memory_region2 *mem,
				   int version)
{
	s64 r;

	if (take_failure(kvm, FAIL_USER_COPY))
		return -EFAULT;
	if (version == 1 && mem->flags & ~(u64)(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY))
		return -EINVAL;
	if ((s64)(mem->slot & 0xffff) >= user_mem_slots(kvm))
		return -EINVAL;

	mutex_lock(&kvm->slots_lock, "kvm_vm_ioctl_set_memory_region.slots_lock");
	watch_lock_slots(kvm, "slots_lock");
	r = kvm_set_memory_region(kvm, mem);
	mutex_unlock(&kvm->slots_lock);
	return r;
}

/* check_memory_region_flags(), virt/kvm/kvm_main.c. */
static s64 check_memory_region_flags(u64 flags)
{
	u64 valid_flags = KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_GUEST_MEMFD;

	if (flags & KVM_MEM_GUEST_MEMFD)
		valid_flags &= ~(u64)KVM_MEM_LOG_DIRTY_PAGES;
	else
		valid_flags |= KVM_MEM_READONLY;

	if (flags & ~valid_flags)
		return -EINVAL;
	return 0;
}

/* The checks of kvm_set_memory_region() that look at no slot, virt/kvm/kvm_main.c. */
static s64 check_region_layout(struct kvm *kvm, struct kvm_userspace_memory_region2 *mem)
{
	u64 size = mem->memory_size;

	if (check_memory_region_flags(mem->flags))
		return -EINVAL;
	if (size & PAGE_MASK || mem->guest_phys_addr & PAGE_MASK || mem->userspace_addr & PAGE_MASK)
		return -EINVAL;
	/* access_ok(), which also refuses tagged addresses */
	if ((s128)mem->userspace_addr + size > TASK_SIZE)
		return -EINVAL;
	if (mem->flags & KVM_MEM_GUEST_MEMFD &&
	    (mem->guest_memfd_offset & PAGE_MASK || (s128)mem->guest_memfd_offset + size > U64))
		return -EINVAL;
	if ((s128)mem->as_id + (mem->slot >> 16) >= kvm->nr_as)
		return -EINVAL;
	if ((s128)mem->guest_phys_addr + size > U64)
		return -EINVAL;
	if (size >> PAGE_SHIFT > KVM_MEM_MAX_NR_PAGES)
		return -EINVAL;
	return 0;
}

/* kvm_set_memory_region() (__kvm_set_memory_region() once), virt/kvm/kvm_main.c. */
static s64 kvm_set_memory_region(struct kvm *kvm, struct kvm_userspace_memory_region2 *mem)
{
	struct kvm_memory_slot *old, *new;
	struct gmem_file *file = NULL;
	enum kvm_mr_change change;
	s64 id, npages, base_gfn;
	int as_id;
	s64 r;

	r = check_region_layout(kvm, mem);
	if (r)
		return r;

	as_id = mem->as_id + (mem->slot >> 16);
	id = mem->slot & 0xffff;
	old = map_get(&kvm->memslots[as_id]->slots, id);
	npages = mem->memory_size >> PAGE_SHIFT;
	if (!npages) {
		if (!old)
			return -EINVAL;
		return kvm_set_memslot(kvm, old, NULL, KVM_MR_DELETE);
	}

	base_gfn = mem->guest_phys_addr >> PAGE_SHIFT;
	if (!old) {
		change = KVM_MR_CREATE;
		if ((s128)kvm->nr_memslot_pages + npages > U64)
			return -EINVAL;
	} else {
		r = kind_of_change(kvm, old, mem, npages, base_gfn, &change);
		if (r <= 0)
			return r;
	}

	if ((change == KVM_MR_CREATE || change == KVM_MR_MOVE) &&
	    kvm_check_memslot_overlap(kvm, as_id, id, base_gfn, base_gfn + npages))
		return -EEXIST;

	if (take_failure(kvm, FAIL_MEMSLOT))
		return -ENOMEM;
	new = new_object(struct kvm_memory_slot);
	new->as_id = as_id;
	new->id = id;
	new->base_gfn = base_gfn;
	new->npages = npages;
	new->flags = mem->flags;
	new->userspace_addr = mem->userspace_addr >> PAGE_SHIFT;
	if (mem->flags & KVM_MEM_GUEST_MEMFD) {
		r = 0;
		file = kvm_gmem_prepare(kvm, new, mem->guest_memfd, mem->guest_memfd_offset, &r);
		if (r)
			return r;
	}

	r = kvm_set_memslot(kvm, old, new, change);
	if (r && !kvm->features.gmem_bind_in_commit)
		kvm_gmem_unbind(kvm, new);
	if (file)
		fput(kvm, file);
	return r;
}

/*
 * The part of kvm_set_memory_region() that compares with a live slot, virt/kvm/kvm_main.c.  1:
 * there is a change, in *change; 0: nothing to do; else an errno.
 */
static s64 kind_of_change(struct kvm *kvm, struct kvm_memory_slot *old,
			  struct kvm_userspace_memory_region2 *mem, s64 npages, s64 base_gfn,
			  enum kvm_mr_change *change)
{
	u64 frozen = KVM_MEM_READONLY;

	if (mem->flags & KVM_MEM_GUEST_MEMFD)
		return -EINVAL;
	if (kvm->features.gmem_toggle_refused)
		frozen |= KVM_MEM_GUEST_MEMFD;
	if ((s64)(mem->userspace_addr >> PAGE_SHIFT) != old->userspace_addr ||
	    npages != old->npages || (mem->flags ^ old->flags) & frozen)
		return -EINVAL;

	if (base_gfn != old->base_gfn)
		*change = KVM_MR_MOVE;
	else if (mem->flags != old->flags)
		*change = KVM_MR_FLAGS_ONLY;
	else
		return 0;
	return 1;
}

/* kvm_check_memslot_overlap(), virt/kvm/kvm_main.c: gfns [start, end). */
static bool kvm_check_memslot_overlap(struct kvm *kvm, int as_id, s64 id, s64 start, s64 end)
{
	const struct map *slots = &kvm->memslots[as_id]->slots;

	for (u32 i = 0; i < slots->n; i++) {
		const struct kvm_memory_slot *slot = slots->entries[i].value;

		if (slot->id != id && slot->base_gfn < end &&
		    start < slot->base_gfn + slot->npages)
			return true;
	}
	return false;
}

/*
 * kvm_set_memslot(), virt/kvm/kvm_main.c.  slots_arch_lock is dropped inside every swap, before
 * the wait for SRCU.
 */
static s64 kvm_set_memslot(struct kvm *kvm, struct kvm_memory_slot *old,
			   struct kvm_memory_slot *new, enum kvm_mr_change change)
{
	struct kvm_memory_slot *invalid_slot = NULL;
	s64 r;

	mutex_lock(&kvm->slots_arch_lock, "kvm_set_memslot.slots_arch_lock");
	watch_lock_slots(kvm, "slots_arch_lock");

	if (change == KVM_MR_DELETE || change == KVM_MR_MOVE) {
		if (take_failure(kvm, FAIL_MEMSLOT)) {
			mutex_unlock(&kvm->slots_arch_lock);
			return -ENOMEM;
		}
		invalid_slot = new_object(struct kvm_memory_slot);
		kvm_invalidate_memslot(kvm, old, invalid_slot);
	}

	r = kvm_prepare_memory_region(kvm, old, new, change);
	if (!r && change == KVM_MR_CREATE && kvm->features.gmem_bind_in_commit &&
	    new->flags & KVM_MEM_GUEST_MEMFD)
		r = kvm_gmem_bind(kvm, new);
	if (r) {
		if (invalid_slot)
			kvm_activate_memslot(kvm, invalid_slot, old);
		else
			mutex_unlock(&kvm->slots_arch_lock);
		return r;
	}

	if (change == KVM_MR_CREATE || change == KVM_MR_FLAGS_ONLY)
		kvm_replace_and_activate(kvm, old, old, new);
	else /* the active set holds the INVALID copy, the other one still the old slot */
		kvm_replace_and_activate(kvm, old, invalid_slot, new);

	if (invalid_slot)
		invalid_slot->freed = true;
	kvm_commit_memory_region(kvm, old, new, change);
	return 0;
}

/* kvm_replace_memslot(), virt/kvm/kvm_main.c: edits the inactive set. */
static void kvm_replace_memslot(struct kvm *kvm, struct kvm_memory_slot *old,
				struct kvm_memory_slot *new)
{
	struct kvm_memory_slot *slot = old ? old : new;
	struct map *slots;

	if (!slot) {
		WARN_ON(kvm, "kvm_replace_memslot: neither old nor new");
		return;
	}
	if (old && new && old->as_id != new->as_id)
		WARN_ON(kvm, "kvm_replace_memslot: address spaces differ");

	slots = &kvm_get_inactive_memslots(kvm, slot->as_id)->slots;
	if (old)
		map_del(slots, old->id);
	if (!new)
		return;
	for (u32 i = 0; i < slots->n; i++) {
		slot = slots->entries[i].value;
		if (slot->base_gfn == new->base_gfn) {
			BUG(kvm, "kvm_insert_gfn_node: two slots with one base_gfn");
			break;
		}
	}
	map_put(slots, new->id, new);
}

/*
 * What kvm_create_memslot(), kvm_delete_memslot(), kvm_move_memslot() and
 * kvm_update_flags_memslot() of virt/kvm/kvm_main.c have in common.  The inactive set holds
 * `stale`, the active one `active`; both end up with `new`.
 */
static void kvm_replace_and_activate(struct kvm *kvm, struct kvm_memory_slot *stale,
				     struct kvm_memory_slot *active, struct kvm_memory_slot *new)
{
	kvm_replace_memslot(kvm, stale, new);
	kvm_activate_memslot(kvm, active, new);
}

/*
 * kvm_invalidate_memslot(), virt/kvm/kvm_main.c.  Once the swap has waited for SRCU, nobody can
 * install a translation for the slot: the flush that follows is the last one it needs.
 */
static void kvm_invalidate_memslot(struct kvm *kvm, struct kvm_memory_slot *old,
				   struct kvm_memory_slot *invalid_slot)
{
	*invalid_slot = *old;
	invalid_slot->flags |= KVM_MEMSLOT_INVALID;
	invalid_slot->freed = false;
	kvm_replace_memslot(kvm, old, invalid_slot);
	kvm_swap_active_memslots(kvm, old->as_id);
	kvm_arch_flush_shadow_memslot(kvm, old);

	/* The swap dropped it. */
	mutex_lock(&kvm->slots_arch_lock, "kvm_invalidate_memslot.slots_arch_lock");
	watch_lock_slots(kvm, "slots_arch_lock");
}

/* kvm_activate_memslot(), virt/kvm/kvm_main.c: swap, then edit the other set. */
static void kvm_activate_memslot(struct kvm *kvm, struct kvm_memory_slot *old,
				 struct kvm_memory_slot *new)
{
	int as_id = old ? old->as_id : new->as_id;

	kvm_swap_active_memslots(kvm, as_id);
	kvm_replace_memslot(kvm, old, new);
}

/*
 * kvm_swap_active_memslots(), virt/kvm/kvm_main.c.  Waits until no HVA invalidation is between
 * start and end: both of one invalidation must see the same slots.
 */
static void kvm_swap_active_memslots(struct kvm *kvm, int as_id)
{
	struct kvm_memslots *slots = kvm_get_inactive_memslots(kvm, as_id);
	u64 gen = kvm->memslots[as_id]->generation;

	if (gen & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS)
		WARN_ON(kvm, "kvm_swap_active_memslots: generation in progress");
	slots->generation = gen | KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS;

	spin_lock(&kvm->mn_invalidate_lock, "kvm_swap_active_memslots.mn_invalidate_lock");
	if (kvm->mn_active_invalidate_count) {
		prepare_to_rcuwait(&kvm->mn_memslots_update_rcuwait);
		while (kvm->mn_active_invalidate_count) {
			/* set_current_state(TASK_UNINTERRUPTIBLE) */
			kvm->mn_memslots_update_rcuwait.woken = false;
			spin_unlock(&kvm->mn_invalidate_lock);
			rcuwait_wait(&kvm->mn_memslots_update_rcuwait,
				     "kvm_swap_active_memslots.rcuwait");
			spin_lock(&kvm->mn_invalidate_lock,
				  "kvm_swap_active_memslots.mn_invalidate_lock");
		}
		finish_rcuwait(&kvm->mn_memslots_update_rcuwait);
	}
	watch_slots_published(kvm, as_id, gen, slots->generation);
	kvm->memslots[as_id] = slots;
	spin_unlock(&kvm->mn_invalidate_lock);

	/* Dropped before the wait: a reader may need it to reach the end of its section. */
	mutex_unlock(&kvm->slots_arch_lock);
	synchronize_srcu(&kvm->srcu, "kvm_swap_active_memslots.synchronize_srcu");
	slots->generation = gen + kvm->nr_as;
}

/* kvm_get_inactive_memslots(), virt/kvm/kvm_main.c. */
static struct kvm_memslots *kvm_get_inactive_memslots(struct kvm *kvm, int as_id)
{
	struct kvm_memslots *sets = kvm->memslot_sets[as_id];

	return kvm->memslots[as_id] == &sets[0] ? &sets[1] : &sets[0];
}

/* kvm_prepare_memory_region(), virt/kvm/kvm_main.c, and its arch half. */
static s64 kvm_prepare_memory_region(struct kvm *kvm, struct kvm_memory_slot *old,
				     struct kvm_memory_slot *new, enum kvm_mr_change change)
{
	if (change == KVM_MR_DELETE || !new)
		return 0;

	if (!(new->flags & KVM_MEM_LOG_DIRTY_PAGES)) {
		new->dirty_bitmap = NULL;
	} else if (old && old->dirty_bitmap) {
		new->dirty_bitmap = old->dirty_bitmap;
	} else {
		if (take_failure(kvm, FAIL_BITMAP) || new->npages > BITMAP_PAGES_MAX)
			return -ENOMEM;
		new->dirty_bitmap = new_object(struct map);
		if (kvm->dirty_log_initially_set) {
			*new->dirty_bitmap = set_of_size(new->npages);
			for (u32 i = 0; i < new->dirty_bitmap->n; i++)
				new->dirty_bitmap->entries[i].key = i;
		}
	}
	return kvm_arch_prepare_memory_region(kvm, old, new, change);
}

/* kvm_arch_prepare_memory_region(), arch/x86/kvm/x86.c and arch/arm64/kvm/mmu.c. */
static s64 kvm_arch_prepare_memory_region(struct kvm *kvm, struct kvm_memory_slot *old,
					  struct kvm_memory_slot *new, enum kvm_mr_change change)
{
	s64 end = new->base_gfn + new->npages;

	if (kvm->x86) {
		if (change != KVM_MR_CREATE && change != KVM_MR_MOVE)
			return 0;
		if (end - 1 > MAX_GFN_X86)
			return -EINVAL;
		return take_failure(kvm, FAIL_METADATA) ? -ENOMEM : 0;
	}

	if (end > MAX_GFN_ARM64 + 1)
		return -EFAULT;
	if (new->gmem_file && !kvm_memslot_is_gmem_only(new))
		return -EINVAL;
	return 0;
}

/* kvm_commit_memory_region(), virt/kvm/kvm_main.c. */
static void kvm_commit_memory_region(struct kvm *kvm, struct kvm_memory_slot *old,
				     struct kvm_memory_slot *new, enum kvm_mr_change change)
{
	if (change == KVM_MR_CREATE) {
		kvm->nr_memslot_pages += new->npages;
	} else if (old && change == KVM_MR_DELETE) {
		if (kvm->nr_memslot_pages < old->npages)
			WARN_ON(kvm,
				"kvm_commit_memory_region: more pages deleted than there were");
		kvm->nr_memslot_pages -= old->npages;
	}

	if (change == KVM_MR_FLAGS_ONLY && old && new)
		kvm_mmu_slot_apply_flags(kvm, old, new);

	if (!old)
		return;
	if (change == KVM_MR_DELETE) {
		kvm_gmem_unbind(kvm, old);
	} else if (kvm_slot_has_gmem(old) && kvm->features.gmem_commit_warns) {
		WARN_ON(kvm, change == KVM_MR_MOVE ?
			"kvm_commit_memory_region: MOVE of a gmem slot" :
			"kvm_commit_memory_region: FLAGS_ONLY of a gmem slot");
		kvm_gmem_unbind(kvm, old);
	}
	if (change == KVM_MR_DELETE || change == KVM_MR_MOVE)
		watch_slot_deleted(kvm, old);
	old->freed = true;
}

/*
 * MMU notifiers.
 *
 * The primary MMU calls start, changes its PTEs, and calls end.  Between the two, faults in the
 * range must not install what they looked up before.
 */

struct kvm_mn_ret { /* kvm_mn_ret_t */
	bool found_memslot;
	bool ret; /* what the handlers said */
};

static void kvm_memslot_iter_start_hva(struct kvm_memslot_iter *iter, struct kvm_memslots *slots,
				       s64 start, s64 end);
static struct kvm_mn_ret kvm_handle_hva_range(struct kvm *kvm,
					      const struct kvm_mmu_notifier_range *range);
static struct kvm_gfn_range hva_range_to_gfn_range(struct kvm *kvm, struct kvm_memory_slot *slot,
						   const struct kvm_mmu_notifier_range *range);
static bool kvm_age_hva_range(struct kvm *kvm, s64 start, s64 end, gfn_handler_t handler,
			      bool flush);

/*
 * kvm_mmu_invalidate_start() (kvm_mmu_invalidate_begin() before 7.0), virt/kvm/kvm_main.c.  The
 * hull of ranges is kept until the count is back at zero.
 */
void kvm_mmu_invalidate_start(struct kvm *kvm)
{
	lockdep_assert_held_write(&kvm->mmu_lock);
	kvm->mmu_invalidate_in_progress++;
	if (kvm->mmu_invalidate_in_progress == 1) {
		kvm->mmu_invalidate_range_start = INVALID_GPA;
		kvm->mmu_invalidate_range_end = INVALID_GPA;
	}
	watch_invalidation_counted(kvm);
}

/* kvm_mmu_invalidate_range_add(), virt/kvm/kvm_main.c: gfns [start, end). */
void kvm_mmu_invalidate_range_add(struct kvm *kvm, s64 start, s64 end)
{
	lockdep_assert_held_write(&kvm->mmu_lock);
	if (!kvm->mmu_invalidate_in_progress)
		WARN_ON(kvm, "kvm_mmu_invalidate_range_add: nothing in progress");
	watch_range_added(kvm, start, end);

	if (kvm->mmu_invalidate_range_start == INVALID_GPA) {
		kvm->mmu_invalidate_range_start = start;
		kvm->mmu_invalidate_range_end = end;
	} else {
		kvm->mmu_invalidate_range_start = min_s64(kvm->mmu_invalidate_range_start, start);
		kvm->mmu_invalidate_range_end = max_s64(kvm->mmu_invalidate_range_end, end);
	}
}

/*
 * kvm_mmu_invalidate_end(), virt/kvm/kvm_main.c.  Sequence first, count second: a fault that finds
 * nothing in progress must also find the new sequence.
 */
void kvm_mmu_invalidate_end(struct kvm *kvm)
{
	lockdep_assert_held_write(&kvm->mmu_lock);
	kvm->mmu_invalidate_seq++;
	watch_invalidation_ended(kvm);
	kvm->mmu_invalidate_in_progress--;
	if (kvm->mmu_invalidate_in_progress < 0)
		KVM_BUG_ON(kvm, "kvm_mmu_invalidate_end: count below zero");
	if (kvm->mmu_invalidate_range_start == INVALID_GPA)
		WARN_ON(kvm, "kvm_mmu_invalidate_end: start without a range");
}

/* kvm_mmu_unmap_gfn_range(), virt/kvm/kvm_main.c. */
bool kvm_mmu_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	kvm_mmu_invalidate_range_add(kvm, range->start, range->end);
	return kvm_unmap_gfn_range(kvm, range);
}

/*
 * kvm_for_each_memslot_in_hva_range(), virt/kvm/kvm_main.c: the slots of one set whose HVAs meet
 * pages [start, end), in the order of the hva tree.
 */
#define kvm_for_each_memslot_in_hva_range(iter, slots, start, end)                             \
	for (kvm_memslot_iter_start_hva((iter), (slots), (start), (end));                      \
	     kvm_memslot_iter_next(iter);)

/* Slots that overlap HVA pages [start, end), by HVA: hva_node of the kernel. */
static void kvm_memslot_iter_start_hva(struct kvm_memslot_iter *iter, struct kvm_memslots *slots,
				       s64 start, s64 end)
{
	*iter = (struct kvm_memslot_iter){ 0 };
	for (u32 i = 0; i < slots->slots.n; i++) {
		struct kvm_memory_slot *slot = slots->slots.entries[i].value;
		u32 at = iter->found.n;

		if (slot->userspace_addr >= end || start >= slot->userspace_addr + slot->npages)
			continue;
		for (; at; at--) {
			const struct kvm_memory_slot *before = iter->found.items[at - 1];

			if (before->userspace_addr < slot->userspace_addr ||
			    (before->userspace_addr == slot->userspace_addr &&
			     before->id <= slot->id))
				break;
		}
		vec_insert(&iter->found, at, slot);
	}
}

/*
 * kvm_handle_hva_range(), virt/kvm/kvm_main.c.  mmu_lock is taken at the first hit, so a range
 * that meets no memslot costs no lock.
 */
static struct kvm_mn_ret kvm_handle_hva_range(struct kvm *kvm,
					      const struct kvm_mmu_notifier_range *range)
{
	struct kvm_mn_ret r = { false, false };
	struct kvm_gfn_range gfn_range;
	struct kvm_memslot_iter iter;
	struct kvm_memory_slot *slot;
	struct kvm_memslots *slots;

	if (range->end <= range->start) {
		WARN_ON(kvm, "kvm_handle_hva_range: empty range");
		return r;
	}
	if (!range->handler && !range->on_lock)
		WARN_ON(kvm, "kvm_handle_hva_range: nothing to do");
	if (range->lockless && range->on_lock)
		WARN_ON(kvm, "kvm_handle_hva_range: lockless with on_lock");

	STEP("kvm_handle_hva_range.srcu");
	srcu_read_lock(&kvm->srcu);

	for (int as_id = 0; as_id < kvm->nr_as; as_id++) {
		slots = kvm->memslots[as_id];
		kvm_for_each_memslot_in_hva_range(&iter, slots, range->start, range->end) {
			slot = iter.slot;

			gfn_range = hva_range_to_gfn_range(kvm, slot, range);

			if (!r.found_memslot) {
				r.found_memslot = true;
				if (!range->lockless) {
					write_lock(&kvm->mmu_lock, "kvm_handle_hva_range.mmu_lock");
					kvm->notifier_locks++;
					if (range->on_lock)
						range->on_lock(kvm);
					if (!range->handler)
						goto mmu_unlock;
				}
			}
			r.ret |= range->handler(kvm, &gfn_range);
		}
	}

	if (range->flush_on_ret && r.ret) {
		STEP("kvm_handle_hva_range.flush");
		kvm_flush_remote_tlbs(kvm);
	}

mmu_unlock:
	if (r.found_memslot && !range->lockless)
		write_unlock(&kvm->mmu_lock);
	srcu_read_unlock(&kvm->srcu);
	return r;
}

/* The clipping inside kvm_handle_hva_range(), virt/kvm/kvm_main.c: HVA pages to gfns. */
static struct kvm_gfn_range hva_range_to_gfn_range(struct kvm *kvm, struct kvm_memory_slot *slot,
						   const struct kvm_mmu_notifier_range *range)
{
	s64 hva_start = max_s64(range->start, slot->userspace_addr);
	s64 hva_end = min_s64(range->end, slot->userspace_addr + slot->npages);
	s64 offset = slot->base_gfn - slot->userspace_addr;

	return (struct kvm_gfn_range){
		.slot = slot,
		.start = hva_start + offset,
		.end = hva_end + offset,
		.may_block = range->may_block,
		.from_hva = true,
	};
}

/*
 * kvm_mmu_notifier_invalidate_range_start(), virt/kvm/kvm_main.c.  The count of active
 * invalidations comes first, so that memslots stay as they are until end; pfn caches come before
 * mmu_lock, because their users may hold their lock for long.
 */
void kvm_mmu_notifier_invalidate_range_start(struct kvm *kvm, s64 start, s64 end, bool blockable)
{
	const struct kvm_mmu_notifier_range hva_range = {
		.start = start,
		.end = end,
		.handler = kvm_mmu_unmap_gfn_range,
		.on_lock = kvm_mmu_invalidate_start,
		.flush_on_ret = true,
		.may_block = blockable,
	};

	current->notifier_depth++;
	spin_lock(&kvm->mn_invalidate_lock, "kvm_mmu_notifier_invalidate_range_start.count");
	kvm->mn_active_invalidate_count++;
	spin_unlock(&kvm->mn_invalidate_lock);

	gfn_to_pfn_cache_invalidate_start(kvm, start, end);
	watch_gpc_side_done(kvm, start, end);

	kvm_handle_hva_range(kvm, &hva_range);
	current->notifier_depth--;
	watch_range_start_returned(kvm, start, end);
}

/* kvm_mmu_notifier_invalidate_range_end(), virt/kvm/kvm_main.c. */
void kvm_mmu_notifier_invalidate_range_end(struct kvm *kvm, s64 start, s64 end)
{
	const struct kvm_mmu_notifier_range hva_range = {
		.start = start,
		.end = end,
		.on_lock = kvm_mmu_invalidate_end,
	};
	bool wake;

	current->notifier_depth++;
	kvm_handle_hva_range(kvm, &hva_range);

	spin_lock(&kvm->mn_invalidate_lock, "kvm_mmu_notifier_invalidate_range_end.count");
	if (kvm->features.gpc_invalidate_seq)
		kvm->gpc_invalidate_seq++;
	if (!kvm->mn_active_invalidate_count)
		WARN_ON(kvm, "kvm_mmu_notifier_invalidate_range_end: no start");
	kvm->mn_active_invalidate_count--;
	wake = !kvm->mn_active_invalidate_count;
	spin_unlock(&kvm->mn_invalidate_lock);

	if (wake)
		rcuwait_wake_up(&kvm->mn_memslots_update_rcuwait);
	current->notifier_depth--;
}

/*
 * kvm_mmu_notifier_clear_flush_young(), virt/kvm/kvm_main.c.  x86 walks without mmu_lock and never
 * flushes; arm64 holds it and flushes when young.
 */
bool kvm_mmu_notifier_clear_flush_young(struct kvm *kvm, s64 start, s64 end)
{
	return kvm_age_hva_range(kvm, start, end, kvm_age_gfn, !kvm->x86);
}

/* kvm_mmu_notifier_clear_young(), virt/kvm/kvm_main.c. */
bool kvm_mmu_notifier_clear_young(struct kvm *kvm, s64 start, s64 end)
{
	return kvm_age_hva_range(kvm, start, end, kvm_age_gfn, false);
}

/* kvm_mmu_notifier_test_young(), virt/kvm/kvm_main.c: looks at one page. */
bool kvm_mmu_notifier_test_young(struct kvm *kvm, s64 address)
{
	return kvm_age_hva_range(kvm, address, address + 1, kvm_test_age_gfn, false);
}

/* kvm_age_hva_range(), virt/kvm/kvm_main.c. */
static bool kvm_age_hva_range(struct kvm *kvm, s64 start, s64 end, gfn_handler_t handler,
			      bool flush)
{
	const struct kvm_mmu_notifier_range range = {
		.start = start,
		.end = end,
		.handler = handler,
		.flush_on_ret = flush,
		.lockless = kvm->x86,
	};
	bool young;

	current->notifier_depth++;
	young = kvm_handle_hva_range(kvm, &range).ret;
	current->notifier_depth--;
	return young;
}

/* kvm_mmu_notifier_release(), virt/kvm/kvm_main.c: exit_mmap() begins. */
void kvm_mmu_notifier_release(struct kvm *kvm)
{
	STEP("kvm_mmu_notifier_release.srcu");
	srcu_read_lock(&kvm->srcu);
	kvm_flush_shadow_all(kvm);
	srcu_read_unlock(&kvm->srcu);
}

/* mmu_invalidate_retry_gfn(), include/linux/kvm_host.h. */
bool mmu_invalidate_retry_gfn(struct kvm *kvm, s64 mmu_seq, s64 gfn)
{
	if (kvm->mmu_invalidate_in_progress) {
		if (kvm->mmu_invalidate_range_start == INVALID_GPA) {
			WARN_ON(kvm, "mmu_invalidate_retry_gfn: in progress without a range");
			return true;
		}
		if (gfn >= kvm->mmu_invalidate_range_start && gfn < kvm->mmu_invalidate_range_end)
			return true;
	}
	return kvm->mmu_invalidate_seq != mmu_seq;
}

/* mmu_invalidate_retry(), include/linux/kvm_host.h: any range counts (arm64). */
bool mmu_invalidate_retry(struct kvm *kvm, s64 mmu_seq)
{
	return kvm->mmu_invalidate_in_progress > 0 || kvm->mmu_invalidate_seq != mmu_seq;
}

/*
 * Dirty logging: which pages of a slot the guest wrote since last asked.
 *
 * Bits are taken and pages write-protected under mmu_lock; the flush comes after, before the ioctl
 * returns, so that no write after its return goes unlogged.
 */

static struct kvm_memory_slot *find_logged_slot(struct kvm *kvm, s64 slot_id, s64 as_id);
static char *bitmap_text(const struct keys *bits);
static s64 kvm_clear_dirty_log_protect(struct kvm *kvm, s64 slot_id, u64 first, u64 num, u64 bits,
				       s64 as_id);
static void protect_dirty(struct kvm *kvm, struct kvm_memory_slot *slot, const struct keys *bits);

/* mark_page_dirty_in_slot(), virt/kvm/kvm_main.c (bitmap mode). */
void mark_page_dirty_in_slot(struct kvm *kvm, struct kvm_memory_slot *slot, s64 gfn)
{
	check_slot_alive(kvm, slot, "mark_page_dirty_in_slot");
	if (slot->dirty_bitmap)
		set_add(slot->dirty_bitmap, gfn - slot->base_gfn);
}

/* The checks at the start of both ioctls, virt/kvm/kvm_main.c: EINVAL, then ENOENT.  ERR_PTR. */
static struct kvm_memory_slot *find_logged_slot(struct kvm *kvm, s64 slot_id, s64 as_id)
{
	struct kvm_memory_slot *slot;

	if ((u64)as_id >= (u64)kvm->nr_as || (u64)slot_id >= (u64)user_mem_slots(kvm))
		return ERR_PTR(-EINVAL);

	slot = map_get(&kvm->memslots[as_id]->slots, slot_id);
	if (!slot || !slot->dirty_bitmap)
		return ERR_PTR(-ENOENT);
	return slot;
}

/*
 * kvm_get_dirty_log_protect(), virt/kvm/kvm_main.c; "bits:0x.." in kvm->text, or an errno.  With
 * manual protection the bits are only copied; KVM_CLEAR_DIRTY_LOG takes them.
 */
result_t kvm_vm_ioctl_get_dirty_log(struct kvm *kvm, s64 slot_id, s64 as_id)
{
	struct kvm_memory_slot *slot;
	struct map *bitmap;
	struct keys taken;

	mutex_lock(&kvm->slots_lock, "kvm_vm_ioctl_get_dirty_log.slots_lock");
	watch_lock_slots(kvm, "slots_lock");
	slot = find_logged_slot(kvm, slot_id, as_id);
	if (IS_ERR(slot)) {
		mutex_unlock(&kvm->slots_lock);
		return PTR_ERR(slot);
	}

	bitmap = slot->dirty_bitmap;
	if (kvm->manual_dirty_log) {
		taken = map_keys(bitmap);
	} else {
		write_lock(&kvm->mmu_lock, "kvm_get_dirty_log_protect.mmu_lock");
		taken = map_keys(bitmap);
		map_clear(bitmap);
		protect_dirty(kvm, slot, &taken);
		write_unlock(&kvm->mmu_lock);
		if (taken.n) {
			STEP("kvm_get_dirty_log_protect.flush");
			kvm_flush_remote_tlbs(kvm);
		}
	}
	mutex_unlock(&kvm->slots_lock);

	if (take_failure(kvm, FAIL_USER_COPY))
		return -EFAULT;
	kvm->text = bitmap_text(&taken);
	return RESULT_TEXT;
}

/* A bitmap as one hexadecimal number; bits are ascending, and none is below 0. */
static char *bitmap_text(const struct keys *bits)
{
	static const char prefix[] = "bits:0x";
	s64 digits = bits->n ? bits->key[bits->n - 1] / 4 + 1 : 1;
	char *text = arena_alloc(sizeof(prefix) + digits);
	char *digit = text;

	for (const char *c = prefix; *c; c++)
		*digit++ = *c;
	for (s64 i = digits - 1, at = (s64)bits->n - 1; i >= 0; i--) {
		u32 value = 0;

		for (; at >= 0 && bits->key[at] / 4 == i; at--)
			value |= 1u << bits->key[at] % 4;
		*digit++ = "0123456789abcdef"[value];
	}
	return text;
}

/* kvm_vm_ioctl_clear_dirty_log(), virt/kvm/kvm_main.c. */
result_t kvm_vm_ioctl_clear_dirty_log(struct kvm *kvm, s64 slot_id, u64 first, u64 num, u64 bits,
				      s64 as_id)
{
	s64 r;

	/* One label for both ioctls, as in the Python model. */
	mutex_lock(&kvm->slots_lock, "kvm_vm_ioctl_get_dirty_log.slots_lock");
	watch_lock_slots(kvm, "slots_lock");
	r = kvm_clear_dirty_log_protect(kvm, slot_id, first, num, bits, as_id);
	mutex_unlock(&kvm->slots_lock);
	return r;
}

/* kvm_clear_dirty_log_protect(), virt/kvm/kvm_main.c: num pages from first, where bits are set. */
static s64 kvm_clear_dirty_log_protect(struct kvm *kvm, s64 slot_id, u64 first, u64 num, u64 bits,
				       s64 as_id)
{
	s64 taken_bits[64]; /* as many as bits can name */
	struct keys taken = { 0, taken_bits };
	struct kvm_memory_slot *slot;
	u64 npages;

	if ((u64)as_id >= (u64)kvm->nr_as || (u64)slot_id >= (u64)user_mem_slots(kvm) || first & 63)
		return -EINVAL;
	slot = find_logged_slot(kvm, slot_id, as_id);
	if (IS_ERR(slot))
		return PTR_ERR(slot);

	/* A count that is no multiple of 64 is allowed only at the end of the slot. */
	npages = slot->npages;
	if (first > npages || num > npages - first || (num < npages - first && num & 63))
		return -EINVAL;
	if (take_failure(kvm, FAIL_USER_COPY))
		return -EFAULT;

	write_lock(&kvm->mmu_lock, "kvm_clear_dirty_log_protect.mmu_lock");
	for (u64 bit = 0; bit < num && bit < 64; bit++) {
		s64 page = first + bit;

		if (bits >> bit & 1 && map_has(slot->dirty_bitmap, page)) {
			taken.key[taken.n++] = page;
			map_del(slot->dirty_bitmap, page);
		}
	}
	protect_dirty(kvm, slot, &taken);
	write_unlock(&kvm->mmu_lock);

	if (taken.n) {
		STEP("kvm_clear_dirty_log_protect.flush");
		kvm_flush_remote_tlbs(kvm);
	}
	return 0;
}

/* kvm_arch_mmu_enable_log_dirty_pt_masked(), arch/x86/kvm/mmu/mmu.c. */
static void protect_dirty(struct kvm *kvm, struct kvm_memory_slot *slot, const struct keys *bits)
{
	struct map gfns = set_of_size(bits->n);

	for (u32 i = 0; i < bits->n; i++)
		gfns.entries[i].key = slot->base_gfn + bits->key[i];
	write_protect_gfns(kvm, slot, &gfns, 0, 0, KINDS_ALL);
}

/* KVM_ENABLE_CAP of KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, virt/kvm/kvm_main.c. */
s64 enable_manual_dirty_log(struct kvm *kvm, bool initially_set)
{
	kvm->manual_dirty_log = true;
	kvm->dirty_log_initially_set = initially_set;
	return 0;
}

/*
 * Memory attributes: which gfns are private.
 *
 * Walks by gfn, over every slot, gmem-only ones too; the HVA notifiers have no part in it.
 */

static s64 kvm_vm_set_mem_attributes(struct kvm *kvm, s64 start, s64 end, u64 attributes);
static void kvm_memslot_iter_start(struct kvm_memslot_iter *iter, struct kvm_memslots *slots,
				   s64 start, s64 end);
static bool kvm_handle_gfn_range_pre(struct kvm *kvm, s64 start, s64 end);

/*
 * kvm_vm_ioctl_set_mem_attributes(), virt/kvm/kvm_main.c; gpa and size in bytes.  arm64 has no such
 * ioctl, and answers EINVAL to one that it does not know (kvm_arch_vm_ioctl(),
 * arch/arm64/kvm/arm.c).
 */
s64 kvm_vm_ioctl_set_mem_attributes(struct kvm *kvm, u64 gpa, u64 size, u64 attributes, u64 flags)
{
	u64 supported = kvm->has_private_mem ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0;
	s64 start, end;
	s64 r;

	if (!kvm->features.memory_attributes)
		return -EINVAL;
	if (flags || attributes & ~supported)
		return -EINVAL;
	if (!size || (s128)gpa + size > U64 || gpa & PAGE_MASK || size & PAGE_MASK)
		return -EINVAL;

	start = gpa >> PAGE_SHIFT;
	end = (gpa + size) >> PAGE_SHIFT;
	mutex_lock(&kvm->slots_lock, "kvm_vm_set_mem_attributes.slots_lock");
	watch_lock_slots(kvm, "slots_lock");
	r = kvm_vm_set_mem_attributes(kvm, start, end, attributes);
	mutex_unlock(&kvm->slots_lock);
	return r;
}

/*
 * kvm_vm_set_mem_attributes(), virt/kvm/kvm_main.c: gfns [start, end).  Start and zap under
 * mmu_lock, store without it, end under it again: a fault between them sees the range in progress
 * and tries again.
 */
static s64 kvm_vm_set_mem_attributes(struct kvm *kvm, s64 start, s64 end, u64 attributes)
{
	bool reserves = attributes || !kvm->features.attributes_cleared_without_reserve;
	bool found;

	if (kvm_range_has_memory_attributes(kvm, start, end, attributes))
		return 0;
	if (reserves && (end - start > ATTRIBUTE_PAGES_MAX || take_failure(kvm, FAIL_XARRAY)))
		return -ENOMEM;

	found = kvm_handle_gfn_range_pre(kvm, start, end);

	STEP("kvm_vm_set_mem_attributes.store");
	if (attributes) {
		for (s64 gfn = start; gfn < end; gfn++)
			map_put(&kvm->mem_attr_array, gfn, (void *)attributes);
	} else {
		map_del_in(&kvm->mem_attr_array, start, end);
	}

	if (found) {
		write_lock(&kvm->mmu_lock, "kvm_handle_gfn_range.post_mmu_lock");
		kvm_mmu_invalidate_end(kvm);
		write_unlock(&kvm->mmu_lock);
	}
	return 0;
}

/* kvm_range_has_memory_attributes(), virt/kvm/kvm_main.c: gfns [start, end). */
bool kvm_range_has_memory_attributes(struct kvm *kvm, s64 start, s64 end, u64 attributes)
{
	const struct map *array = &kvm->mem_attr_array;
	s64 equal = 0;

	/* No entry holds 0: with none asked for, any entry is a difference. */
	for (u32 i = 0; i < array->n; i++) {
		if (array->entries[i].key < start || array->entries[i].key >= end)
			continue;
		if ((u64)array->entries[i].value != attributes)
			return false;
		equal++;
	}
	return !attributes || equal == end - start;
}

/*
 * kvm_for_each_memslot_in_gfn_range(), include/linux/kvm_host.h: the slots of one set that meet
 * gfns [start, end), in the order of the gfn tree.
 */
#define kvm_for_each_memslot_in_gfn_range(iter, slots, start, end)                             \
	for (kvm_memslot_iter_start((iter), (slots), (start), (end)); kvm_memslot_iter_next(iter);)

/* Slots that overlap gfns [start, end), by gfn (include/linux/kvm_host.h). */
static void kvm_memslot_iter_start(struct kvm_memslot_iter *iter, struct kvm_memslots *slots,
				   s64 start, s64 end)
{
	*iter = (struct kvm_memslot_iter){ 0 };
	for (u32 i = 0; i < slots->slots.n; i++) {
		struct kvm_memory_slot *slot = slots->slots.entries[i].value;
		u32 at = iter->found.n;

		if (slot->base_gfn >= end || start >= slot->base_gfn + slot->npages)
			continue;
		for (; at; at--) {
			const struct kvm_memory_slot *before = iter->found.items[at - 1];

			if (before->base_gfn <= slot->base_gfn)
				break;
		}
		vec_insert(&iter->found, at, slot);
	}
}

/* kvm_handle_gfn_range() with kvm_pre_set_memory_attributes(), virt/kvm/kvm_main.c. */
static bool kvm_handle_gfn_range_pre(struct kvm *kvm, s64 start, s64 end)
{
	bool found_memslot = false, flush = false;
	struct kvm_gfn_range gfn_range;
	struct kvm_memslot_iter iter;
	struct kvm_memory_slot *slot;
	struct kvm_memslots *slots;

	for (int as_id = 0; as_id < kvm->nr_as; as_id++) {
		slots = kvm->memslots[as_id];
		kvm_for_each_memslot_in_gfn_range(&iter, slots, start, end) {
			slot = iter.slot;
			gfn_range = (struct kvm_gfn_range){
				.slot = slot,
				.start = max_s64(start, slot->base_gfn),
				.end = min_s64(end, slot->base_gfn + slot->npages),
				.may_block = true,
			};

			if (!found_memslot) {
				found_memslot = true;
				write_lock(&kvm->mmu_lock, "kvm_handle_gfn_range.pre_mmu_lock");
				kvm_mmu_invalidate_start(kvm);
			}
			flush |= kvm_mmu_unmap_gfn_range(kvm, &gfn_range);
		}
	}

	if (flush) {
		STEP("kvm_handle_gfn_range.flush");
		kvm_flush_remote_tlbs(kvm);
	}
	if (found_memslot)
		write_unlock(&kvm->mmu_lock);
	return found_memslot;
}

/*
 * KVM's own reads and writes of guest memory, through the slot's HVA.
 *
 * They use the VMM's mapping also for a gmem-only slot, whatever that mapping is.
 */

/* gfn_to_memslot(), virt/kvm/kvm_main.c; an INVALID slot is returned as such. */
struct kvm_memory_slot *gfn_to_memslot(struct kvm *kvm, int as_id, s64 gfn)
{
	const struct map *slots = &kvm->memslots[as_id]->slots;

	for (u32 i = 0; i < slots->n; i++) {
		struct kvm_memory_slot *slot = slots->entries[i].value;

		if (gfn >= slot->base_gfn && gfn < slot->base_gfn + slot->npages)
			return slot;
	}
	return NULL;
}

/* kvm_read_guest_page(), virt/kvm/kvm_main.c. */
result_t kvm_read_guest(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn)
{
	struct kvm_memory_slot *slot;
	result_t r = -EFAULT;

	if (vcpu)
		vcpu_exit(kvm, vcpu);
	else
		srcu_read_lock(&kvm->srcu);

	STEP("kvm_read_guest_page.slot");
	slot = gfn_to_memslot(kvm, 0, gfn);
	if (slot && !slot_invalid(slot))
		r = user_access(kvm, slot->userspace_addr + gfn - slot->base_gfn, false, 0);
	srcu_read_unlock(&kvm->srcu);
	return is_word(r) ? -EFAULT : r;
}

/* kvm_write_guest_page(), virt/kvm/kvm_main.c: marks the page dirty. */
s64 kvm_write_guest(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn, s64 value)
{
	struct kvm_memory_slot *slot;
	result_t r = -EFAULT;

	vcpu_exit(kvm, vcpu);
	STEP("kvm_write_guest_page.slot");
	slot = gfn_to_memslot(kvm, 0, gfn);
	if (slot && !slot_invalid(slot) && !(slot->flags & KVM_MEM_READONLY)) {
		r = user_access(kvm, slot->userspace_addr + gfn - slot->base_gfn, true, value);
		if (!r)
			mark_page_dirty_in_slot(kvm, slot, gfn);
	}
	srcu_read_unlock(&kvm->srcu);
	return is_word(r) ? -EFAULT : r;
}

/*
 * TLB flushes: making every vCPU forget translations that memory no longer holds.
 */

/*
 * kvm_make_all_cpus_request(), virt/kvm/kvm_main.c.  A vCPU in guest mode is interrupted, and the
 * sender waits until it has left; that wait needs nothing but the interrupt, so here it takes no
 * step.  Others find the request at entry.
 */
void kvm_make_all_cpus_request(struct kvm *kvm, u32 request)
{
	for (int i = 0; i < kvm->nr_vcpus; i++) {
		struct kvm_vcpu *vcpu = &kvm->vcpus[i];

		vcpu->requests |= request;
		if (vcpu->mode == IN_GUEST_MODE)
			vcpu->mode = OUTSIDE_GUEST_MODE;
	}
}

/*
 * kvm_flush_remote_tlbs(), virt/kvm/kvm_main.c.  arm64 broadcasts a TLBI instead
 * (arch/arm64/kvm/mmu.c), which acts at once.
 */
void kvm_flush_remote_tlbs(struct kvm *kvm)
{
	kvm->remote_tlb_flush++;
	if (kvm->x86) {
		kvm_make_all_cpus_request(kvm, KVM_REQ_TLB_FLUSH);
		return;
	}
	for (int i = 0; i < kvm->nr_vcpus; i++)
		map_clear(&kvm->vcpus[i].tlb);
}

/* kvm_tlb_flush_vmid_range(), arch/arm64/kvm/hyp/pgtable.c: gfns [start, end). */
void kvm_tlb_flush_vmid_range(struct kvm *kvm, s64 start, s64 end)
{
	/* The gfn is the upper part of a key. */
	for (int i = 0; i < kvm->nr_vcpus; i++)
		map_del_in(&kvm->vcpus[i].tlb, TLB_KEY(start, 0, 0), TLB_KEY(end, 0, 0));
}

/* The handling of requests in vcpu_enter_guest(), arch/x86/kvm/x86.c. */
void kvm_service_local_tlb_flush_requests(struct kvm *kvm, struct kvm_vcpu *vcpu)
{
	if (vcpu->requests & KVM_REQ_MMU_FREE_OBSOLETE_ROOTS)
		kvm_mmu_free_obsolete_roots(kvm, vcpu);
	if (vcpu->requests & KVM_REQ_TLB_FLUSH) {
		kvm->tlb_flush++;
		map_clear(&vcpu->tlb);
	}
	if (vcpu->requests & KVM_REQ_TLB_FLUSH_GUEST) {
		kvm->tlb_flush++;
		map_clear(&vcpu->tlb);
	}
	vcpu->requests = 0;
}

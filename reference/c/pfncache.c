/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * gfn_to_pfn caches: KVM's own mapped pages of guest memory.  Mirrors virt/kvm/pfncache.c.
 *
 * A valid cache holds no reference to its page.  It stays right because range_start clears `valid`
 * of every cache in its range, and because a refresh that overlaps an invalidation starts over.  A
 * cache by gpa goes through the slot's HVA, also for a gmem-only slot.
 */
#include "kvm_host.h"

#define NO_HVA (-1) /* KVM_HVA_ERR_BAD; every negative uhva counts as an error */

static s64 __kvm_gpc_activate(struct kvm *kvm, struct gfn_to_pfn_cache *gpc, s64 gpa, s64 uhva);
static s64 __kvm_gpc_refresh(struct kvm *kvm, struct gfn_to_pfn_cache *gpc, s64 gpa, s64 uhva);
static s64 hva_to_pfn_retry(struct kvm *kvm, struct gfn_to_pfn_cache *gpc);

/* The program's cache with this number; kvm_gpc_init(), virt/kvm/pfncache.c, on first use. */
struct gfn_to_pfn_cache *gpc_of(struct kvm *kvm, s64 number)
{
	struct gfn_to_pfn_cache *gpc = map_get(&kvm->gpcs, number);

	if (gpc)
		return gpc;

	gpc = new_object(struct gfn_to_pfn_cache);
	gpc->id = number;
	gpc->refresh_lock = LOCK_INIT("gpc.refresh_lock", RANK_GPC_REFRESH);
	gpc->lock = LOCK_INIT("gpc.lock", RANK_GPC);
	gpc->gpa = INVALID_GPA;
	gpc->uhva = NO_HVA;
	map_put(&kvm->gpcs, number, gpc);
	return gpc;
}

/* Whether a valid cache holds a page of HVA [start, end). */
static bool gpc_in_range(const struct gfn_to_pfn_cache *gpc, s64 start, s64 end)
{
	return gpc->valid && gpc->uhva >= start && gpc->uhva < end;
}

/*
 * gfn_to_pfn_cache_invalidate_start(), virt/kvm/pfncache.c; HVA pages [start, end).  A look first,
 * then another under the write lock, which waits for users.
 */
void gfn_to_pfn_cache_invalidate_start(struct kvm *kvm, s64 start, s64 end)
{
	if (!kvm->gpc_list.n)
		return;

	spin_lock(&kvm->gpc_lock, "gfn_to_pfn_cache_invalidate_start.gpc_lock");
	for (u32 i = 0; i < kvm->gpc_list.n; i++) {
		struct gfn_to_pfn_cache *gpc = kvm->gpc_list.items[i];

		if (!gpc_in_range(gpc, start, end))
			continue;

		write_lock(&gpc->lock, "gfn_to_pfn_cache_invalidate_start.write");
		if (gpc_in_range(gpc, start, end))
			gpc->valid = false;
		write_unlock(&gpc->lock);
	}
	spin_unlock(&kvm->gpc_lock);
}

/* kvm_gpc_activate(), virt/kvm/pfncache.c; gpa in bytes, one page long. */
s64 kvm_gpc_activate(struct kvm *kvm, s64 number, u64 gpa)
{
	if (!kvm->features.gpc)
		return -EOPNOTSUPP;

	if (gpa == U64) { /* the kernel's INVALID_GPA: it means a cache by user address */
		WARN_ON(kvm, "kvm_gpc_activate: INVALID_GPA");
		return -EINVAL;
	}
	if (gpa & PAGE_MASK) /* kvm_gpc_is_valid_len(): it would reach into the next page */
		return -EINVAL;

	return __kvm_gpc_activate(kvm, gpc_of(kvm, number), gpa >> PAGE_SHIFT, NO_HVA);
}

/* kvm_gpc_activate_hva(), virt/kvm/pfncache.c; hva in bytes, one page long. */
s64 kvm_gpc_activate_hva(struct kvm *kvm, s64 number, u64 hva)
{
	if (!kvm->features.gpc)
		return -EOPNOTSUPP;

	if (hva > TASK_SIZE - PAGE_SIZE || hva & PAGE_MASK) /* access_ok(); one page only */
		return -EINVAL;

	return __kvm_gpc_activate(kvm, gpc_of(kvm, number), INVALID_GPA, hva >> PAGE_SHIFT);
}

/*
 * __kvm_gpc_activate(), virt/kvm/pfncache.c: the cache is listed before it is active, so that no
 * invalidation can miss it once it may become valid.
 */
static s64 __kvm_gpc_activate(struct kvm *kvm, struct gfn_to_pfn_cache *gpc, s64 gpa, s64 uhva)
{
	s64 ret;

	mutex_lock(&gpc->refresh_lock, "kvm_gpc_activate.refresh_lock");

	if (!gpc->active) {
		if (gpc->valid) {
			KVM_BUG_ON(kvm, "__kvm_gpc_activate: valid before activation");
			ret = -EIO;
			goto out_unlock;
		}

		spin_lock(&kvm->gpc_lock, "kvm_gpc_activate.gpc_lock");
		vec_push(&kvm->gpc_list, gpc);
		spin_unlock(&kvm->gpc_lock);

		write_lock(&gpc->lock, "kvm_gpc_activate.active");
		gpc->active = true;
		write_unlock(&gpc->lock);
	}
	ret = __kvm_gpc_refresh(kvm, gpc, gpa, uhva);

out_unlock:
	mutex_unlock(&gpc->refresh_lock);
	return ret;
}

/* kvm_gpc_refresh(), virt/kvm/pfncache.c. */
s64 kvm_gpc_refresh(struct kvm *kvm, struct gfn_to_pfn_cache *gpc)
{
	s64 ret;

	mutex_lock(&gpc->refresh_lock, "kvm_gpc_refresh.refresh_lock");
	ret = __kvm_gpc_refresh(kvm, gpc, gpc->gpa, gpc->uhva);
	mutex_unlock(&gpc->refresh_lock);
	return ret;
}

/*
 * __kvm_gpc_refresh(), virt/kvm/pfncache.c.  A gpa of INVALID_GPA says that the cache is by user
 * address.  A failed refresh leaves it invalid, and without a page.
 */
static s64 __kvm_gpc_refresh(struct kvm *kvm, struct gfn_to_pfn_cache *gpc, s64 gpa, s64 uhva)
{
	struct kvm_memslots *slots;
	s64 old_uhva;
	s64 ret;

	write_lock(&gpc->lock, "__kvm_gpc_refresh.lock");

	if (!gpc->active) {
		ret = -EINVAL;
		goto out_unlock;
	}

	slots = kvm->memslots[0];
	old_uhva = gpc->uhva;
	if (gpa == INVALID_GPA) {
		gpc->gpa = INVALID_GPA;
		gpc->memslot = NULL;
		gpc->uhva = uhva;
	} else if (gpc->gpa != gpa || gpc->generation != slots->generation || gpc->uhva < 0) {
		struct kvm_memory_slot *slot = gfn_to_memslot(kvm, 0, gpa);

		gpc->gpa = gpa;
		gpc->generation = slots->generation;
		gpc->memslot = slot;
		if (!slot || slot_invalid(slot) || slot->flags & KVM_MEM_READONLY) {
			gpc->uhva = NO_HVA;
			ret = -EFAULT;
			goto out;
		}
		gpc->uhva = slot->userspace_addr + gpa - slot->base_gfn;
	}

	/* The same address as before, and nobody invalidated it: the page is still right. */
	if (gpc->valid && gpc->uhva == old_uhva) {
		ret = 0;
		goto out_unlock;
	}
	ret = hva_to_pfn_retry(kvm, gpc);

out:
	if (ret) {
		gpc->valid = false;
		gpc->frame = NULL;
	}
out_unlock:
	write_unlock(&gpc->lock);
	return ret;
}

/* The sequence that a refresh watches; see hva_to_pfn_retry(), virt/kvm/pfncache.c. */
static s64 gpc_seq(struct kvm *kvm)
{
	return kvm->features.gpc_invalidate_seq ? kvm->gpc_invalidate_seq : kvm->mmu_invalidate_seq;
}

/* mmu_notifier_retry_cache(), virt/kvm/pfncache.c: was there any invalidation, of any range? */
static bool mmu_notifier_retry_cache(struct kvm *kvm, s64 seq)
{
	return kvm->mn_active_invalidate_count || gpc_seq(kvm) != seq;
}

/*
 * hva_to_pfn_retry(), virt/kvm/pfncache.c; enters and leaves with gpc->lock held for writing.
 *
 * valid goes false first, so that an invalidation in between has nothing to clear, and is found by
 * the check at the end instead.
 */
static s64 hva_to_pfn_retry(struct kvm *kvm, struct gfn_to_pfn_cache *gpc)
{
	s64 generation = 0;
	struct frame *frame;
	bool writable;
	s64 seq;

	gpc->valid = false;

	for (;;) {
		seq = gpc_seq(kvm);
		write_unlock(&gpc->lock);

		STEP("hva_to_pfn_retry.lookup");
		frame = hva_to_pfn(kvm, gpc->uhva, true, true, &writable);
		if (!IS_ERR(frame)) {
			generation = frame->generation;
			STEP("hva_to_pfn_retry.map");
		}

		write_lock(&gpc->lock, "hva_to_pfn_retry.lock");
		if (IS_ERR(frame))
			return -EFAULT;

		if (gpc->valid) /* refresh_lock keeps everybody else from validating it */
			WARN_ON(kvm, "hva_to_pfn_retry: valid after relock");
		if (!mmu_notifier_retry_cache(kvm, seq))
			break;

		write_unlock(&gpc->lock);
		put_page(kvm, frame);
		RETRY("hva_to_pfn_retry.again");
		write_lock(&gpc->lock, "hva_to_pfn_retry.relock");
	}

	gpc->valid = true;
	gpc->frame = frame;
	gpc->frame_generation = generation;
	watch_gpc_validated(kvm, gpc);

	/* No reference is kept: an invalidation comes before the end of the page. */
	put_page(kvm, frame);
	return 0;
}

/* kvm_gpc_check(), virt/kvm/pfncache.c; gpc->lock is held for reading. */
static bool kvm_gpc_check(struct kvm *kvm, struct gfn_to_pfn_cache *gpc)
{
	if (!gpc->active)
		return false;

	if (gpc->gpa != INVALID_GPA && gpc->generation != kvm->memslots[0]->generation)
		return false;

	return gpc->uhva >= 0 && gpc->valid;
}

/*
 * How users (kvmclock, Xen) reach the page: check under the read lock, refresh, check again.  The
 * loop of kvm_xen_set_evtchn(), arch/x86/kvm/xen.c, and kvm_setup_guest_pvclock(),
 * arch/x86/kvm/x86.c.
 */
s64 gpc_use(struct kvm *kvm, s64 number, const s64 *value)
{
	struct gfn_to_pfn_cache *gpc;
	s64 ret;

	if (!kvm->features.gpc)
		return -EOPNOTSUPP;

	gpc = gpc_of(kvm, number);
	for (;;) {
		if (gpc->lock.writer) {
			WANT_LOCK_FREE(&gpc->lock, "kvm_gpc_check.lock");
		} else {
			STEP("kvm_gpc_check.lock");
			if (gpc->lock.writer)
				continue;
		}
		__read_lock(&gpc->lock);
		if (kvm_gpc_check(kvm, gpc))
			break;
		read_unlock(&gpc->lock);

		srcu_read_lock(&kvm->srcu);
		ret = kvm_gpc_refresh(kvm, gpc);
		srcu_read_unlock(&kvm->srcu);
		if (ret)
			return ret;
	}

	STEP("kvm_gpc_check.use");
	/* "gpc" without its number: sites leave the number out. */
	if (!value) {
		ret = read_frame(kvm, gpc->frame, gpc->frame_generation, "gpc");
	} else {
		ret = 0;
		write_frame(kvm, gpc->frame, gpc->frame_generation, *value, "gpc");
		if (gpc->memslot)
			mark_page_dirty_in_slot(kvm, gpc->memslot, gpc->gpa);
	}
	read_unlock(&gpc->lock);
	return ret;
}

/* kvm_gpc_deactivate(), virt/kvm/pfncache.c: inactive first, unlisted second. */
s64 kvm_gpc_deactivate(struct kvm *kvm, s64 number)
{
	struct gfn_to_pfn_cache *gpc;

	if (!kvm->features.gpc)
		return -EOPNOTSUPP;

	gpc = gpc_of(kvm, number);
	mutex_lock(&gpc->refresh_lock, "kvm_gpc_deactivate.refresh_lock");

	if (gpc->active) {
		write_lock(&gpc->lock, "kvm_gpc_deactivate.lock");
		gpc->active = false;
		gpc->valid = false;
		gpc->frame = NULL;
		write_unlock(&gpc->lock);

		spin_lock(&kvm->gpc_lock, "kvm_gpc_deactivate.gpc_lock");
		vec_remove(&kvm->gpc_list, gpc);
		spin_unlock(&kvm->gpc_lock);
	}

	mutex_unlock(&gpc->refresh_lock);
	return 0;
}

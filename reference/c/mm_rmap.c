/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What kernel threads do to mapped pages: migration, reclaim, KSM, poison, aging, OOM, exit.
 *
 * mm/rmap.c, mm/migrate.c, mm/vmscan.c, mm/ksm.c, mm/memory-failure.c, mm/page_idle.c,
 * mm/oom_kill.c and mm/mmap.c.  Work that starts from a page holds its folio lock, not mmap_lock.
 */
#include "kvm_host.h"

static void remove_migration_ptes(struct kvm *kvm, struct frame *frame, struct frame *target,
				  u32 unmapped);
static s64 hold_and_fail(struct kvm *kvm, struct frame *frame);

/* What stands in the page tables where a PTE was. */
static struct entry *new_entry(enum entry_kind kind, struct frame *frame)
{
	struct entry *entry = new_object(struct entry);

	entry->kind = kind;
	entry->frame = frame;
	return entry;
}

/*
 * HVA pages whose PTE holds this frame now, ascending (rmap_walk(), mm/rmap.c).  A walk goes on
 * until there is none: a mapping that mremap() moves meanwhile is met at its new place, because
 * the copy of its VMA stands behind the original (copy_vma(), mm/vma.c).
 */
struct keys pages_mapping(struct kvm *kvm, struct frame *frame)
{
	const struct map *ptes = &kvm->mm.ptes;
	struct keys pages = { 0, NULL };

	for (u32 i = 0; i < ptes->n; i++) {
		const struct pte *pte = ptes->entries[i].value;
		s64 page = ptes->entries[i].key;
		u32 at;

		if (pte->frame != frame)
			continue;
		if (!pages.key)
			pages.key = arena_alloc((ptes->n - i) * sizeof(*pages.key));
		for (at = pages.n; at && pages.key[at - 1] > page; at--)
			pages.key[at] = pages.key[at - 1];
		pages.key[at] = page;
		pages.n++;
	}
	return pages;
}

/* HVA pages where an entry of this kind stands for this frame now, ascending (rmap_walk()). */
static struct keys pages_with_entry(struct kvm *kvm, enum entry_kind kind, struct frame *frame)
{
	struct keys pages = map_keys(&kvm->mm.entries);
	u32 n = 0;

	for (u32 i = 0; i < pages.n; i++) {
		const struct entry *entry = map_get(&kvm->mm.entries, pages.key[i]);

		if (entry->kind == kind && entry->frame == frame)
			pages.key[n++] = pages.key[i];
	}
	pages.n = n;
	return pages;
}

/*
 * try_to_unmap_one(), try_to_migrate_one() (mm/rmap.c) and unmap_mapping_folio() (mm/memory.c)
 * for one PTE: start, clear, end.  The PTE's reference goes to the caller.
 */
bool unmap_one(struct kvm *kvm, s64 page, struct frame *frame, struct entry *entry)
{
	bool mine = false;
	struct pte *pte;

	kvm_mmu_notifier_invalidate_range_start(kvm, page, page + 1, true);
	STEP("try_to_unmap_one.clear_pte");
	pte = map_get(&kvm->mm.ptes, page);
	if (pte && pte->frame == frame) {
		mine = true;
		if (entry) {
			/* As the PTE is now: others have run since the page was looked up. */
			entry->writable = entry->kind == ENTRY_MIGRATION && pte->writable;
			map_put(&kvm->mm.entries, page, entry);
		}
		clear_pte(kvm, page);
	}
	kvm_mmu_notifier_invalidate_range_end(kvm, page, page + 1);
	return mine;
}

/* The order of a file's interval tree, mm/interval_tree.c. */
static bool comes_before(const struct vma *one, const struct vma *other)
{
	if (one->pgoff != other->pgoff)
		return one->pgoff < other->pgoff;
	return one->linked < other->linked;
}

/*
 * Where rmap_walk_file(), mm/rmap.c, looks for a page of a file: in each VMA that covers its index,
 * by file offset and age, mapped there or not; nowhere for an anonymous page.
 */
static struct vec rmap_walk_file(struct kvm *kvm, const struct frame *frame)
{
	struct vec found = { 0 }; /* struct vma_part: the VMA, and the page as start */

	for (u32 i = 0; frame->inode && i < kvm->mm.vmas.n; i++) {
		struct vma *vma = kvm->mm.vmas.items[i];
		struct vma_part *part;
		u32 at = found.n;

		if (!vma->file || vma->file->inode != frame->inode || vma->pgoff > frame->index ||
		    frame->index >= vma->pgoff + vma->end - vma->start)
			continue;
		part = new_object(struct vma_part);
		part->vma = vma;
		part->start = vma->start + frame->index - vma->pgoff;
		while (at && comes_before(vma, ((struct vma_part *)found.items[at - 1])->vma))
			at--;
		vec_insert(&found, at, part);
	}
	return found;
}

/*
 * unmap_mapping_folio(), mm/memory.c: a page-sized CLEAR in every VMA of the file that covers the
 * index; the folio lock is held.
 */
void unmap_mapping_folio(struct kvm *kvm, struct gmem_inode *inode, struct frame *frame, s64 index)
{
	const struct vec *vmas = &kvm->mm.vmas;
	s64 *pages = arena_alloc((vmas->n + 1) * sizeof(*pages));
	struct keys left;
	u32 n = 0;

	for (u32 i = 0; i < vmas->n; i++) {
		const struct vma *vma = vmas->items[i];

		if (vma->file && vma->file->inode == inode && vma->pgoff <= index &&
		    index < vma->pgoff + vma->end - vma->start)
			pages[n++] = vma->start + index - vma->pgoff;
	}
	for (u32 i = 0; i < n; i++)
		if (unmap_one(kvm, pages[i], frame, NULL))
			put_page(kvm, frame);
	/* A VMA taken out of the tree meanwhile may still have its PTE: it is found by the page. */
	while ((left = pages_mapping(kvm, frame)).n)
		if (unmap_one(kvm, left.key[0], frame, NULL))
			put_page(kvm, frame);
}

/*
 * migrate_folio_unmap() and move_to_new_folio(), mm/migrate.c, for one page.
 *
 * A guest_memfd page is unmapped, refused, and mapped again where it was.  Assumption: pages
 * mapped by more than one process are left alone, as without MPOL_MF_MOVE_ALL.
 */
s64 migrate_page(struct kvm *kvm, s64 page)
{
	u32 unmapped = 0; /* PTEs, whose references to the page are ours now */
	struct vec places;
	struct frame *frame, *target, *new;
	struct keys mapping;
	struct pte *pte;
	s64 result;

	STEP("migrate_pages.isolate");
	pte = map_get(&kvm->mm.ptes, page);
	if (!pte)
		return -ENOENT;
	frame = pte->frame;
	if (frame == kvm->zero_frame || frame->poisoned)
		return -EBUSY;
	if (frame->mapcount > 1 && frame->anon)
		return -EBUSY;
	frame->refs++;
	mutex_lock(&frame->lock, "migrate_folio_unmap.folio_lock");
	places = rmap_walk_file(kvm, frame);
	for (u32 i = 0; i < places.n && pages_mapping(kvm, frame).n; i++) {
		s64 at = ((struct vma_part *)places.items[i])->start;

		unmapped += unmap_one(kvm, at, frame, new_entry(ENTRY_MIGRATION, frame));
	}
	while ((mapping = pages_mapping(kvm, frame)).n)
		unmapped += unmap_one(kvm, mapping.key[0], frame,
				      new_entry(ENTRY_MIGRATION, frame));
	STEP("move_to_new_folio.copy");
	result = -EAGAIN;
	target = frame;
	if (!frame->anon) {
		result = -EOPNOTSUPP; /* kvm_gmem_migrate_folio() is not even asked */
	} else if (frame->refs == 1 + (s64)unmapped) {
		new = alloc_page(kvm);
		result = -ENOMEM;
		if (new) {
			new->content = frame->content;
			new->uptodate = true;
			new->anon = true;
			target = new;
			result = 0;
		}
	}
	remove_migration_ptes(kvm, frame, target, unmapped);
	mutex_unlock(&frame->lock);
	put_page(kvm, frame);
	return result;
}

/*
 * remove_migration_ptes(), mm/migrate.c: PTEs come back, with no notifier.  They come back where
 * their entries are by now: mremap() moves entries, and unmapping drops them.  unmapped: how many
 * PTEs there were.
 */
static void remove_migration_ptes(struct kvm *kvm, struct frame *frame, struct frame *target,
				  u32 unmapped)
{
	struct keys pages = pages_with_entry(kvm, ENTRY_MIGRATION, frame);

	for (u32 i = 0; i < pages.n; i++) {
		s64 page = pages.key[i];
		const struct entry *entry = map_get(&kvm->mm.entries, page);
		struct vma *vma = find_vma(kvm, page);
		struct pte *pte;

		map_del(&kvm->mm.entries, page);
		if (!vma) /* out of the tree: about to be unmapped, and not looked at any more */
			continue;
		if (target == frame)
			unmapped--;
		else if (target->mapcount > 0)
			target->refs++;
		set_pte(kvm, page, target, entry->writable && vma_may_write(vma));
		pte = map_get(&kvm->mm.ptes, page);
		pte->unreadable = !vma->prot;
	}
	while (unmapped--)
		put_page(kvm, frame);
	if (target != frame && !target->mapcount)
		put_page(kvm, target); /* every mapping went away meanwhile */
}

/*
 * do_pages_move(), mm/migrate.c, for one page and without MPOL_MF_MOVE_ALL.  What is not fit for
 * moving is told at once; pages mapped more than once are left alone.
 */
s64 do_pages_move(struct kvm *kvm, s64 page)
{
	const struct pte *pte = map_get(&kvm->mm.ptes, page);

	if (!find_vma(kvm, page))
		return -EFAULT;
	if (!pte)
		return -ENOENT;
	if (pte->frame == kvm->zero_frame)
		return -EFAULT;
	if (pte->frame->mapcount > 1)
		return -EACCES;
	return migrate_page(kvm, page);
}

/* isolate_migratepages_block(), mm/compaction.c: passes over guest_memfd pages. */
s64 compact_page(struct kvm *kvm, s64 page)
{
	const struct pte *pte = map_get(&kvm->mm.ptes, page);

	if (!pte)
		return -ENOENT;
	if (!pte->frame->anon)
		return -EBUSY;
	return migrate_page(kvm, page);
}

/*
 * shrink_folio_list(), mm/vmscan.c, for the page at one HVA.
 *
 * Looks whether it was used, unmaps it into the swap cache, and frees it when nobody else holds
 * it.  guest_memfd pages are unevictable and never get here.
 */
s64 reclaim_page(struct kvm *kvm, s64 page, bool check_young)
{
	s64 result = -EBUSY;
	struct entry *entry;
	struct keys places;
	struct frame *frame;
	struct vma *vma;
	struct pte *pte;

	STEP("shrink_folio_list.page");
	pte = map_get(&kvm->mm.ptes, page);
	if (!pte)
		return -ENOENT;
	frame = pte->frame;
	vma = find_vma(kvm, page);
	if (!frame->anon || frame == kvm->zero_frame || frame->mapcount > 1 || frame->poisoned)
		return -EBUSY;
	if (vma && vma->locked)
		return -EBUSY;
	frame->refs++;
	mutex_lock(&frame->lock, "shrink_folio_list.folio_lock");
	if (check_young && kvm_mmu_notifier_clear_flush_young(kvm, page, page + 1))
		goto out_unlock; /* referenced: keep it */
	if (!unmap_one(kvm, page, frame, new_entry(ENTRY_SWAPCACHE, frame)))
		goto out_unlock;
	STEP("shrink_folio_list.pageout");
	places = pages_with_entry(kvm, ENTRY_SWAPCACHE, frame);
	if (places.n && frame->refs == 2) {
		entry = map_get(&kvm->mm.entries, places.key[0]);
		entry->kind = ENTRY_SWAP;
		entry->content = frame->content;
		entry->frame = NULL;
		put_page(kvm, frame);
		result = 0;
	}
out_unlock:
	mutex_unlock(&frame->lock);
	put_page(kvm, frame);
	return result;
}

/* try_to_merge_two_pages(), mm/ksm.c: page stays, write-protected; other joins it. */
s64 ksm_merge(struct kvm *kvm, s64 page, s64 other)
{
	struct frame *frame, *old;
	struct pte *kept, *gone;
	bool merged;

	STEP("try_to_merge_two_pages.compare");
	kept = map_get(&kvm->mm.ptes, page);
	gone = map_get(&kvm->mm.ptes, other);
	if (!kept || !gone || kept->frame == gone->frame)
		return -ENOENT;
	frame = kept->frame;
	old = gone->frame;
	if (!frame->anon || !old->anon || frame->poisoned || old->poisoned)
		return -EBUSY;
	if (frame == kvm->zero_frame || old == kvm->zero_frame)
		return -EBUSY;
	frame->refs++;
	kvm_mmu_notifier_invalidate_range_start(kvm, page, page + 1, true);
	STEP("write_protect_page.pte");
	if (map_get(&kvm->mm.ptes, page) == kept)
		kept->writable = false;
	kvm_mmu_notifier_invalidate_range_end(kvm, page, page + 1);
	kvm_mmu_notifier_invalidate_range_start(kvm, other, other + 1, true);
	STEP("replace_page.pte");
	merged = frame->content == old->content && map_get(&kvm->mm.ptes, other) == gone &&
		 map_get(&kvm->mm.ptes, page) == kept && !kept->writable;
	if (merged) {
		clear_pte(kvm, other);
		frame->refs++;
		set_pte(kvm, other, frame, false);
	}
	kvm_mmu_notifier_invalidate_range_end(kvm, other, other + 1);
	if (merged)
		put_page(kvm, old);
	put_page(kvm, frame);
	return merged ? 0 : -EBUSY;
}

/* memory_failure(), mm/memory-failure.c, for a page the caller holds. */
s64 memory_failure(struct kvm *kvm, struct frame *frame)
{
	struct keys mapping;
	struct vec places;
	s64 result = 0;

	mutex_lock(&frame->lock, "memory_failure.folio_lock");
	if (frame->poisoned || frame == kvm->zero_frame) {
		result = -EBUSY;
		goto out_unlock;
	}
	frame->poisoned = true;
	places = rmap_walk_file(kvm, frame);
	for (u32 i = 0; i < places.n && pages_mapping(kvm, frame).n; i++)
		if (unmap_one(kvm, ((struct vma_part *)places.items[i])->start, frame,
			      new_entry(ENTRY_POISON, NULL)))
			put_page(kvm, frame);
	while ((mapping = pages_mapping(kvm, frame)).n)
		if (unmap_one(kvm, mapping.key[0], frame, new_entry(ENTRY_POISON, NULL)))
			put_page(kvm, frame);
	if (frame->inode) {
		result = kvm_gmem_error_folio(kvm, frame->inode, frame);
	} else {
		frame->refs++; /* page_handle_poison(): the page is never freed */
		watch_page_poisoned(kvm, frame);
	}
out_unlock:
	mutex_unlock(&frame->lock);
	return result;
}

/* memory_failure() of whatever page the VMM maps at an HVA (mm/memory-failure.c). */
s64 memory_failure_at(struct kvm *kvm, s64 page)
{
	const struct pte *pte;

	STEP("memory_failure.lookup");
	pte = map_get(&kvm->mm.ptes, page);
	if (!pte)
		return -ENOENT;
	return hold_and_fail(kvm, pte->frame);
}

/* memory_failure() of a page of a guest_memfd (mm/memory-failure.c). */
s64 memory_failure_gmem(struct kvm *kvm, s64 fd, u64 offset)
{
	const struct gmem_file *file;
	struct frame *frame;

	STEP("memory_failure.lookup");
	file = map_get(&kvm->fds, fd);
	frame = file ? map_get(&file->inode->pages, offset >> PAGE_SHIFT) : NULL;
	if (!frame || offset & PAGE_MASK)
		return -ENOENT;
	return hold_and_fail(kvm, frame);
}

/* get_hwpoison_page() around memory_failure(), mm/memory-failure.c. */
static s64 hold_and_fail(struct kvm *kvm, struct frame *frame)
{
	s64 result;

	frame->refs++;
	result = memory_failure(kvm, frame);
	put_page(kvm, frame);
	return result;
}

/*
 * task_numa_work(), kernel/sched/fair.c, and change_prot_numa(), mm/mempolicy.c.
 *
 * Which VMAs are eligible: vma_policy_mof() by default yes, an explicit policy only with
 * NUMA_BALANCING; never read-only file mappings, never PROT_NONE.
 */
s64 numa_scan(struct kvm *kvm, s64 start, s64 end)
{
	struct vec parts;
	s64 scanned = 0;

	read_lock(&kvm->mmap_lock, "task_numa_work.mmap_lock");
	parts = vmas_in(kvm, start, end);
	for (u32 i = 0; i < parts.n; i++) {
		const struct vma_part *part = parts.items[i];
		struct vma *vma = part->vma;

		if (vma->policy == 1 || !vma->prot)
			continue;
		if (vma->file && !vma_may_write(vma))
			continue;
		if (vma->policy == 0 && vma->file && kvm->features.numa_skips_default_policy)
			continue;
		if (part->start < part->end) {
			change_protection(kvm, vma, part->start, part->end, PROT_UNCHANGED);
			scanned += part->end - part->start;
		}
	}
	read_unlock(&kvm->mmap_lock);
	return scanned;
}

/*
 * Young hooks as page_idle and DAMON (clear, test; mm/page_idle.c, mm/damon) or folio_referenced
 * (clear_flush; mm/rmap.c) call them; 1 when the guest used the page.
 *
 * They need a present PTE; guest_memfd pages are not on the lists that folio_referenced walks.
 */
s64 age_page(struct kvm *kvm, s64 page, enum how_to_age how)
{
	const struct pte *pte;

	STEP("rmap_walk.page");
	pte = map_get(&kvm->mm.ptes, page);
	if (!pte || (how == AGE_CLEAR_FLUSH && !pte->frame->anon))
		return 0;
	switch (how) {
	case AGE_TEST:
		return kvm_mmu_notifier_test_young(kvm, page);
	case AGE_CLEAR:
		return kvm_mmu_notifier_clear_young(kvm, page, page + 1);
	default:
		return kvm_mmu_notifier_clear_flush_young(kvm, page, page + 1);
	}
}

/* __oom_reap_task_mm(), mm/oom_kill.c: private VMAs only, must not block. */
s64 oom_reap(struct kvm *kvm)
{
	struct vec vmas;
	s64 reaped = 0;

	read_lock(&kvm->mmap_lock, "oom_reap_task_mm.mmap_lock");
	vmas = vec_copy(&kvm->mm.vmas);
	for (u32 i = 0; i < vmas.n; i++) {
		const struct vma *vma = vmas.items[i];

		if (vma->shared)
			continue;
		zap_vma_range(kvm, vma->start, vma->end, false);
		reaped++;
	}
	read_unlock(&kvm->mmap_lock);
	return reaped;
}

/*
 * exit_mmap(), mm/mmap.c: release first, then every mapping goes, unheard.
 *
 * Only the last user of an mm gets here (mmput(), kernel/fork.c), so it happens once.
 */
s64 exit_mmap(struct kvm *kvm)
{
	struct vec vmas, frames;

	if (kvm->mm_exiting)
		return 0;
	kvm->mm_exiting = true;
	/* The mm has lost its last user once no other task is inside an operation. */
	step_want(LABEL("exit_mmap.last_user"), &(struct want){ .kind = WANT_QUIET });
	kvm->mm_dead = true;
	kvm_mmu_notifier_release(kvm);
	STEP("exit_mmap.unmap");
	vmas = kvm->mm.vmas;
	kvm->mm.vmas = (struct vec){ 0, 0, NULL };
	for (u32 i = 0; i < kvm->gpc_list.n; i++) {
		struct gfn_to_pfn_cache *gpc = kvm->gpc_list.items[i];

		gpc->valid = false; /* their users are threads of the mm: gone */
	}
	frames = zap_ptes(kvm, 0, 1LL << 52, true);
	for (u32 i = 0; i < frames.n; i++)
		put_page(kvm, frames.items[i]);
	drop_files(kvm, &vmas);
	return 0;
}

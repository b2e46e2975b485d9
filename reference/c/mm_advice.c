/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * madvise and its kin, userfaultfd write protection, soft-dirty, and mlock.
 *
 * mm/madvise.c, fs/userfaultfd.c, fs/proc/task_mmu.c and mm/mlock.c.
 */
#include "kvm_host.h"

#define EVERYTHING (1LL << 52) /* pages; the end of [0, -1) */

/* How many pages the parts of VMAs hold; a range with a hole is ENOMEM at the end (mm). */
static s64 covered(const struct vec *parts)
{
	s64 npages = 0;

	for (u32 i = 0; i < parts->n; i++) {
		const struct vma_part *part = parts->items[i];

		npages += part->end - part->start;
	}
	return npages;
}

static s64 madvise_vma(struct kvm *kvm, struct vma *vma, s64 start, s64 end, enum advice advice);
static s64 madvise_inject_error(struct kvm *kvm, s64 start, s64 end, enum advice advice);

/* do_madvise(), mm/madvise.c: VMA by VMA; a hole makes it ENOMEM at the end. */
result_t do_madvise(struct kvm *kvm, u64 hva, u64 length, enum advice advice)
{
	u32 nr_holes = 0; /* the first parts, to be punched */
	u64 size = page_align(length), last = hva + size;
	s64 start = hva >> PAGE_SHIFT, end = last >> PAGE_SHIFT, result = 0;
	struct vec parts;

	if (hva & PAGE_MASK || (length && !size) || last < hva)
		return -EINVAL;
	if (!length)
		return 0;
	if (advice == MADV_HWPOISON || advice == MADV_SOFT_OFFLINE)
		return madvise_inject_error(kvm, start, end, advice);
	if (advice == MADV_POPULATE_WRITE)
		return populate(kvm, start, end);
	read_lock(&kvm->mmap_lock, "madvise.mmap_lock");
	parts = vmas_in(kvm, start, end);
	for (u32 i = 0; i < parts.n; i++) {
		const struct vma_part *part = parts.items[i];

		if (advice == MADV_REMOVE) {
			if (!part->vma->file || part->vma->locked) {
				result = -EINVAL;
				break;
			}
			part->vma->file->refs++;
			nr_holes++;
		} else {
			result = madvise_vma(kvm, part->vma, part->start, part->end, advice);
			if (result)
				break;
		}
	}
	read_unlock(&kvm->mmap_lock);
	/* madvise_remove() drops the lock before it punches. */
	for (u32 i = 0; i < nr_holes; i++) {
		const struct vma_part *part = parts.items[i];
		struct vma *vma = part->vma;
		s64 first = vma_index_of(vma, part->start);

		kvm_gmem_punch_hole(kvm, vma->file->inode, first, first + part->end - part->start);
		fput(kvm, vma->file);
	}
	if (!result && covered(&parts) != end - start)
		return -ENOMEM;
	return result;
}

/* Whether a page of [start, end) is mapped. */
static bool any_pte_in(const struct kvm *kvm, s64 start, s64 end)
{
	const struct map *ptes = &kvm->mm.ptes;

	for (u32 i = 0; i < ptes->n; i++)
		if (start <= ptes->entries[i].key && ptes->entries[i].key < end)
			return true;
	return false;
}

/* Whether anything but guards stands in place of PTEs of [start, end). */
static bool any_entry_in(const struct kvm *kvm, s64 start, s64 end)
{
	const struct map *entries = &kvm->mm.entries;

	for (u32 i = 0; i < entries->n; i++) {
		const struct entry *entry = entries->entries[i].value;

		if (start <= entries->entries[i].key && entries->entries[i].key < end &&
		    entry->kind != ENTRY_GUARD)
			return true;
	}
	return false;
}

/* Part of madvise_vma_behavior(), mm/madvise.c: guards where nothing is. */
static void guard_install(struct kvm *kvm, s64 start, s64 end)
{
	for (s64 page = start; page < end; page++) {
		struct entry *guard;

		if (map_has(&kvm->mm.ptes, page) || map_has(&kvm->mm.entries, page))
			continue;
		guard = new_object(struct entry);
		guard->kind = ENTRY_GUARD;
		map_put(&kvm->mm.entries, page, guard);
	}
}

/* madvise_vma_behavior(), mm/madvise.c, for advice that stays inside one VMA. */
static s64 madvise_vma(struct kvm *kvm, struct vma *vma, s64 start, s64 end, enum advice advice)
{
	struct keys pages;

	switch (advice) {
	case MADV_DONTNEED:
		if (vma->locked)
			return -EINVAL;
		/* fallthrough */
	case MADV_DONTNEED_LOCKED:
		zap_vma_range(kvm, start, end, true);
		return 0;
	case MADV_FREE:
		if (vma->file || vma->locked)
			return -EINVAL;
		/* Assumption: freed pages are taken at once. */
		zap_vma_range(kvm, start, end, true);
		return 0;
	case MADV_PAGEOUT:
	case MADV_COLD:
		if (vma->locked)
			return -EINVAL;
		/*
		 * COLD marks pages old in user page tables only; guest_memfd pages are
		 * unevictable.
		 */
		if (advice == MADV_COLD || vma->file)
			return 0;
		pages = map_keys_in(&kvm->mm.ptes, start, end);
		for (u32 i = 0; i < pages.n; i++)
			reclaim_page(kvm, pages.key[i], false);
		return 0;
	case MADV_GUARD_INSTALL:
		if (vma->locked)
			return -EINVAL;
		/* Any entry but a guard is zapped, present or not. */
		if (any_pte_in(kvm, start, end) || any_entry_in(kvm, start, end))
			zap_vma_range(kvm, start, end, true);
		guard_install(kvm, start, end);
		return 0;
	case MADV_GUARD_REMOVE:
		for (s64 page = start; page < end; page++) {
			const struct entry *entry = map_get(&kvm->mm.entries, page);

			if (entry && entry->kind == ENTRY_GUARD)
				map_del(&kvm->mm.entries, page);
		}
		return 0;
	default:
		return 0;
	}
}

/*
 * zap_vma_range_batched() (zap_page_range_single), mm/memory.c: a CLEAR.  Guards stay where they
 * are.
 */
void zap_vma_range(struct kvm *kvm, s64 start, s64 end, bool blockable)
{
	struct vec frames;

	kvm_mmu_notifier_invalidate_range_start(kvm, start, end, blockable);
	STEP("zap_vma_range.zap_ptes");
	frames = zap_ptes(kvm, start, end, false);
	kvm_mmu_notifier_invalidate_range_end(kvm, start, end);
	STEP("tlb_finish_mmu.free");
	for (u32 i = 0; i < frames.n; i++)
		put_page(kvm, frames.items[i]);
}

/*
 * madvise_inject_error(), mm/madvise.c: read-fault the page in, then fail it.  soft_offline_page(),
 * mm/memory-failure.c, says EBUSY of a page that does not move.
 */
static s64 madvise_inject_error(struct kvm *kvm, s64 start, s64 end, enum advice advice)
{
	for (s64 page = start; page < end; page++) {
		struct frame *frame = get_user_pages(kvm, page, false);
		s64 result;

		if (IS_ERR(frame))
			return -EFAULT;
		if (advice == MADV_SOFT_OFFLINE) {
			put_page(kvm, frame);
			result = migrate_page(kvm, page);
			if (result == -EOPNOTSUPP || result == -EAGAIN)
				result = -EBUSY;
		} else {
			result = memory_failure(kvm, frame);
			put_page(kvm, frame);
		}
		if (result)
			return result;
	}
	return 0;
}

/*
 * faultin_page_range(), mm/gup.c, and madvise_populate(), mm/madvise.c: write-fault every page;
 * fires no notifier.
 */
s64 populate(struct kvm *kvm, s64 start, s64 end)
{
	for (s64 page = start; page < end; page++) {
		const struct vma *vma = find_vma(kvm, page);
		struct frame *frame;

		if (!vma)
			return -ENOMEM;
		if (!vma_may_write(vma))
			return -EINVAL;
		frame = get_user_pages(kvm, page, true);
		if (IS_ERR(frame))
			return PTR_ERR(frame);
		put_page(kvm, frame);
	}
	return 0;
}

/*
 * do_mlock(), mm/mlock.c: mark the VMAs up to a hole, then fault all pages in.  A page that cannot
 * be had is ENOMEM, as POSIX wants.
 */
s64 do_mlock(struct kvm *kvm, u64 hva, u64 length)
{
	u64 first = hva & ~(u64)PAGE_MASK, last = first + page_align(length + (hva & PAGE_MASK));
	s64 end = last >> PAGE_SHIFT, reached = first >> PAGE_SHIFT;
	struct vec vmas, locked = { 0 };

	if (last < first)
		return -EINVAL;
	if (last == first)
		return 0;
	write_lock(&kvm->mmap_lock, "do_mlock.mmap_lock");
	vmas = split_vmas(kvm, reached, end);
	for (u32 i = 0; i < vmas.n; i++) {
		struct vma *vma = vmas.items[i];

		if (vma->start != reached)
			break;
		vma->locked = true;
		vec_push(&locked, vma);
		reached = vma->end;
	}
	write_unlock(&kvm->mmap_lock);
	if (reached != end)
		return -ENOMEM;
	for (u32 i = 0; i < locked.n; i++) {
		const struct vma *vma = locked.items[i];
		s64 stop = vma->end; /* as it was when this VMA's turn came */

		for (s64 page = vma->start; page < stop; page++) {
			struct frame *frame = get_user_pages(kvm, page,
							     vma_may_write(vma) && !vma->shared);

			if (IS_ERR(frame))
				return -ENOMEM;
			put_page(kvm, frame);
		}
	}
	return 0;
}

/*
 * msync(2) with MS_SYNC, mm/msync.c: no notifier.  guest_memfd files have no fsync operation, which
 * ends the call at the first of them.
 */
s64 do_msync(struct kvm *kvm, u64 hva, u64 length)
{
	u64 last = hva + page_align(length);
	struct vec parts;

	if (hva & PAGE_MASK)
		return -EINVAL;
	if (last < hva)
		return -ENOMEM;
	parts = vmas_in(kvm, hva >> PAGE_SHIFT, last >> PAGE_SHIFT);
	for (u32 i = 0; i < parts.n; i++)
		if (((struct vma_part *)parts.items[i])->vma->file)
			return -EINVAL;
	return covered(&parts) == (s64)((last - hva) >> PAGE_SHIFT) ? 0 : -ENOMEM;
}

/* The notifier pair and the PTE changes that the three callers below share (mm/mprotect.c). */
static void write_protect_ptes(struct kvm *kvm, s64 start, s64 end)
{
	const struct map *ptes = &kvm->mm.ptes;

	kvm_mmu_notifier_invalidate_range_start(kvm, start, end, true);
	STEP("write_protect_ptes.ptes");
	for (u32 i = 0; i < ptes->n; i++) {
		struct pte *pte = ptes->entries[i].value;

		if (start <= ptes->entries[i].key && ptes->entries[i].key < end)
			pte->writable = false;
	}
	kvm_mmu_notifier_invalidate_range_end(kvm, start, end);
}

/*
 * userfaultfd_register() and mwriteprotect_range(), mm/userfaultfd.c.
 *
 * guest_memfd only in WP_ASYNC mode, which puts markers where no page is: so its notifiers do not
 * ask whether anything is populated (pgtable_populate_needed(), mm/mprotect.c).
 */
s64 uffd_writeprotect(struct kvm *kvm, u64 hva, u64 length, bool wp_async)
{
	s64 start, end, first;
	struct vec parts;
	s64 result;

	if (!page_range(hva, length, &start, &end))
		return -EINVAL;
	read_lock(&kvm->mmap_lock, "mwriteprotect_range.mmap_lock");
	parts = vmas_in(kvm, start, end);
	result = parts.n ? 0 : -EINVAL;
	for (u32 i = 0; i < parts.n && !wp_async; i++)
		if (((struct vma_part *)parts.items[i])->vma->file)
			result = -EINVAL;
	for (u32 i = 0; i < parts.n && !result; i++) {
		const struct vma_part *part = parts.items[i];

		s64 last_pud = (part->end - 1) >> PUD_SHIFT;

		for (s64 pud = part->start >> PUD_SHIFT; wp_async && pud <= last_pud; pud++)
			set_add(&kvm->mm.puds, pud);
		first = first_populated(kvm, part->start, part->end);
		if (first != NOT_POPULATED)
			write_protect_ptes(kvm, first, part->end);
	}
	read_unlock(&kvm->mmap_lock);
	return result;
}

/* clear_refs_write() with CLEAR_REFS_SOFT_DIRTY, fs/proc/task_mmu.c: [0, -1). */
s64 clear_refs_write(struct kvm *kvm)
{
	write_lock(&kvm->mmap_lock, "clear_refs_write.mmap_lock");
	write_protect_ptes(kvm, 0, EVERYTHING);
	write_unlock(&kvm->mmap_lock);
	return 0;
}

/*
 * do_pagemap_scan() with PM_SCAN_WP_MATCHING, fs/proc/task_mmu.c.
 *
 * The notifiers hear of the whole range, VMA or not.
 */
s64 do_pagemap_scan(struct kvm *kvm, u64 hva, u64 length)
{
	s64 start, end;

	if (!page_range(hva, length, &start, &end))
		return hva & PAGE_MASK || !length ? -EINVAL : -EFAULT;
	read_lock(&kvm->mmap_lock, "do_pagemap_scan.mmap_lock");
	write_protect_ptes(kvm, start, end);
	read_unlock(&kvm->mmap_lock);
	return 0;
}

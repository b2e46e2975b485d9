/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls of the VMM that change its VMAs: mmap, munmap, mremap, mprotect, mbind, fork.
 *
 * Mirrors mm/vma.c, mm/mmap.c, mm/mremap.c, mm/mprotect.c, mm/mempolicy.c and mm/memory.c, as far
 * as their notifiers, PTEs and file references go.  Arguments are bytes; a length is rounded up to
 * pages.
 */
#include "kvm_host.h"

/* Assumption: the modelled process may map this many pages (RLIMIT_AS); more is ENOMEM. */
#define MAPPED_PAGES_MAX 4096

static void move_page_tables(struct kvm *kvm, struct vma *vma, s64 new_start, s64 npages);

/* A copy of a VMA that covers only [start, end); the caller accounts for the file. */
static struct vma *dup_part(const struct vma *vma, s64 start, s64 end)
{
	struct vma *part = new_object(struct vma);

	*part = *vma;
	part->start = start;
	part->end = end;
	part->pgoff = vma_index_of(vma, start);
	return part;
}

/*
 * vma_interval_tree_insert(), mm/interval_tree.c: behind those with the same offset.  A VMA that is
 * cut or grows is taken out and put back.
 */
static void vma_interval_tree_insert(struct kvm *kvm, struct vma *vma)
{
	vma->linked = ++kvm->mm.links;
}

/* Whether a VMA is among these. */
static bool contains(const struct vec *vmas, const struct vma *vma)
{
	for (u32 i = 0; i < vmas->n; i++)
		if (vmas->items[i] == vma)
			return true;
	return false;
}

/* may_expand_vm(), mm: whether that many more pages may be mapped. */
static bool may_expand_vm(struct kvm *kvm, s64 npages)
{
	for (u32 i = 0; i < kvm->mm.vmas.n; i++) {
		const struct vma *vma = kvm->mm.vmas.items[i];

		npages += vma->end - vma->start;
	}
	return npages <= MAPPED_PAGES_MAX;
}

/* PAGE_ALIGN(), include/linux/mm.h: rounded up to pages; the largest ones become 0. */
u64 page_align(u64 length)
{
	return (length + PAGE_MASK) & ~(u64)PAGE_MASK;
}

/* Pages [start, end) of a byte range; false where munmap() and its kin say EINVAL. */
bool page_range(u64 hva, u64 length, s64 *start, s64 *end)
{
	if (hva & PAGE_MASK || !length || (s128)hva + length > TASK_SIZE)
		return false;

	*start = hva >> PAGE_SHIFT;
	*end = (hva + length + PAGE_MASK) >> PAGE_SHIFT;
	return true;
}

/*
 * for_each_vma_range(), include/linux/mm.h: the VMAs that meet pages [start, end), each with its
 * part of the range (struct vma_part).
 */
struct vec vmas_in(struct kvm *kvm, s64 start, s64 end)
{
	struct vec parts = { 0 };

	for (u32 i = 0; i < kvm->mm.vmas.n; i++) {
		struct vma *vma = kvm->mm.vmas.items[i];
		struct vma_part *part;

		if (vma->end <= start || end <= vma->start)
			continue;
		part = new_object(struct vma_part);
		part->vma = vma;
		part->start = max_s64(vma->start, start);
		part->end = min_s64(vma->end, end);
		vec_push(&parts, part);
	}
	return parts;
}

/*
 * __split_vma(), mm/vma.c: cut VMAs at the borders of a range; returns the ones inside it.  Every
 * VMA that meets the range is replaced, cut or not, and so is the list: whoever walks the old one
 * goes on with what it has.
 */
struct vec split_vmas(struct kvm *kvm, s64 start, s64 end)
{
	struct vec vmas = { 0 }, inside = { 0 };

	for (u32 i = 0; i < kvm->mm.vmas.n; i++) {
		struct vma *vma = kvm->mm.vmas.items[i];
		struct vma *part;
		s64 first, last;
		bool cut;

		if (vma->end <= start || end <= vma->start) {
			vec_push(&vmas, vma);
			continue;
		}
		first = max_s64(vma->start, start);
		last = min_s64(vma->end, end);
		cut = vma->start < first || last < vma->end;
		if (vma->file) /* one reference per part */
			vma->file->refs += (vma->start < first) + (last < vma->end);

		if (vma->start < first) {
			part = dup_part(vma, vma->start, first);
			vma_interval_tree_insert(kvm, part);
			vec_push(&vmas, part);
		}
		part = dup_part(vma, first, last);
		if (cut)
			vma_interval_tree_insert(kvm, part);
		vec_push(&vmas, part);
		vec_push(&inside, part);
		if (last < vma->end) {
			part = dup_part(vma, last, vma->end);
			vma_interval_tree_insert(kvm, part);
			vec_push(&vmas, part);
		}
	}
	kvm->mm.vmas = vmas;
	return inside;
}

/*
 * zap_pte_range(), mm/memory.c: clear PTEs and entries of pages [start, end).  The frames wait for
 * their last put.  drop_markers: guards go as well, as with their mapping.
 */
struct vec zap_ptes(struct kvm *kvm, s64 start, s64 end, bool drop_markers)
{
	struct keys pages = map_keys_in(&kvm->mm.ptes, start, end);
	struct map *entries = &kvm->mm.entries;
	struct vec frames = { 0 };

	for (u32 i = 0; i < pages.n; i++)
		vec_push(&frames, clear_pte(kvm, pages.key[i]));

	for (u32 i = 0; i < entries->n;) { /* in the order they were made */
		s64 page = entries->entries[i].key;
		struct entry *entry = entries->entries[i].value;

		if (page < start || end <= page || (entry->kind == ENTRY_GUARD && !drop_markers)) {
			i++;
			continue;
		}
		map_del(entries, page); /* the next one is at i now */
		if (entry->kind == ENTRY_SWAPCACHE)
			vec_push(&frames, entry->frame);
	}
	return frames;
}

/* free_pgtables(), mm/memory.c: PUD entries stay where a VMA that is left begins. */
static void free_pgtables(struct kvm *kvm)
{
	for (u32 i = kvm->mm.puds.n; i-- > 0;) {
		s64 pud = kvm->mm.puds.entries[i].key;
		bool left = false;

		for (u32 j = 0; j < kvm->mm.vmas.n && !left; j++) {
			const struct vma *vma = kvm->mm.vmas.items[j];

			left = vma->start >> PUD_SHIFT == pud;
		}
		if (!left)
			map_del(&kvm->mm.puds, pud);
	}
}

/*
 * vms_clear_ptes(), mm/vma.c: notifiers around the PTEs, pages freed after.  The VMAs are out of
 * the tree already, so no fault brings a page back.
 */
void unmap_vmas(struct kvm *kvm, struct vec *vmas, s64 start, s64 end)
{
	struct vec frames = { 0 };

	kvm_mmu_notifier_invalidate_range_start(kvm, start, end, true);
	STEP("unmap_vmas.zap_ptes");
	for (u32 i = 0; i < vmas->n; i++) {
		const struct vma *vma = vmas->items[i];
		struct vec zapped = zap_ptes(kvm, vma->start, vma->end, true);

		for (u32 j = 0; j < zapped.n; j++)
			vec_push(&frames, zapped.items[j]);
	}
	kvm_mmu_notifier_invalidate_range_end(kvm, start, end);
	free_pgtables(kvm);
	STEP("tlb_finish_mmu.free");
	for (u32 i = 0; i < frames.n; i++)
		put_page(kvm, frames.items[i]);
}

/* vms_complete_munmap_vmas(), mm/vma.c: take VMAs out of the tree. */
void detach(struct kvm *kvm, struct vec *vmas)
{
	struct vec left = { 0 };

	for (u32 i = 0; i < kvm->mm.vmas.n; i++)
		if (!contains(vmas, kvm->mm.vmas.items[i]))
			vec_push(&left, kvm->mm.vmas.items[i]);
	kvm->mm.vmas = left;
}

/* remove_vma(), mm/vma.c: drop the file references of VMAs that are gone. */
void drop_files(struct kvm *kvm, struct vec *vmas)
{
	for (u32 i = 0; i < vmas->n; i++) {
		const struct vma *vma = vmas->items[i];

		if (vma->file)
			fput(kvm, vma->file);
	}
}

/*
 * do_vmi_munmap() with unlock, mm/vma.c: enters with mmap_lock held for writing, and leaves without
 * it.
 */
static void do_vmi_munmap(struct kvm *kvm, s64 start, s64 end)
{
	struct vec vmas = split_vmas(kvm, start, end);

	if (!vmas.n) {
		write_unlock(&kvm->mmap_lock);
		return;
	}
	detach(kvm, &vmas);
	downgrade_write(&kvm->mmap_lock);
	unmap_vmas(kvm, &vmas, start, end);
	read_unlock(&kvm->mmap_lock);
	drop_files(kvm, &vmas);
}

/* __vm_munmap(), mm/vma.c: the lock is a read lock while PTEs go. */
s64 do_munmap(struct kvm *kvm, u64 hva, u64 length)
{
	s64 start, end;

	if (!page_range(hva, length, &start, &end))
		return -EINVAL;

	write_lock(&kvm->mmap_lock, "do_munmap.mmap_lock");
	do_vmi_munmap(kvm, start, end);
	return 0;
}

/* The checks of do_mmap(), mm/mmap.c, that look at no VMA, in its order: 0 or an errno. */
static s64 mmap_range_error(u64 hva, u64 length, s64 fd, u64 offset, u64 prot)
{
	u64 size = page_align(length);

	if (!length)
		return -EINVAL;
	if (!size || size > TASK_SIZE || hva > TASK_SIZE - size)
		return -ENOMEM;
	if (hva & PAGE_MASK)
		return -EINVAL;
	if (fd == FD_NONE)
		return 0;
	if (fd != FD_FILE && offset > LARGEST_FILE - size)
		return -EOVERFLOW;
	if (prot & PROT_EXEC)
		return -EPERM; /* mounted noexec */
	return fd == FD_FILE ? -ENODEV : 0;
}

/*
 * do_mmap() with MAP_FIXED, mm/mmap.c, __mmap_region(), mm/vma.c, and kvm_gmem_mmap(),
 * virt/kvm/guest_memfd.c.  The file is asked last: when it refuses, what was mapped there before is
 * gone.
 */
s64 do_mmap(struct kvm *kvm, u64 hva, u64 length, s64 fd, u64 offset, u64 prot, bool shared)
{
	struct gmem_file *file = map_get(&kvm->fds, fd);
	s64 start, end, result;
	struct vec old;
	struct vma *vma;

	if (offset & PAGE_MASK)
		return -EINVAL;
	if (fd != FD_NONE && fd != FD_FILE && !file)
		return -EBADF;
	result = mmap_range_error(hva, length, fd, offset, prot);
	if (result)
		return result;
	start = hva >> PAGE_SHIFT;
	end = (hva + page_align(length)) >> PAGE_SHIFT;
	if (!may_expand_vm(kvm, end - start))
		return -ENOMEM;
	if (file)
		file->refs++;

	write_lock(&kvm->mmap_lock, "do_mmap.mmap_lock");
	old = split_vmas(kvm, start, end);
	if (old.n) {
		detach(kvm, &old);
		unmap_vmas(kvm, &old, start, end);
	}
	vma = new_object(struct vma);
	vma->start = start;
	vma->end = end;
	vma->file = file;
	vma->pgoff = offset >> PAGE_SHIFT;
	vma->prot = prot & PROT_ALL;
	vma->shared = shared && file;
	if (file && !(gmem_supports_mmap(file->inode) && shared)) {
		result = gmem_supports_mmap(file->inode) ? -EINVAL : -ENODEV;
		vec_push(&old, vma); /* its reference goes, too */
	} else {
		insert_vma(kvm, vma);
	}
	write_unlock(&kvm->mmap_lock);
	drop_files(kvm, &old);
	return result;
}

/* vma_link(), mm/vma.c: put a VMA into its place. */
void insert_vma(struct kvm *kvm, struct vma *vma)
{
	u32 at = kvm->mm.vmas.n;

	vma_interval_tree_insert(kvm, vma);
	while (at && ((struct vma *)kvm->mm.vmas.items[at - 1])->start > vma->start)
		at--;
	vec_insert(&kvm->mm.vmas, at, vma);
}

/* check_prep_vma(), mm/mremap.c, where something is mapped anew: 0 or an errno; in pages. */
static s64 check_prep_vma(struct kvm *kvm, s64 start, s64 old, s64 new)
{
	const struct vma *vma = find_vma(kvm, start);

	if (!vma)
		return -EFAULT;
	if (!old)
		return -EINVAL;
	return min_s64(old, new) > vma->end - start ? -EFAULT : 0;
}

/* expand_vma() without MREMAP_MAYMOVE, mm/mremap.c: 0 or an errno. */
static s64 expand_vma(struct kvm *kvm, struct vma *vma, s64 end, s64 delta)
{
	if (vma->end != end || vmas_in(kvm, end, end + delta).n ||
	    end + delta > TASK_SIZE >> PAGE_SHIFT)
		return -ENOMEM;
	vma->end += delta;
	vma_interval_tree_insert(kvm, vma);
	return 0;
}

/*
 * mremap_at(), mm/mremap.c: the VMA keeps its place; in pages.  Enters with mmap_lock held for
 * writing, and leaves without it.
 */
static s64 mremap_at(struct kvm *kvm, s64 start, s64 old, s64 new)
{
	struct vma *vma = find_vma(kvm, start);
	s64 result = 0;

	if (!vma) {
		result = -EFAULT;
	} else if (new < old) {
		do_vmi_munmap(kvm, start + new, start + old);
		return 0;
	} else if (new > old) {
		result = check_prep_vma(kvm, start, old, new);
		if (!result)
			result = expand_vma(kvm, vma, start + old, new - old);
	}
	write_unlock(&kvm->mmap_lock);
	if (!result && new > old && vma->locked)
		populate(kvm, start + old, start + new);
	return result;
}

/*
 * mremap_to() with MREMAP_FIXED, mm/mremap.c, for one VMA; in pages.  What is at the new place goes
 * first, then what is too much at the old one.
 */
static void mremap_to(struct kvm *kvm, s64 start, s64 old, s64 new_start, s64 new)
{
	struct vec gone = split_vmas(kvm, new_start, new_start + new);
	struct vec tail, moved;

	if (gone.n) {
		detach(kvm, &gone);
		unmap_vmas(kvm, &gone, new_start, new_start + new);
		drop_files(kvm, &gone);
	}
	if (new < old) {
		tail = split_vmas(kvm, start + new, start + old);
		detach(kvm, &tail);
		unmap_vmas(kvm, &tail, start + new, start + old);
		drop_files(kvm, &tail);
		old = new;
	}
	moved = split_vmas(kvm, start, start + old);
	move_page_tables(kvm, moved.items[0], new_start, new);
}

/*
 * remap_move(), mm/mremap.c: all VMAs of a range, with the gaps between them.  Only the first must
 * begin where the range does.  One after the other: each has its own unmap of the new place, so
 * what lies in the gaps there stays.
 */
static s64 remap_move(struct kvm *kvm, s64 start, s64 npages, s64 new_start)
{
	s64 end = start + npages, at = start, last_end = -1;

	for (;;) {
		struct vec parts = vmas_in(kvm, at, end);
		const struct vma_part *part;
		s64 length;

		if (!parts.n)
			break;
		part = parts.items[0];
		if (last_end < 0 && part->start > start)
			break;
		if (last_end >= 0)
			new_start += part->vma->start - last_end;
		last_end = part->vma->end;
		length = part->end - part->start;
		mremap_to(kvm, part->start, length, new_start, length);
		new_start += length;
		at = part->end;
	}
	return last_end < 0 ? -EFAULT : 0;
}

/*
 * do_mremap(), mm/mremap.c: in place (to is 0), or to a fixed place.  Assumption: the special case
 * of no old length, which maps a file once more, is refused.
 */
s64 do_mremap(struct kvm *kvm, u64 hva, u64 length, u64 new_length, u64 to)
{
	u64 size = page_align(length), kept = page_align(new_length);
	s64 start, old, new, result;

	if (hva & PAGE_MASK || !kept || kept > TASK_SIZE)
		return -EINVAL;
	if (to && (to > TASK_SIZE - kept || to & PAGE_MASK ||
		   ((s128)to < (s128)hva + size && (s128)hva < (s128)to + kept)))
		return -EINVAL;
	if (!may_expand_vm(kvm, kept >> PAGE_SHIFT))
		return -ENOMEM;

	write_lock(&kvm->mmap_lock, "mremap.mmap_lock");
	start = hva >> PAGE_SHIFT;
	old = size >> PAGE_SHIFT;
	new = kept >> PAGE_SHIFT;
	if (!to)
		return mremap_at(kvm, start, old, new);
	if (old == new) {
		result = remap_move(kvm, start, old, to >> PAGE_SHIFT);
	} else {
		result = check_prep_vma(kvm, start, old, new);
		if (!result)
			mremap_to(kvm, start, old, to >> PAGE_SHIFT, new);
	}
	write_unlock(&kvm->mmap_lock);
	return result;
}

/* move_vma() and move_page_tables(), mm/mremap.c: an UNMAP of the old range. */
static void move_page_tables(struct kvm *kvm, struct vma *vma, s64 new_start, s64 npages)
{
	s64 start = vma->start, end = vma->end;
	struct vma *copy = dup_part(vma, start, end);
	struct vec old = { 0 };
	struct keys pages;

	copy->start = new_start;
	copy->end = new_start + npages;
	insert_vma(kvm, copy); /* takes over the file reference */
	kvm_mmu_notifier_invalidate_range_start(kvm, start, end, true);
	STEP("move_page_tables.move_ptes");
	pages = map_keys_in(&kvm->mm.ptes, start, end);
	for (u32 i = 0; i < pages.n; i++) {
		s64 page = pages.key[i], new_page = page - start + new_start;
		const struct pte *pte = map_get(&kvm->mm.ptes, page);
		struct frame *frame = clear_pte(kvm, page);
		struct pte *new_pte;

		set_pte(kvm, new_page, frame, pte->writable);
		new_pte = map_get(&kvm->mm.ptes, new_page);
		new_pte->unreadable = pte->unreadable;
	}
	pages = map_keys_in(&kvm->mm.entries, start, end);
	for (u32 i = 0; i < pages.n; i++) {
		s64 page = pages.key[i];
		struct entry *entry = map_get(&kvm->mm.entries, page);

		map_del(&kvm->mm.entries, page);
		map_put(&kvm->mm.entries, page - start + new_start, entry);
	}
	vec_push(&old, vma);
	detach(kvm, &old);
	kvm_mmu_notifier_invalidate_range_end(kvm, start, end);
}

/*
 * do_mprotect_pkey(), mm/mprotect.c.  Assumption: no VMA grows, so a single PROT_GROWS* bit is
 * refused like one that does not exist.
 */
s64 do_mprotect(struct kvm *kvm, u64 hva, u64 length, u64 prot)
{
	u64 last = hva + page_align(length);
	s64 end = last >> PAGE_SHIFT, reached = hva >> PAGE_SHIFT, result = 0;
	struct vec parts;

	if ((prot & PROT_GROWS) == PROT_GROWS || hva & PAGE_MASK)
		return -EINVAL;
	if (!length)
		return 0;
	if (last <= hva)
		return -ENOMEM;
	if (prot & ~(u64)PROT_VALID)
		return -EINVAL;
	prot &= PROT_ALL;

	write_lock(&kvm->mmap_lock, "mprotect.mmap_lock");
	parts = vmas_in(kvm, reached, end);
	for (u32 i = 0; i < parts.n; i++) {
		const struct vma_part *part = parts.items[i];
		struct vma *vma = part->vma;

		if (part->start != reached)
			break;
		if (vma->file && prot & PROT_EXEC) {
			result = -EACCES; /* VM_MAYEXEC went: mapped from a noexec mount */
			break;
		}
		reached = part->end;
		if (vma->prot == prot)
			continue;
		vma = split_vmas(kvm, part->start, part->end).items[0];
		vma->prot = prot;
		change_protection(kvm, vma, vma->start, vma->end, &prot);
	}
	if (!result && reached != end)
		result = -ENOMEM;
	write_unlock(&kvm->mmap_lock);
	return result;
}

/*
 * change_protection(), mm/mprotect.c; prot is NULL (PROT_UNCHANGED) for a NUMA scan.  Nothing
 * happens where the upper page-table level is empty; areas of a program lie in one PUD each, so
 * the range is told whole or not at all.
 */
void change_protection(struct kvm *kvm, struct vma *vma, s64 start, s64 end, const u64 *prot)
{
	start = first_populated(kvm, start, end);
	if (start == NOT_POPULATED)
		return;

	kvm_mmu_notifier_invalidate_range_start(kvm, start, end, true);
	STEP("change_protection.ptes");
	for (u32 i = 0; i < kvm->mm.ptes.n; i++) {
		s64 page = kvm->mm.ptes.entries[i].key;
		struct pte *pte = kvm->mm.ptes.entries[i].value;

		if (page < start || end <= page)
			continue;
		if (!prot) {
			/* Pages of guest_memfd are skipped one by one: KVM dirtied them. */
			pte->unreadable |= !vma->file;
		} else {
			pte->writable = vma_may_write(vma) &&
					can_change_pte_writable(kvm, vma, pte);
			pte->unreadable = *prot == 0;
		}
	}
	kvm_mmu_notifier_invalidate_range_end(kvm, start, end);
}

/*
 * can_change_pte_writable(), mm/mprotect.c: whether a PTE is as writable as its VMA.  One of
 * guest_memfd is: nothing has to hear of the first write (vma_wants_writenotify(), mm/vma.c).
 * Assumption: mprotect() makes pages forget that userfaultfd or clear_refs watch them, and a page
 * that nobody else maps any more is the process's own at once.
 */
bool can_change_pte_writable(struct kvm *kvm, struct vma *vma, const struct pte *pte)
{
	bool own = pte->frame->mapcount == 1 && pte->frame != kvm->zero_frame;

	return vma->file || pte->writable || own;
}

/*
 * Where change_pud_range(), mm/mprotect.c, starts in pages [start, end): at the first PUD entry
 * that is not none; NOT_POPULATED when there is none.
 */
s64 first_populated(struct kvm *kvm, s64 start, s64 end)
{
	s64 first = NOT_POPULATED;

	for (u32 i = 0; i < kvm->mm.puds.n; i++) {
		s64 pud = kvm->mm.puds.entries[i].key;

		if (pud < start >> PUD_SHIFT || pud > (end - 1) >> PUD_SHIFT)
			continue;
		if (first == NOT_POPULATED || pud < first)
			first = pud;
	}
	if (first == NOT_POPULATED)
		return NOT_POPULATED;
	return max_s64(start, first << PUD_SHIFT);
}

/*
 * do_mbind() without MPOL_MF_MOVE, mm/mempolicy.c.  Only the default policy may be set across
 * holes.
 */
s64 do_mbind(struct kvm *kvm, u64 hva, u64 length, s64 policy)
{
	u64 last = hva + page_align(length);
	s64 start = hva >> PAGE_SHIFT, end = last >> PAGE_SHIFT, mapped = 0, result = -EFAULT;
	struct vec parts;

	if (hva & PAGE_MASK || last < hva)
		return -EINVAL;
	if (last == hva)
		return 0;

	write_lock(&kvm->mmap_lock, "mbind.mmap_lock");
	parts = vmas_in(kvm, start, end);
	for (u32 i = 0; i < parts.n; i++) {
		const struct vma_part *part = parts.items[i];

		mapped += part->end - part->start;
	}
	if (mapped && (!policy || mapped == end - start)) {
		result = 0;
		for (u32 i = 0; i < parts.n; i++) {
			const struct vma_part *part = parts.items[i];
			struct vma *vma = part->vma;

			if (vma->policy == policy) /* nothing to cut */
				continue;
			vma = split_vmas(kvm, part->start, part->end).items[0];
			vma->policy = policy;
		}
	}
	write_unlock(&kvm->mmap_lock);
	return result;
}

/*
 * dup_mmap() and copy_page_range(), mm/memory.c, seen from the parent.  Private pages become
 * copy-on-write in both; guest_memfd pages are not copied, the child would fault them in again.
 * The child only holds its references.
 */
s64 do_fork(struct kvm *kvm)
{
	struct map *child = new_object(struct map);

	write_lock(&kvm->mmap_lock, "dup_mmap.mmap_lock");
	for (u32 i = 0; i < kvm->mm.vmas.n; i++) { /* the lock keeps the list as it is */
		const struct vma *vma = kvm->mm.vmas.items[i];
		struct keys pages;

		if (vma->file || !vma->anon_vma)
			continue;
		kvm_mmu_notifier_invalidate_range_start(kvm, vma->start, vma->end, true);
		STEP("copy_page_range.write_protect");
		pages = map_keys_in(&kvm->mm.ptes, vma->start, vma->end);
		for (u32 j = 0; j < pages.n; j++) {
			struct pte *pte = map_get(&kvm->mm.ptes, pages.key[j]);

			pte->writable = false;
			pte->frame->refs++;
			pte->frame->mapcount++;
			map_put(child, pages.key[j], pte->frame);
		}
		kvm_mmu_notifier_invalidate_range_end(kvm, vma->start, vma->end);
	}
	vec_push(&kvm->mm.children, child);
	write_unlock(&kvm->mmap_lock);
	return 0;
}

/* exit_mmap(), mm/mmap.c, of the oldest forked child; no notifier of ours. */
s64 child_exit(struct kvm *kvm)
{
	struct map *child;
	struct keys pages;

	if (!kvm->mm.children.n)
		return -EINVAL;

	child = kvm->mm.children.items[0];
	vec_remove_at(&kvm->mm.children, 0);
	pages = map_keys(child);
	for (u32 i = 0; i < pages.n; i++) {
		struct frame *frame = map_get(child, pages.key[i]);

		frame->mapcount--;
		put_page(kvm, frame);
	}
	return 0;
}

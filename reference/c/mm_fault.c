/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the host process gets at its memory: page faults, get_user_pages, and plain access.
 *
 * Mirrors mm/memory.c and mm/gup.c, as far as KVM can tell the difference, and hva_to_pfn() of
 * virt/kvm/kvm_main.c.  Only 4K pages.
 */
#include "kvm_host.h"

static result_t do_anonymous_page(struct kvm *kvm, struct vma *vma, s64 page, bool write);
static result_t wp_page_copy(struct kvm *kvm, s64 page, struct pte *pte);
static result_t handle_entry_fault(struct kvm *kvm, struct vma *vma, s64 page);

/* vma_lookup(), include/linux/mm.h: the VMA that holds a page, or NULL. */
struct vma *find_vma(struct kvm *kvm, s64 page)
{
	for (u32 i = 0; i < kvm->mm.vmas.n; i++) {
		struct vma *vma = kvm->mm.vmas.items[i];

		if (vma->start <= page && page < vma->end)
			return vma;
	}
	return NULL;
}

/* set_pte_at(), mm/memory.c: map a page; the caller's reference becomes the PTE's. */
void set_pte(struct kvm *kvm, s64 page, struct frame *frame, bool writable)
{
	struct pte *pte = new_object(struct pte);

	pte->frame = frame;
	pte->writable = writable;
	frame->mapcount++;
	map_put(&kvm->mm.ptes, page, pte);
	set_add(&kvm->mm.puds, page >> PUD_SHIFT);
	watch_pte_changed(kvm, page);
}

/* ptep_clear_flush(), mm/rmap.c: unmap a page and give its reference to the caller. */
struct frame *clear_pte(struct kvm *kvm, s64 page)
{
	struct pte *pte = map_get(&kvm->mm.ptes, page);

	if (!pte)
		return NULL;

	map_del(&kvm->mm.ptes, page);
	pte->frame->mapcount--;
	watch_pte_changed(kvm, page);
	return pte->frame;
}

/* ZERO_PAGE(), mm/memory.c: the shared page of zeroes, with a reference. */
struct frame *zero_page(struct kvm *kvm)
{
	if (!kvm->zero_frame) {
		struct frame *frame = new_object(struct frame);

		frame->pfn = -1;
		frame->lock = LOCK_INIT("folio_lock", RANK_FOLIO);
		frame->refs = 1;
		frame->mapcount = 1; /* never the only mapping, so never written in place */
		frame->anon = true;
		clear_page(frame);
		kvm->zero_frame = frame;
	}
	kvm->zero_frame->refs++;
	return kvm->zero_frame;
}

/* handle_mm_fault(), mm/memory.c: RESULT_OK when worth another look, else the signal. */
result_t handle_mm_fault(struct kvm *kvm, struct vma *vma, s64 page, bool write)
{
	struct pte *pte;

	if (map_has(&kvm->mm.entries, page))
		return handle_entry_fault(kvm, vma, page);

	pte = map_get(&kvm->mm.ptes, page);
	if (!pte) {
		if (vma->file)
			return kvm_gmem_fault_user_mapping(kvm, vma->file->inode, page,
							   vma_index_of(vma, page),
							   vma_may_write(vma));
		return do_anonymous_page(kvm, vma, page, write);
	}
	if (pte->unreadable) { /* a NUMA hint; PROT_NONE never gets here */
		pte->unreadable = false;
		return RESULT_OK;
	}
	/* Assumption: a userfaultfd handler, or async mode, lets every write through. */
	if (vma->shared) {
		pte->writable = true; /* no notifier: nothing becomes less accessible */
		return RESULT_OK;
	}
	vma->anon_vma = true;
	return wp_page_copy(kvm, page, pte);
}

/* do_anonymous_page(), mm/memory.c: a read maps the shared page of zeroes. */
static result_t do_anonymous_page(struct kvm *kvm, struct vma *vma, s64 page, bool write)
{
	struct frame *frame;

	if (!write) {
		set_pte(kvm, page, zero_page(kvm), false);
		return RESULT_OK;
	}
	vma->anon_vma = true;
	frame = alloc_page(kvm);
	if (!frame)
		return RESULT_OOM;
	clear_page(frame);
	frame->anon = true;
	set_pte(kvm, page, frame, vma_may_write(vma));
	return RESULT_OK;
}

/*
 * do_wp_page() and wp_page_copy(), mm/memory.c.  A page of our own is written in place; a shared
 * one is copied, which the notifiers hear of.
 */
static result_t wp_page_copy(struct kvm *kvm, s64 page, struct pte *pte)
{
	struct frame *old = pte->frame, *new, *drop;

	if (old->mapcount == 1 && old != kvm->zero_frame) {
		pte->writable = true;
		return RESULT_OK;
	}
	new = alloc_page(kvm);
	if (!new)
		return RESULT_OOM;
	new->content = old->content;
	new->uptodate = true;
	new->anon = true;

	kvm_mmu_notifier_invalidate_range_start(kvm, page, page + 1, true);
	STEP("wp_page_copy.set_pte");
	if (map_get(&kvm->mm.ptes, page) == pte) {
		clear_pte(kvm, page);
		set_pte(kvm, page, new, true);
		drop = old;
	} else { /* somebody else changed it meanwhile */
		drop = new;
	}
	kvm_mmu_notifier_invalidate_range_end(kvm, page, page + 1);
	put_page(kvm, drop);
	return RESULT_OK;
}

/* do_swap_page(), mm/memory.c: entries that stand in for a PTE. */
static result_t handle_entry_fault(struct kvm *kvm, struct vma *vma, s64 page)
{
	struct entry *entry = map_get(&kvm->mm.entries, page);
	struct frame *frame = entry->frame;

	if (entry->kind == ENTRY_MIGRATION) {
		WANT_LOCK_FREE(&frame->lock, "migration_entry_wait.folio_lock");
		return RESULT_OK;
	}
	if (entry->kind == ENTRY_GUARD)
		return RESULT_SIGSEGV;
	if (entry->kind == ENTRY_POISON)
		return RESULT_SIGBUS;
	if (frame && frame->poisoned) /* VM_FAULT_HWPOISON: kept in the swap cache for this */
		return RESULT_SIGBUS;
	if (!frame) {
		frame = alloc_page(kvm);
		if (!frame)
			return RESULT_OOM;
		frame->content = entry->content;
		frame->uptodate = true;
		frame->anon = true;
	}
	map_del(&kvm->mm.entries, page);
	set_pte(kvm, page, frame, vma_may_write(vma) && frame->mapcount == 0);
	return RESULT_OK;
}

/* access_error(), arch/x86/mm/fault.c: whether the VMA lets an access through. */
bool allowed(const struct vma *vma, bool write)
{
	return write ? vma_may_write(vma) : vma->prot != 0;
}

/* check_vma_flags(), mm/gup.c: unlike the MMU, it asks for the very permission. */
bool check_vma_flags(const struct vma *vma, bool write)
{
	return vma->prot & (write ? PROT_WRITE : PROT_READ);
}

/* gup_fast_pte_range(), mm/gup.c: whether the MMU lets an access through this PTE. */
bool usable(const struct pte *pte, bool write)
{
	return pte && !pte->unreadable && (pte->writable || !write);
}

/* get_user_page_fast_only(), mm/gup.c: lockless; a referenced frame or NULL. */
struct frame *get_user_page_fast_only(struct kvm *kvm, s64 page, bool write)
{
	struct pte *pte = map_get(&kvm->mm.ptes, page);

	if (!usable(pte, write))
		return NULL;
	pte->frame->refs++;
	return pte->frame;
}

/* get_user_pages_unlocked(), mm/gup.c: a referenced frame or an ERR_PTR. */
struct frame *get_user_pages(struct kvm *kvm, s64 page, bool write)
{
	struct frame *frame;

	read_lock(&kvm->mmap_lock, "get_user_pages.mmap_lock");
	for (;;) {
		struct vma *vma = find_vma(kvm, page);

		if (!vma || !check_vma_flags(vma, write)) {
			frame = ERR_PTR(-EFAULT);
			break;
		}
		frame = get_user_page_fast_only(kvm, page, write);
		if (frame)
			break;
		if (handle_mm_fault(kvm, vma, page, write) != RESULT_OK) {
			frame = ERR_PTR(is_poisoned(kvm, vma, page) ? -EHWPOISON : -EFAULT);
			break;
		}
	}
	read_unlock(&kvm->mmap_lock);
	return frame;
}

/* VM_FAULT_HWPOISON, mm/memory.c: whether a fault failed because the page is poisoned. */
bool is_poisoned(struct kvm *kvm, struct vma *vma, s64 page)
{
	const struct entry *entry = map_get(&kvm->mm.entries, page);
	const struct frame *frame;

	if (entry)
		return entry->kind == ENTRY_POISON || (entry->frame && entry->frame->poisoned);
	if (!vma->file)
		return false;
	frame = map_get(&vma->file->inode->pages, vma_index_of(vma, page));
	return frame && frame->poisoned;
}

/*
 * hva_to_pfn(), virt/kvm/kvm_main.c: a referenced frame or an ERR_PTR, and whether it may be
 * written.  A read fault maps writable when user space could write anyway.  Assumption:
 * asynchronous page faults are off, so a page that needs I/O is waited for.
 */
struct frame *hva_to_pfn(struct kvm *kvm, s64 page, bool write, bool try_write, bool *writable)
{
	struct frame *frame;
	struct pte *pte;

	STEP("hva_to_pfn.fast");
	if (write || try_write) {
		frame = get_user_page_fast_only(kvm, page, true);
		if (frame) {
			*writable = true;
			return frame;
		}
	}

	frame = get_user_pages(kvm, page, write);
	if (IS_ERR(frame)) {
		*writable = false;
		return frame;
	}
	if (write) {
		*writable = true;
		return frame;
	}
	pte = map_get(&kvm->mm.ptes, page);
	*writable = try_write && pte && pte->frame == frame && usable(pte, true);
	return frame;
}

/*
 * do_user_addr_fault(), arch/x86/mm/fault.c, until it works: a load or store of the VMM.  Returns
 * the value loaded, 0 for a store, or the signal that kills the task.
 */
result_t user_access(struct kvm *kvm, s64 page, bool write, s64 value)
{
	for (;;) {
		const struct pte *pte;
		struct vma *vma;
		result_t signal;

		STEP("user_access.mmu");
		pte = map_get(&kvm->mm.ptes, page);
		if (usable(pte, write)) {
			struct frame *frame = pte->frame;

			if (!write)
				return read_frame(kvm, frame, frame->generation, "user");
			write_frame(kvm, frame, frame->generation, value, "user");
			return 0;
		}

		read_lock(&kvm->mmap_lock, "do_user_addr_fault.mmap_lock");
		vma = find_vma(kvm, page);
		signal = RESULT_SIGSEGV;
		if (vma && allowed(vma, write)) {
			signal = RESULT_OK;
			if (!usable(map_get(&kvm->mm.ptes, page), write))
				signal = handle_mm_fault(kvm, vma, page, write);
		}
		read_unlock(&kvm->mmap_lock);
		if (signal != RESULT_OK)
			return signal;
	}
}

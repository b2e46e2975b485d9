/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One line for each object: its kind, then its fields as decimal numbers, in the order that
 * fuzz/port/rebuild.py reads them.  Frames come first; others name them by place, -1 for none,
 * and files by descriptor.
 */
#include <string.h>

#include "dump.h"

#define LINE(...) text_add(out, __VA_ARGS__)
#define N(value) ((long long)(value))

static long long place_of(struct kvm *kvm, const struct frame *frame)
{
	for (u32 i = 0; i < kvm->frames.n; i++)
		if (kvm->frames.items[i] == frame)
			return i;
	return frame && frame == kvm->zero_frame ? -2 : -1;
}

static void dump_frame(const struct frame *frame, const char *kind, struct text *out)
{
	LINE("%s %lld %lld %lld %lld %lld %d %d %d %d\n", kind, N(frame->pfn), N(frame->generation),
	     N(frame->refs), N(frame->mapcount), N(frame->content), frame->uptodate,
	     frame->poisoned, frame->free, frame->anon);
}

static void dump_frames(struct kvm *kvm, struct text *out)
{
	for (u32 i = 0; i < kvm->frames.n; i++)
		dump_frame(kvm->frames.items[i], "frame", out);
	if (kvm->zero_frame)
		dump_frame(kvm->zero_frame, "zero", out);
}

/* Inodes by the descriptor in their name: a closed one may still be mapped or bound. */
static void dump_inode(struct kvm *kvm, const struct gmem_inode *inode, struct text *out)
{
	LINE("inode %s %lld %lld\n", inode->name, N(inode->npages), N(inode->flags));
	for (u32 i = 0; i < inode->pages.n; i++)
		LINE("page %s %lld %lld\n", inode->name, N(inode->pages.entries[i].key),
		     place_of(kvm, inode->pages.entries[i].value));
}

static void dump_slots(struct kvm *kvm, int as_id, struct text *out)
{
	const struct kvm_memslots *slots = kvm->memslots[as_id];

	LINE("memslots %d %llu\n", as_id, (unsigned long long)slots->generation);
	for (u32 i = 0; i < slots->slots.n; i++) {
		const struct kvm_memory_slot *slot = slots->slots.entries[i].value;

		if (slot->gmem_file)
			dump_inode(kvm, slot->gmem_file->inode, out);
		LINE("slot %d %lld %lld %lld %u %lld %s %lld %d\n", as_id, N(slot->id),
		     N(slot->base_gfn), N(slot->npages), slot->flags, N(slot->userspace_addr),
		     slot->gmem_file ? slot->gmem_file->inode->name : "-", N(slot->gmem_pgoff),
		     slot->dirty_bitmap != NULL);
		if (!slot->dirty_bitmap)
			continue;
		for (u32 j = 0; j < slot->dirty_bitmap->n; j++)
			LINE("dirty %d %lld %lld\n", as_id, N(slot->id),
			     N(slot->dirty_bitmap->entries[j].key));
	}
}

static void dump_roots(struct kvm *kvm, struct text *out)
{
	for (u32 i = 0; i < kvm->roots.n; i++) {
		const struct root *root = kvm->roots.items[i];

		LINE("root %d %d %d %d\n", root->kind, root->as_id, root->l2, root->invalid);
		for (u32 j = 0; j < root->sptes.n; j++) {
			const struct spte *spte = root->sptes.entries[j].value;

			LINE("spte %lld %lld %lld %d %d %d %d\n", N(root->sptes.entries[j].key),
			     place_of(kvm, spte->frame), N(spte->generation), spte->writable,
			     spte->host_writable, spte->accessed, spte->prefetched);
		}
	}
}

static void dump_mm(struct kvm *kvm, struct text *out)
{
	const struct mm_struct *mm = &kvm->mm;

	for (u32 i = 0; i < mm->vmas.n; i++) {
		const struct vma *vma = mm->vmas.items[i];

		if (vma->file)
			dump_inode(kvm, vma->file->inode, out);
		LINE("vma %lld %lld %s %lld %lld %d\n", N(vma->start), N(vma->end),
		     vma->file ? vma->file->inode->name : "-", N(vma->pgoff), N(vma->prot),
		     vma->shared);
	}
	for (u32 i = 0; i < mm->ptes.n; i++) {
		const struct pte *pte = mm->ptes.entries[i].value;

		LINE("pte %lld %lld %d %d\n", N(mm->ptes.entries[i].key),
		     place_of(kvm, pte->frame), pte->writable, pte->unreadable);
	}
	for (u32 i = 0; i < mm->entries.n; i++) {
		const struct entry *entry = mm->entries.entries[i].value;

		LINE("entry %lld %d %lld %lld %d\n", N(mm->entries.entries[i].key), entry->kind,
		     N(entry->content), place_of(kvm, entry->frame), entry->writable);
	}
}

void dump_state(struct kvm *kvm, struct text *out)
{
	dump_frames(kvm, out);
	for (u32 i = 0; i < kvm->fds.n; i++) {
		const struct gmem_file *file = kvm->fds.entries[i].value;

		dump_inode(kvm, file->inode, out);
		LINE("fd %lld %s %lld\n", N(kvm->fds.entries[i].key), file->inode->name,
		     N(file->refs));
	}
	for (int as_id = 0; as_id < kvm->nr_as; as_id++)
		dump_slots(kvm, as_id, out);
	dump_roots(kvm, out);
	dump_mm(kvm, out);
	for (u32 i = 0; i < kvm->gpcs.n; i++) {
		const struct gfn_to_pfn_cache *gpc = kvm->gpcs.entries[i].value;

		LINE("gpc %lld %d %d %lld %lld %lld\n", N(kvm->gpcs.entries[i].key), gpc->active,
		     gpc->valid, N(gpc->gpa), N(gpc->uhva), place_of(kvm, gpc->frame));
	}
}

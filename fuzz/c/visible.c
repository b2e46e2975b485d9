/* SPDX-License-Identifier: GPL-2.0-only */
/* The visible part of a final state: see visible.h. */
#include <string.h>

#include "visible.h"

static u64 mix(u64 hash, u64 value)
{
	/* The constant keeps small numbers apart: without it, equal ones would give zero. */
	hash = (hash ^ value ^ 0x5851f42d4c957f2du) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

/* Entries of a map in any order: a sum of hashes does not depend on it. */
static u64 pages_hash(const struct map *pages)
{
	u64 sum = 0;

	for (u32 i = 0; i < pages->n; i++) {
		const struct frame *frame = pages->entries[i].value;

		sum += mix(mix(1, pages->entries[i].key), frame->content);
	}
	return sum;
}

static u64 set_hash(const struct map *set)
{
	u64 sum = set->n;

	for (u32 i = 0; i < set->n; i++)
		sum += mix(2, set->entries[i].key);
	return sum;
}

/* A file is known by its name, "gmem" and its number. */
static u64 file_hash(const struct gmem_file *file)
{
	u64 hash = 3;

	if (!file)
		return 0;
	for (const char *c = file->inode->name; *c; c++)
		hash = mix(hash, *c);
	return hash;
}

static u64 slots_hash(const struct kvm *kvm)
{
	u64 sum = 0;

	for (int as_id = 0; as_id < kvm->nr_as; as_id++) {
		const struct map *slots = &kvm->memslots[as_id]->slots;

		for (u32 i = 0; i < slots->n; i++) {
			const struct kvm_memory_slot *slot = slots->entries[i].value;
			u64 hash = mix(mix(4, as_id), slots->entries[i].key);

			hash = mix(mix(hash, slot->base_gfn), slot->npages);
			hash = mix(mix(hash, slot->flags), slot->userspace_addr);
			hash = mix(mix(hash, file_hash(slot->gmem_file)), slot->gmem_pgoff);
			hash = mix(hash, slot->dirty_bitmap ? set_hash(slot->dirty_bitmap) : 0);
			sum += mix(hash, slot->dirty_bitmap != NULL);
		}
	}
	return sum;
}

/* The content behind a user address, present or swapped out; false: nothing. */
static bool user_content(const struct kvm *kvm, s64 page, u64 *content)
{
	const struct entry *entry = map_get(&kvm->mm.entries, page);
	const struct pte *pte = map_get(&kvm->mm.ptes, page);

	if (entry && (entry->kind == ENTRY_SWAP || entry->kind == ENTRY_SWAPCACHE ||
		      entry->kind == ENTRY_MIGRATION)) {
		*content = entry->frame ? entry->frame->content : entry->content;
		return true;
	}
	if (pte)
		*content = pte->frame->content;
	return pte != NULL;
}

static u64 user_hash(const struct kvm *kvm)
{
	u64 sum = 0, content;

	for (u32 i = 0; i < kvm->mm.ptes.n; i++) {
		s64 page = kvm->mm.ptes.entries[i].key;

		if (user_content(kvm, page, &content))
			sum += mix(mix(5, page), content);
	}
	for (u32 i = 0; i < kvm->mm.entries.n; i++) {
		s64 page = kvm->mm.entries.entries[i].key;

		if (!map_get(&kvm->mm.ptes, page) && user_content(kvm, page, &content))
			sum += mix(mix(5, page), content);
	}
	return sum;
}

static u64 caches_hash(const struct kvm *kvm)
{
	u64 sum = 0;

	for (u32 i = 0; i < kvm->gpcs.n; i++) {
		const struct gfn_to_pfn_cache *gpc = kvm->gpcs.entries[i].value;
		u64 content = 0;
		bool has = user_content(kvm, gpc->uhva, &content);
		u64 hash = mix(mix(6, kvm->gpcs.entries[i].key), gpc->active);

		if (gpc->valid && gpc->frame) {
			content = gpc->frame->content;
			has = true;
		}
		hash = mix(hash, gpc->gpa);
		sum += mix(mix(hash, has), has ? content : 0);
	}
	return sum;
}

u64 visible_backing(struct kvm *kvm, int as_id, s64 gfn, u64 *high)
{
	s64 content = backing_of(kvm, gfn, as_id);

	*high = content == NO_BACKING ? UINT64_MAX : 0;
	return content == NO_BACKING ? 0 : (u64)content;
}

static void add_leaves(struct kvm *kvm, const struct root *root, bool first,
		       struct visible *visible)
{
	for (u32 i = 0; i < root->sptes.n; i++) {
		const struct spte *spte = root->sptes.entries[i].value;
		struct visible_leaf *leaf = &visible->leaves[visible->nr_leaves];
		const struct kvm_memory_slot *slot;

		if (visible->nr_leaves == LEAVES_MAX) {
			visible->too_many_leaves = true;
			return;
		}
		leaf->gfn = root->sptes.entries[i].key;
		leaf->as_id = root->as_id;
		leaf->l2 = root->l2;
		leaf->invalid = root->invalid;
		leaf->first_root = first;
		leaf->accessed = spte->accessed;
		slot = gfn_to_memslot(kvm, root->as_id, leaf->gfn);
		leaf->ordinary = slot && !kvm_memslot_is_gmem_only(slot);
		leaf->content = visible_backing(kvm, root->as_id, leaf->gfn, &leaf->content_high);
		visible->nr_leaves++;
	}
}

void visible_of(struct kvm *kvm, struct visible *visible)
{
	u64 hash = 0;

	for (u32 i = 0; i < kvm->fds.n; i++) {
		const struct gmem_file *file = kvm->fds.entries[i].value;

		hash += mix(mix(7, kvm->fds.entries[i].key), pages_hash(&file->inode->pages));
	}
	hash += slots_hash(kvm) + user_hash(kvm) + caches_hash(kvm);
	visible->final = hash;
	visible->nr_leaves = 0;
	visible->too_many_leaves = false;
	for (u32 i = 0; i < kvm->roots.n; i++) {
		const struct root *root = kvm->roots.items[i];
		bool first = true;

		for (u32 j = 0; j < i; j++) {
			const struct root *other = kvm->roots.items[j];

			first &= other->as_id != root->as_id || other->l2 != root->l2;
		}
		add_leaves(kvm, root, first, visible);
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One canonical text of a model's state, for lockstep and livelock detection (fuzz/digest.py).
 *
 * Everything a later step can depend on is in it, in a fixed order; nothing else (no counters).
 * One function per kind of line.  Only this file uses malloc: the text may be asked for at every
 * step, and must not eat up the memory of the run.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state_text.h"

typedef long long ll;
typedef unsigned long long ull;

void text_add(struct text *text, const char *format, ...)
{
	for (;;) {
		size_t room = text->cap - text->n;
		va_list args;
		int n;

		va_start(args, format);
		n = vsnprintf(text->at ? text->at + text->n : NULL, room, format, args);
		va_end(args);
		if (n >= 0 && (size_t)n < room) {
			text->n += n;
			return;
		}
		text->cap = 2 * text->cap + (n > 0 ? n : 0) + 4096;
		text->at = realloc(text->at, text->cap);
		if (!text->at)
			harness_error("no memory");
	}
}

/* The entries of a map by key; keys are page numbers and the like, never below zero. */
struct sorted {
	u32 n;
	struct map_entry *entries;
	struct map_entry *copy; /* to be freed, or NULL: the map's own are in order */
};

static int by_key(const void *a, const void *b)
{
	u64 one = ((const struct map_entry *)a)->key;
	u64 other = ((const struct map_entry *)b)->key;

	return one < other ? -1 : one > other;
}

static struct sorted sort_map(const struct map *map)
{
	struct sorted sorted = { map->n, map->entries, NULL };
	u32 i = 1;

	while (i < map->n && (u64)map->entries[i - 1].key < (u64)map->entries[i].key)
		i++;
	if (i >= map->n)
		return sorted;
	sorted.copy = malloc(map->n * sizeof(*map->entries));
	if (!sorted.copy)
		harness_error("no memory");
	memcpy(sorted.copy, map->entries, map->n * sizeof(*map->entries));
	qsort(sorted.copy, map->n, sizeof(*sorted.copy), by_key);
	sorted.entries = sorted.copy;
	return sorted;
}

#define for_each_sorted(sorted, entry)						\
	for (const struct map_entry *entry = (sorted)->entries;			\
	     entry < (sorted)->entries + (sorted)->n; entry++)

static const char *space(bool first)
{
	return first ? "" : " ";
}

/* str() of a sorted list of a set's members: "[1, 2]". */
static void add_set(struct text *out, const struct map *set)
{
	struct sorted members = sort_map(set);
	const char *comma = "";

	text_add(out, "[");
	for_each_sorted(&members, member) {
		text_add(out, "%s%llu", comma, (ull)member->key);
		comma = ", ";
	}
	text_add(out, "]");
	free(members.copy);
}

static void add_frame(struct text *out, const struct frame *frame)
{
	if (frame)
		text_add(out, "pfn%lld.%lld", (ll)frame->pfn, (ll)frame->generation);
	else
		text_add(out, "None");
}

static void add_hex(struct text *out, s64 number) /* as Python's :x */
{
	if (number < 0)
		text_add(out, "-%llx", -(ull)number);
	else
		text_add(out, "%llx", (ull)number);
}

/* Who has a mutex: its owner's name, or nothing. */
static void add_owner(struct text *out, const struct lock *lock)
{
	if (lock->writer)
		text_add(out, "%s", lock->writer->name);
}

/* Who has a reader-writer lock, and how: "vmm0(w)" or "vcpu0(r),vcpu1(r)". */
static void add_holders(struct text *out, const struct lock *lock)
{
	if (lock->writer) {
		text_add(out, "%s(w)", lock->writer->name);
		return;
	}
	for (int i = 0; i < lock->nr_readers; i++)
		text_add(out, "%s%s(r)", i ? "," : "", task_name((int8_t)lock->readers[i]));
}

/* Which locks are held, and by whom: "mmu_lock=mm0(w)". */
static void add_locks(struct text *out, const struct kvm *kvm)
{
	const struct {
		const struct lock *lock;
		bool rw;
	} locks[] = {
		{ &kvm->slots_lock, false },
		{ &kvm->slots_arch_lock, false },
		{ &kvm->mmap_lock, true },
		{ &kvm->mn_invalidate_lock, false },
		{ &kvm->gpc_lock, false },
		{ &kvm->mmu_lock, true },
	};
	bool first = true;

	text_add(out, "locks ");
	for (size_t i = 0; i < sizeof(locks) / sizeof(*locks); i++) {
		const struct lock *lock = locks[i].lock;

		if (lock_is_free(lock))
			continue;
		text_add(out, "%s%s=", space(first), lock->name);
		first = false;
		if (locks[i].rw)
			add_holders(out, lock);
		else
			add_owner(out, lock);
	}
	text_add(out, "\n");
}

static void add_srcu(struct text *out, const struct kvm *kvm)
{
	const char *names[TASKS_MAX];
	int n = kvm->srcu.nr_readers;

	for (int i = 0; i < n; i++) {
		const char *name = kvm->srcu.readers[i]->name;
		int at = i;

		for (; at && strcmp(names[at - 1], name) > 0; at--)
			names[at] = names[at - 1];
		names[at] = name;
	}
	text_add(out, "srcu ");
	for (int i = 0; i < n; i++)
		text_add(out, "%s%s", i ? "," : "", names[i]);
	text_add(out, "\n");
}

static void add_slots(struct text *out, const struct kvm *kvm, int as_id)
{
	const struct kvm_memslots *set = kvm->memslots[as_id];
	struct sorted slots = sort_map(&set->slots);

	text_add(out, "as%d gen %llx ", as_id, (ull)set->generation);
	for_each_sorted(&slots, entry) {
		const struct kvm_memory_slot *slot = entry->value;

		text_add(out, "%s%lld:%llx+%llx@%llx/%x/%s+%llx/", space(entry == slots.entries),
			 (ll)slot->id, (ull)slot->base_gfn, (ull)slot->npages,
			 (ull)slot->userspace_addr, slot->flags,
			 slot->gmem_file ? slot->gmem_file->inode->name : "-",
			 (ull)slot->gmem_pgoff);
		if (slot->dirty_bitmap)
			add_set(out, slot->dirty_bitmap);
	}
	text_add(out, "\n");
	free(slots.copy);
}

static void add_root(struct text *out, const struct root *root)
{
	static const char *const kinds[] = {
		[ROOT_TDP] = "tdp", [ROOT_SHADOW] = "shadow", [ROOT_S2] = "s2",
	};
	struct sorted leaves = sort_map(&root->sptes);

	text_add(out, "root %s%d%s%s ", kinds[root->kind], root->as_id, root->l2 ? "l2" : "",
		 root->invalid ? "!" : "");
	for_each_sorted(&leaves, entry) {
		const struct spte *spte = entry->value;

		text_add(out, "%s%llx>", space(entry == leaves.entries), (ull)entry->key);
		add_frame(out, spte->frame);
		text_add(out, "%s%s", spte->writable ? "w" : "r", spte->accessed ? "a" : "");
	}
	text_add(out, "\n");
	free(leaves.copy);
}

static void add_vcpu(struct text *out, const struct kvm_vcpu *vcpu)
{
	struct sorted tlb = sort_map(&vcpu->tlb);

	text_add(out, "vcpu%d mode %d req %u tlb ", vcpu->id, vcpu->mode, vcpu->requests);
	for_each_sorted(&tlb, entry) {
		const struct tlb_entry *cached = entry->value;

		text_add(out, "%s%llx.%d.%d>pfn%lld.%lld%s", space(entry == tlb.entries),
			 (ull)TLB_KEY_GFN(entry->key), TLB_KEY_AS(entry->key),
			 (int)(entry->key & 1), (ll)cached->frame->pfn, (ll)cached->generation,
			 cached->writable ? "w" : "r");
	}
	text_add(out, "\n");
	free(tlb.copy);
}

static void add_attributes(struct text *out, const struct kvm *kvm)
{
	/* By name, as Python sorts them. */
	static const struct {
		enum failure kind;
		const char *name;
	} failures[] = {
		{ FAIL_BITMAP, "bitmap" },
		{ FAIL_FILE, "file" },
		{ FAIL_FOLIO, "folio" },
		{ FAIL_MEMSLOT, "memslot" },
		{ FAIL_METADATA, "metadata" },
		{ FAIL_SIGNAL, "signal" },
		{ FAIL_USER_COPY, "user_copy" },
		{ FAIL_XARRAY, "xarray" },
	};
	struct sorted attributes = sort_map(&kvm->mem_attr_array);
	const char *comma = "";

	text_add(out, "attr [");
	for_each_sorted(&attributes, entry) {
		text_add(out, "%s(%llu, %llu)", comma, (ull)entry->key,
			 (ull)(uintptr_t)entry->value);
		comma = ", ";
	}
	free(attributes.copy);
	text_add(out, "] gpte ");
	add_set(out, &kvm->gpte_accessed);
	text_add(out, " fail [");
	comma = "";
	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
		if (!(kvm->fail >> failures[i].kind & 1))
			continue;
		text_add(out, "%s'%s'", comma, failures[i].name);
		comma = ", ";
	}
	text_add(out, "] dead %d%d%d wake %d\n", kvm->dead, kvm->mm_exiting, kvm->mm_dead,
		 kvm->mn_memslots_update_rcuwait.woken);
}

static void add_vmas(struct text *out, const struct vec *vmas)
{
	text_add(out, "vma ");
	for (u32 i = 0; i < vmas->n; i++) {
		const struct vma *vma = vmas->items[i];

		text_add(out, "%s%llx-%llx:%s+%llx/%llu", space(!i), (ull)vma->start,
			 (ull)vma->end, vma->file ? vma->file->inode->name : "None",
			 (ull)vma->pgoff, (ull)vma->prot);
	}
	text_add(out, "\n");
}

static void add_ptes(struct text *out, const struct map *map)
{
	struct sorted ptes = sort_map(map);

	text_add(out, "pte ");
	for_each_sorted(&ptes, entry) {
		const struct pte *pte = entry->value;

		text_add(out, "%s%llx>", space(entry == ptes.entries), (ull)entry->key);
		add_frame(out, pte->frame);
		text_add(out, "%s%s", pte->writable ? "w" : "r", pte->unreadable ? "n" : "");
	}
	text_add(out, "\n");
	free(ptes.copy);
}

static void add_entries(struct text *out, const struct map *map)
{
	static const char *const kinds[] = {
		[ENTRY_SWAP] = "swap", [ENTRY_SWAPCACHE] = "swapcache",
		[ENTRY_MIGRATION] = "migration", [ENTRY_POISON] = "poison", [ENTRY_GUARD] = "guard",
	};
	struct sorted entries = sort_map(map);

	text_add(out, "entry ");
	for_each_sorted(&entries, at) {
		const struct entry *entry = at->value;

		text_add(out, "%s%llx:%s", space(at == entries.entries), (ull)at->key,
			 kinds[entry->kind]);
	}
	text_add(out, "\n");
	free(entries.copy);
}

static void add_file(struct text *out, s64 fd, const struct gmem_file *file)
{
	struct sorted pages = sort_map(&file->inode->pages);

	text_add(out, "gmem%lld refs %lld lock ", (ll)fd, (ll)file->refs);
	add_holders(out, &file->inode->invalidate_lock);
	text_add(out, " pages ");
	for_each_sorted(&pages, entry) {
		text_add(out, "%s%llx>", space(entry == pages.entries), (ull)entry->key);
		add_frame(out, entry->value);
	}
	free(pages.copy);
	text_add(out, " bound ");
	for (u32 i = 0; i < file->bindings.n; i++) {
		const struct gmem_binding *binding = file->bindings.items[i];
		const struct kvm_memory_slot *slot = binding->slot;

		text_add(out, "%s%llx-%llx:slot%lld", space(!i), (ull)binding->start,
			 (ull)binding->end, (ll)slot->id);
		if (slot->as_id)
			text_add(out, "@as%d", slot->as_id);
	}
	text_add(out, "\n");
}

static void add_gpcs(struct text *out, const struct kvm *kvm)
{
	struct sorted gpcs = sort_map(&kvm->gpcs);

	text_add(out, "gpc ");
	for_each_sorted(&gpcs, entry) {
		const struct gfn_to_pfn_cache *gpc = entry->value;

		text_add(out, "%s%llu:%d%d@", space(entry == gpcs.entries), (ull)entry->key,
			 gpc->active, gpc->valid);
		add_hex(out, gpc->uhva);
		text_add(out, ">");
		add_frame(out, gpc->frame);
		/* A generation can have the bit of an update in progress, the highest one. */
		text_add(out, "/%llu/", (ull)gpc->generation);
		add_holders(out, &gpc->lock);
		text_add(out, "/");
		add_owner(out, &gpc->refresh_lock);
	}
	text_add(out, "\n");
	free(gpcs.copy);
}

static void add_frames(struct text *out, const struct vec *frames)
{
	bool first = true;

	text_add(out, "frames ");
	for (u32 i = 0; i < frames->n; i++) {
		const struct frame *frame = frames->items[i];

		if (frame->free)
			continue;
		text_add(out, "%s", space(first));
		first = false;
		add_frame(out, frame);
		text_add(out, ":%lld:%llu:", (ll)frame->refs, (ull)frame->content);
		add_owner(out, &frame->lock);
	}
}

void state_text(struct kvm *kvm, struct text *out)
{
	struct sorted fds;

	text_add(out, "mn %lld inv %lld seq %lld gpcseq %lld range %lld..%lld\n",
		 (ll)kvm->mn_active_invalidate_count, (ll)kvm->mmu_invalidate_in_progress,
		 (ll)kvm->mmu_invalidate_seq, (ll)kvm->gpc_invalidate_seq,
		 (ll)kvm->mmu_invalidate_range_start, (ll)kvm->mmu_invalidate_range_end);
	add_locks(out, kvm);
	add_srcu(out, kvm);
	for (int as_id = 0; as_id < kvm->nr_as; as_id++)
		add_slots(out, kvm, as_id);
	for (u32 i = 0; i < kvm->roots.n; i++)
		add_root(out, kvm->roots.items[i]);
	for (int i = 0; i < kvm->nr_vcpus; i++)
		add_vcpu(out, &kvm->vcpus[i]);
	add_attributes(out, kvm);
	add_vmas(out, &kvm->mm.vmas);
	add_ptes(out, &kvm->mm.ptes);
	add_entries(out, &kvm->mm.entries);
	fds = sort_map(&kvm->fds);
	for_each_sorted(&fds, entry)
		add_file(out, entry->key, entry->value);
	free(fds.copy);
	add_gpcs(out, kvm);
	add_frames(out, &kvm->frames);
}

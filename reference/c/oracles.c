/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The oracles: one function per rule, each checked where its inputs change (fuzz/invariants.py
 * and fuzz/mappings.py).  They mirror no kernel functions, and never change the model.
 *
 * Each is called by the event that could break its rule, reads the model, and reports (rule,
 * site).  A site says which kind of slot and leaf is concerned, or which kernel function let it
 * happen; it is part of the fingerprint of a finding, so it holds no numbers.
 */
#include "kvm_host.h"
#include "oracles.h"

#include <string.h>

/* An invalidation of gfns [start, end). */
struct invalidation {
	s64 start, end;
	s64 clock; /* once it has ended: how many had ended then */
};

/* Arrays by task are indexed by task->index + 1. */
struct oracles {
	bool survival_promised;
	bool poisoned; /* some page was */
	s64 clock; /* invalidations that have ended */
	struct vec ended; /* struct invalidation */
	u32 nr_pending;
	struct vec pending[TASKS_MAX]; /* struct invalidation: begun by the task */
	s64 seq_at_start[TASKS_MAX]; /* NO_SEQ: no invalidation of the task is counted */
	bool bound_known[TASKS_MAX];
	struct vec bound_at_start[TASKS_MAX]; /* struct kvm_memory_slot */
	struct vec bound_now; /* scratch */
	s64 generations[ADDRESS_SPACES_MAX]; /* the last ones published; -1: none */
};

#define NO_SEQ (-1) /* the sequence itself is never negative */

void oracles_attach(struct kvm *kvm, bool survival_promised)
{
	struct oracles *oracles = new_object(struct oracles);

	oracles->survival_promised = survival_promised;
	for (int i = 0; i < TASKS_MAX; i++)
		oracles->seq_at_start[i] = NO_SEQ;
	for (int i = 0; i < ADDRESS_SPACES_MAX; i++)
		oracles->generations[i] = -1;
	kvm->oracles = oracles;
}

/* Index of the running task in what is kept for each; setup has the first. */
static int this_task(void)
{
	return current->index + 1;
}

/* Who maps what: the two questions that most oracles ask of leaves and TLBs. */

static const char *kind_of_slot(const struct kvm_memory_slot *slot)
{
	if (!slot)
		return "no slot";
	return kvm_memslot_is_gmem_only(slot) ? "gmem-only" : "ordinary";
}

/* For the site of a report: a prefetch, or a fault of this page. */
static const char *how_made(const struct spte *spte)
{
	return spte->prefetched ? "prefetched" : "faulted";
}

/*
 * A TLB entry counts while its vCPU could still use it: a flush that is pending comes before the
 * next guest instruction.
 */
static bool sees_tlb(const struct kvm_vcpu *vcpu)
{
	return !(vcpu->requests & (KVM_REQ_TLB_FLUSH | KVM_REQ_MMU_FREE_OBSOLETE_ROOTS));
}

/* Whether there is any leaf or any TLB entry at all, live or not. */
static bool anything_mapped(const struct kvm *kvm)
{
	for (u32 i = 0; i < kvm->roots.n; i++)
		if (((const struct root *)kvm->roots.items[i])->sptes.n)
			return true;
	for (int i = 0; i < kvm->nr_vcpus; i++)
		if (kvm->vcpus[i].tlb.n)
			return true;
	return false;
}

/* Report leaves and live TLB entries of gfns [first, last) in a slot's address space. */
static void report_mappings_in(struct kvm *kvm, const struct kvm_memory_slot *slot, s64 first,
			       s64 last, const char *rule)
{
	for (u32 i = 0; i < kvm->roots.n; i++) {
		const struct root *root = kvm->roots.items[i];

		if (root->as_id != slot->as_id)
			continue;
		for (u32 j = 0; j < root->sptes.n; j++) {
			s64 gfn = root->sptes.entries[j].key;

			if (first <= gfn && gfn < last)
				report(rule, "%s %s leaf", kind_of_slot(slot),
				       how_made(root->sptes.entries[j].value));
		}
	}
	for (int i = 0; i < kvm->nr_vcpus; i++) {
		const struct kvm_vcpu *vcpu = &kvm->vcpus[i];

		if (!vcpu->tlb.n || !sees_tlb(vcpu))
			continue;
		for (u32 j = 0; j < vcpu->tlb.n; j++) {
			s64 key = vcpu->tlb.entries[j].key;
			s64 gfn = TLB_KEY_GFN(key);

			if (first <= gfn && gfn < last && TLB_KEY_AS(key) == slot->as_id)
				report(rule, "%s tlb", kind_of_slot(slot));
		}
	}
}

/* Report leaves and live TLB entries that map a frame, in any slot. */
static void report_mappings_of(struct kvm *kvm, const struct frame *frame, const char *rule)
{
	for (u32 i = 0; i < kvm->roots.n; i++) {
		const struct root *root = kvm->roots.items[i];

		for (u32 j = 0; j < root->sptes.n; j++) {
			const struct map_entry *entry = &root->sptes.entries[j];
			const struct spte *spte = entry->value;

			if (spte->frame != frame || spte->generation != frame->generation)
				continue;
			report(rule, "%s %s leaf",
			       kind_of_slot(gfn_to_memslot(kvm, root->as_id, entry->key)),
			       how_made(spte));
		}
	}
	for (int i = 0; i < kvm->nr_vcpus; i++) {
		const struct kvm_vcpu *vcpu = &kvm->vcpus[i];

		if (!vcpu->tlb.n || !sees_tlb(vcpu))
			continue;
		for (u32 j = 0; j < vcpu->tlb.n; j++) {
			s64 key = vcpu->tlb.entries[j].key;
			const struct tlb_entry *entry = vcpu->tlb.entries[j].value;

			if (entry->frame != frame || entry->generation != frame->generation)
				continue;
			report(rule, "%s tlb",
			       kind_of_slot(gfn_to_memslot(kvm, TLB_KEY_AS(key),
							   TLB_KEY_GFN(key))));
		}
	}
}

/* invalidate-balance: called when every op has ended. */
void watch_finished(struct kvm *kvm)
{
	if (kvm->mn_active_invalidate_count || kvm->mmu_invalidate_in_progress)
		report("invalidate-balance", "kvm_mmu_notifier_invalidate_range_end");
}

/* swap-under-invalidation, and generation: they grow, each address space in its own class. */
void watch_slots_published(struct kvm *kvm, int as_id, u64 old_generation, u64 generation)
{
	s64 number = old_generation & ~KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS;
	s64 *last = &kvm->oracles->generations[as_id];

	if (kvm->mn_active_invalidate_count)
		report("swap-under-invalidation", "kvm_swap_active_memslots");
	if (number <= *last || number % kvm->nr_as != as_id)
		report("generation", "kvm_swap_active_memslots");
	*last = number;
}

/* The count went up: remember the sequence, which must have moved when it goes down. */
void watch_invalidation_counted(struct kvm *kvm)
{
	kvm->oracles->seq_at_start[this_task()] = kvm->mmu_invalidate_seq;
}

/* An invalidation of these gfns is in progress. */
void watch_range_added(struct kvm *kvm, s64 start, s64 end)
{
	struct invalidation *added = new_object(struct invalidation);

	added->start = start;
	added->end = end;
	vec_push(&kvm->oracles->pending[this_task()], added);
	kvm->oracles->nr_pending++;
}

/* seq-before-count; and remembers what ended for stale-install. */
void watch_invalidation_ended(struct kvm *kvm)
{
	struct oracles *oracles = kvm->oracles;
	struct vec *pending = &oracles->pending[this_task()];
	s64 *seq = &oracles->seq_at_start[this_task()];

	if (*seq == kvm->mmu_invalidate_seq)
		report("seq-before-count", "kvm_mmu_invalidate_end");
	*seq = NO_SEQ;
	oracles->clock++;
	for (u32 i = 0; i < pending->n; i++) {
		struct invalidation *ended = pending->items[i];

		ended->clock = oracles->clock;
		vec_push(&oracles->ended, ended);
	}
	oracles->nr_pending -= pending->n;
	vec_truncate(pending, 0);
}

/* A fault has its pfn: from here on, invalidations make it stale. */
void watch_pfn_read(struct kvm *kvm, struct kvm_page_fault *fault)
{
	fault->pfn_clock = kvm->oracles->clock;
}

/*
 * stale-install: no invalidation of the gfn ended, or is in progress, since the pfn was read.  A
 * prefetched leaf (no fault) has its pfn read in the same step.
 */
static void stale_install(struct oracles *oracles, s64 gfn, const struct kvm_page_fault *fault)
{
	for (u32 i = oracles->ended.n; fault && i-- > 0;) {
		const struct invalidation *ended = oracles->ended.items[i];

		if (ended->clock <= fault->pfn_clock)
			break;
		if (ended->start <= gfn && gfn < ended->end) {
			report("stale-install", "is_page_fault_stale");
			return;
		}
	}
	if (!oracles->nr_pending)
		return;
	/* Whose invalidation it is does not show in the report: any order will do. */
	for (int task = 0; task < TASKS_MAX; task++) {
		const struct vec *pending = &oracles->pending[task];

		for (u32 i = 0; i < pending->n; i++) {
			const struct invalidation *begun = pending->items[i];

			if (begun->start <= gfn && gfn < begun->end) {
				report("stale-install", "mmu_invalidate_in_progress");
				return;
			}
		}
	}
}

/* gmem-backing: a leaf or TLB entry maps what the page cache holds at its offset. */
static void gmem_backing(const struct kvm_memory_slot *slot, s64 gfn, const struct frame *frame,
			 const char *what, const char *how)
{
	const struct gmem_file *file = slot->gmem_file;

	if (!file)
		return;
	if (map_get(&file->inode->pages, gfn - slot->base_gfn + slot->gmem_pgoff) != frame)
		report("gmem-backing", "%s %s", how, what);
}

/* gmem-permission: writable if and only if the slot is. */
static void gmem_permission(const struct kvm_memory_slot *slot, bool writable)
{
	bool readonly = slot->flags & KVM_MEM_READONLY;

	if (writable == readonly)
		report("gmem-permission", "leaf");
}

/* poisoned-mapped: nor does anybody map it later; while it is locked, it is still handled. */
static void poisoned_mapped(const struct frame *frame)
{
	if (!frame->lock.writer)
		report("poisoned-mapped", "later install");
}

/* stale-install, and the gmem-only rules for leaves, and poisoned-mapped. */
void watch_spte_installed(struct kvm *kvm, struct root *root, s64 gfn, struct spte *spte,
			  struct kvm_page_fault *fault)
{
	const struct kvm_memory_slot *slot;

	slot = fault ? fault->slot : gfn_to_memslot(kvm, root->as_id, gfn);
	stale_install(kvm->oracles, gfn, fault);
	if (slot && slot->freed)
		report("deleted-slot-spte", "later install");
	if (slot && kvm_memslot_is_gmem_only(slot)) {
		gmem_backing(slot, gfn, spte->frame, "leaf", how_made(spte));
		gmem_permission(slot, spte->writable);
	}
	if (kvm->oracles->poisoned && spte->frame->poisoned)
		poisoned_mapped(spte->frame);
}

/* unflushed-range: ordinary slots have nothing left in the range. */
void watch_range_start_returned(struct kvm *kvm, s64 start, s64 end)
{
	if (!anything_mapped(kvm))
		return;
	for (int as_id = 0; as_id < kvm->nr_as; as_id++) {
		const struct map *slots = &kvm->memslots[as_id]->slots;

		for (u32 i = 0; i < slots->n; i++) {
			const struct kvm_memory_slot *slot = slots->entries[i].value;
			s64 hva_start = slot->userspace_addr;
			s64 hva_end = hva_start + slot->npages;
			s64 offset = slot->base_gfn - hva_start;

			if (hva_start >= end || start >= hva_end)
				continue;
			if (kvm_memslot_is_gmem_only(slot))
				continue;
			report_mappings_in(kvm, slot, max_s64(start, hva_start) + offset,
					   min_s64(end, hva_end) + offset, "unflushed-range");
		}
	}
}

/* stale-spte: nobody maps a page that goes back to the allocator. */
void watch_frame_freed(struct kvm *kvm, struct frame *frame)
{
	report_mappings_of(kvm, frame, "stale-spte");
}

/* truncate-before-zap: nobody maps a page that leaves the page cache. */
void watch_cache_removed(struct kvm *kvm, struct gmem_inode *inode, s64 index, struct frame *frame)
{
	report_mappings_of(kvm, frame, "truncate-before-zap");
}

/* poisoned-mapped: nobody maps a page whose failure has been handled. */
void watch_page_poisoned(struct kvm *kvm, struct frame *frame)
{
	kvm->oracles->poisoned = true;
	report_mappings_of(kvm, frame, "poisoned-mapped");
}

/* stale-gpc: what a valid cache maps is what the user PTE maps. */
static void stale_gpc(struct kvm *kvm, const struct gfn_to_pfn_cache *gpc, const char *site)
{
	const struct pte *pte = map_get(&kvm->mm.ptes, gpc->uhva);

	if (!pte || pte->frame != gpc->frame)
		report("stale-gpc", "%s", site);
}

/* stale-gpc: a PTE changed under a valid cache. */
void watch_pte_changed(struct kvm *kvm, s64 page)
{
	for (u32 i = 0; i < kvm->gpc_list.n; i++) {
		const struct gfn_to_pfn_cache *gpc = kvm->gpc_list.items[i];

		if (gpc->valid && gpc->uhva == page)
			stale_gpc(kvm, gpc, "user PTE change");
	}
}

/* stale-gpc: a cache became valid on a page that is no longer there. */
void watch_gpc_validated(struct kvm *kvm, struct gfn_to_pfn_cache *gpc)
{
	stale_gpc(kvm, gpc, "hva_to_pfn_retry");
}

/* gpc-after-mmu: caches of the range are invalid by now. */
void watch_gpc_side_done(struct kvm *kvm, s64 start, s64 end)
{
	for (u32 i = 0; i < kvm->gpc_list.n; i++) {
		const struct gfn_to_pfn_cache *gpc = kvm->gpc_list.items[i];

		if (gpc->valid && start <= gpc->uhva && gpc->uhva < end)
			report("gpc-after-mmu", "kvm_mmu_notifier_invalidate_range_start");
	}
}

/* The slots bound to file pages [start, end), over all files of an inode. */
static void note_bound(struct vec *bound, const struct gmem_inode *inode, s64 start, s64 end)
{
	vec_truncate(bound, 0);
	for (u32 i = 0; i < inode->files.n; i++) {
		const struct gmem_file *file = inode->files.items[i];

		for (u32 j = 0; j < file->bindings.n; j++) {
			const struct gmem_binding *binding = file->bindings.items[j];

			if (binding->start < end && start < binding->end)
				vec_push(bound, binding->slot);
		}
	}
}

/* Remembers the slots for bindings-changed. */
void watch_gmem_range_started(struct kvm *kvm, struct gmem_inode *inode, s64 start, s64 end)
{
	struct oracles *oracles = kvm->oracles;

	oracles->bound_known[this_task()] = true;
	note_bound(&oracles->bound_at_start[this_task()], inode, start, end);
}

/* bindings-changed: start and end of one invalidation see the same slots. */
void watch_gmem_range_ended(struct kvm *kvm, struct gmem_inode *inode, s64 start, s64 end)
{
	struct oracles *oracles = kvm->oracles;
	const struct vec *then = &oracles->bound_at_start[this_task()];
	struct vec *now = &oracles->bound_now;
	bool same;

	if (!oracles->bound_known[this_task()])
		return;
	oracles->bound_known[this_task()] = false;
	note_bound(now, inode, start, end);
	same = then->n == now->n;
	for (u32 i = 0; same && i < now->n; i++)
		same = then->items[i] == now->items[i];
	if (!same)
		report("bindings-changed", "kvm_gmem_invalidate_end");
}

/* unbound-pfn: the slot is bound to the page it gets. */
void watch_gmem_pfn_returned(struct kvm *kvm, struct gmem_file *file, struct kvm_memory_slot *slot,
			     s64 index)
{
	if (gmem_bound_at(file, index) != slot)
		report("unbound-pfn", "kvm_gmem_get_pfn");
}

/* deleted-slot-spte; gfns that another slot took meanwhile (a move) do not count. */
void watch_slot_deleted(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	const struct map *others = &kvm->memslots[slot->as_id]->slots;
	s64 first = slot->base_gfn, last = first + slot->npages;

	if (!anything_mapped(kvm))
		return;
	for (u32 i = 0; i < others->n; i++) {
		const struct kvm_memory_slot *other = others->entries[i].value;

		if (other->base_gfn < last && first < other->base_gfn + other->npages)
			return;
	}
	report_mappings_in(kvm, slot, first, last, "deleted-slot-spte");
}

/* lost-dirty: outside of ioctls on slots, a write to a logged slot has its bit set. */
void watch_guest_wrote(struct kvm *kvm, struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot,
		       s64 gfn)
{
	if (!slot || !slot->dirty_bitmap || slot_invalid(slot))
		return;
	if (!kvm->slots_lock.writer && !map_has(slot->dirty_bitmap, gfn - slot->base_gfn))
		report("lost-dirty", "guest write");
}

/* The name of a user of a page without its number. */
static int kind_length(const char *who)
{
	size_t length = strlen(who);

	while (length && who[length - 1] >= '0' && who[length - 1] <= '9')
		length--;
	return length;
}

/* use-after-free, and unzeroed. */
void watch_frame_used(struct kvm *kvm, struct frame *frame, s64 generation, const char *who)
{
	if (frame->generation != generation || frame->free)
		report("use-after-free", "%.*s", kind_length(who), who);
	else if (!frame->uptodate)
		report("unzeroed", "%.*s", kind_length(who), who);
}

/* notifier-takes-slots-lock. */
void watch_lock_slots(struct kvm *kvm, const char *name)
{
	if (current->notifier_depth)
		report("notifier-takes-slots-lock", "%s", name);
}

/* Remembers use for young-lost; and the gmem-only rules for TLB entries. */
void watch_tlb_filled(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn, struct tlb_entry *entry,
		      struct spte *spte, int as_id)
{
	const struct kvm_memory_slot *slot = gfn_to_memslot(kvm, as_id, gfn);

	spte->touched = true;
	if (slot && kvm_memslot_is_gmem_only(slot)) {
		gmem_backing(slot, gfn, entry->frame, "tlb", how_made(spte));
		gmem_permission(slot, entry->writable);
	}
}

/* young-lost: a leaf that was used since the last clear makes the answer yes. */
void watch_young_tested(struct kvm *kvm, struct kvm_gfn_range *range, bool young, bool clear)
{
	if (young && !clear)
		return;
	for (u32 i = 0; i < kvm->roots.n; i++) {
		const struct root *root = kvm->roots.items[i];

		if (root->as_id != range->slot->as_id || root->invalid || (root->l2 && !kvm->x86))
			continue;
		for (u32 j = 0; j < root->sptes.n; j++) {
			s64 gfn = root->sptes.entries[j].key;
			struct spte *spte = root->sptes.entries[j].value;

			if (gfn < range->start || gfn >= range->end || !spte->touched)
				continue;
			if (!young)
				report("young-lost", "%s leaf", kind_of_slot(range->slot));
			if (clear)
				spte->touched = false;
		}
	}
}

/* gmem-survival: HVA notifiers leave gmem-only slots alone, where that is promised. */
void watch_sptes_unmapped(struct kvm *kvm, struct kvm_memory_slot *slot, s64 count, bool from_hva)
{
	if (from_hva && kvm->oracles->survival_promised && kvm_memslot_is_gmem_only(slot))
		report("gmem-survival", "kvm_unmap_gfn_range");
}

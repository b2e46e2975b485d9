/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the model tells the outside about itself, event by event (reference/observer.py).
 * oracles.c listens and checks rules; nobody who listens changes the model.
 */
#ifndef GMEMDIFF_OBSERVER_H
#define GMEMDIFF_OBSERVER_H

void watch_finished(struct kvm *kvm);
void watch_pfn_read(struct kvm *kvm, struct kvm_page_fault *fault);
void watch_spte_installed(struct kvm *kvm, struct root *root, s64 gfn, struct spte *spte,
			  struct kvm_page_fault *fault); /* NULL: prefetched */
void watch_sptes_unmapped(struct kvm *kvm, struct kvm_memory_slot *slot, s64 count, bool from_hva);
void watch_tlb_filled(struct kvm *kvm, struct kvm_vcpu *vcpu, s64 gfn, struct tlb_entry *entry,
		      struct spte *spte, int as_id);
void watch_guest_wrote(struct kvm *kvm, struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot,
		       s64 gfn); /* slot may be NULL */
void watch_frame_used(struct kvm *kvm, struct frame *frame, s64 generation, const char *who);
void watch_frame_freed(struct kvm *kvm, struct frame *frame);
void watch_range_added(struct kvm *kvm, s64 start, s64 end);
void watch_invalidation_counted(struct kvm *kvm);
void watch_invalidation_ended(struct kvm *kvm);
void watch_gpc_side_done(struct kvm *kvm, s64 start, s64 end);
void watch_range_start_returned(struct kvm *kvm, s64 start, s64 end);
void watch_gmem_range_started(struct kvm *kvm, struct gmem_inode *inode, s64 start, s64 end);
void watch_gmem_range_ended(struct kvm *kvm, struct gmem_inode *inode, s64 start, s64 end);
void watch_cache_removed(struct kvm *kvm, struct gmem_inode *inode, s64 index, struct frame *frame);
void watch_gmem_pfn_returned(struct kvm *kvm, struct gmem_file *file, struct kvm_memory_slot *slot,
			     s64 index);
void watch_page_poisoned(struct kvm *kvm, struct frame *frame);
void watch_pte_changed(struct kvm *kvm, s64 page);
void watch_gpc_validated(struct kvm *kvm, struct gfn_to_pfn_cache *gpc);
void watch_slots_published(struct kvm *kvm, int as_id, u64 old_generation, u64 generation);
void watch_slot_deleted(struct kvm *kvm, struct kvm_memory_slot *slot);
void watch_lock_slots(struct kvm *kvm, const char *name);
void watch_young_tested(struct kvm *kvm, struct kvm_gfn_range *range, bool young, bool clear);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Physical memory: frames with references, generations, contents, and immediate reuse.  Stands for
 * mm/page_alloc.c and the page helpers of include/linux/mm.h and highmem.h.
 *
 * A freed frame is handed out again first, with the contents it had until somebody zeroes it, so
 * that a use after free shows as a wrong value as well as a wrong generation.
 */
#include "kvm_host.h"

#define STALE_CONTENT 0xdead /* of whoever had the frame before the run */

/* A page frame that nobody has used yet, at the end of memory. */
static struct frame *new_frame(struct kvm *kvm)
{
	struct frame *frame = new_object(struct frame);

	frame->pfn = kvm->frames.n;
	frame->content = STALE_CONTENT;
	frame->free = true;
	frame->lock = LOCK_INIT("folio_lock", RANK_FOLIO);
	vec_push(&kvm->frames, frame);
	return frame;
}

/*
 * alloc_pages(), mm/page_alloc.c: a free frame with one reference, not zeroed; NULL when memory is
 * exhausted.
 */
struct frame *alloc_page(struct kvm *kvm)
{
	struct frame *frame;

	if (kvm->free_frames.n)
		frame = kvm->free_frames.items[--kvm->free_frames.n];
	else if (kvm->frames.n < kvm->frames_max)
		frame = new_frame(kvm);
	else
		return NULL;

	frame->free = false;
	frame->refs = 1;
	frame->uptodate = false;
	frame->anon = false;
	return frame;
}

/* clear_highpage(), include/linux/highmem.h, and folio_mark_uptodate(). */
void clear_page(struct frame *frame)
{
	frame->content = 0;
	frame->uptodate = true;
}

/* put_page(), include/linux/mm.h: the last reference frees the frame. */
void put_page(struct kvm *kvm, struct frame *frame)
{
	frame->refs--;
	if (frame->refs > 0)
		return;
	if (frame->refs < 0) {
		WARN_ON(kvm, "put_page: refcount below zero");
		return;
	}

	watch_frame_freed(kvm, frame);
	frame->generation++;
	frame->free = true;
	frame->inode = NULL;
	if (!frame->poisoned) /* a poisoned page never goes back to the allocator */
		vec_push(&kvm->free_frames, frame);
}

/*
 * A load through a translation that was made when the frame had this generation.  The memory bus
 * itself: mirrors no kernel function.
 */
s64 read_frame(struct kvm *kvm, struct frame *frame, s64 generation, const char *who)
{
	watch_frame_used(kvm, frame, generation, who);
	return frame->content;
}

/* A store, likewise. */
void write_frame(struct kvm *kvm, struct frame *frame, s64 generation, s64 value, const char *who)
{
	watch_frame_used(kvm, frame, generation, who);
	frame->content = value;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a finished run leaves behind that user space or the guest could see (fuzz/outcome.py), in
 * a form that does not depend on how the model lays out its objects: two sides compare it.
 */
#ifndef GMEMDIFF_VISIBLE_H
#define GMEMDIFF_VISIBLE_H

#include "program.h"

#define LEAVES_MAX 4096

struct visible_leaf {
	s64 gfn;
	u64 content_high, content; /* what the guest would read there; high: all ones for nothing */
	int as_id;
	bool l2, invalid;
	bool first_root; /* of its address space and level */
	bool accessed;
	bool ordinary; /* its slot is not gmem-only, and there is one */
};

struct visible {
	u64 final; /* a hash of memslots, bitmaps, page caches, user memory and pfn caches */
	int nr_leaves;
	bool too_many_leaves;
	struct visible_leaf leaves[LEAVES_MAX];
};

void visible_of(struct kvm *kvm, struct visible *visible);

/* What the guest would read at a gfn now; *high is all ones for nothing. */
u64 visible_backing(struct kvm *kvm, int as_id, s64 gfn, u64 *high);

#endif

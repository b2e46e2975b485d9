/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one kernel has and another has not, by the names of reference/features.py, in its order.
 * A profile is data: the caller of the port fills these in.
 */
#ifndef GMEMDIFF_FEATURES_H
#define GMEMDIFF_FEATURES_H

#include <stdbool.h>

#define FOR_EACH_FEATURE(X) \
	X(gmem_toggle_refused) \
	X(gmem_overlap_eexist) \
	X(gmem_bind_in_commit) \
	X(gmem_commit_warns) \
	X(gmem_unbind_always_locks) \
	X(gpc_invalidate_seq) \
	X(numa_skips_default_policy) \
	X(x86) \
	X(tdp_mmu) \
	X(pte_prefetch) \
	X(shadow) \
	X(pre_fault) \
	X(memory_attributes) \
	X(attributes_cleared_without_reserve) \
	X(sw_protected_vm) \
	X(gpc)

#define DECLARE_FEATURE(name) bool name;
struct features {
	FOR_EACH_FEATURE(DECLARE_FEATURE)
};

#endif

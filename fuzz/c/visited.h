/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The states that an exploration has been in: an open-addressing hash table of fingerprints.  Each
 * has the preemptions that were left when it was explored, how many schedules go on from it with
 * 0, 1, ... further preemptions, and what footprints the steps from there on have; a state that
 * is met again with no more left is not explored again.
 */
#ifndef GMEMDIFF_VISITED_H
#define GMEMDIFF_VISITED_H

#include "cells.h"
#include "fingerprint.h"

#define PREEMPTIONS_MAX 15

/* Schedules by the number of preemptions that they still have: exact up to 2^53. */
struct counts {
	double of[PREEMPTIONS_MAX + 1];
};

enum visit { VISIT_NEW, VISIT_AGAIN, VISIT_KNOWN, VISIT_FULL };

/* What is known of a state that was explored. */
struct explored_state {
	struct counts counts;
	struct footprint *sets; /* as many as visited_begin() was told */
	u32 known; /* of the explorer's own */
};

/*
 * Forget all.  preemptions: the bound.  sets: footprints of each state.  bytes_max: of the table.
 * False: no memory.
 */
bool visited_begin(u32 preemptions, u32 sets, u64 bytes_max);

/*
 * Come to a state with so many preemptions left; *number names it.  VISIT_AGAIN: it was explored
 * with fewer.  VISIT_KNOWN: with as many or more; *found is filled in.  While the state is being
 * explored, nothing is known, and each footprint conflicts with all others.
 */
enum visit visited_meet(struct fingerprint state, u32 left, struct explored_state *found,
			u32 *number);

/* Everything from a state on has been explored. */
void visited_done(u32 number, u32 left, const struct explored_state *found);

u64 visited_states(void);
u64 visited_bytes(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The states that an exploration has been in: an open-addressing hash table of fingerprints.  Each
 * has the preemptions that were left when it was explored, and how many schedules go on from it
 * with 0, 1, ... further preemptions; a state that is met again with no more left is not explored
 * again.
 */
#ifndef GMEMDIFF_VISITED_H
#define GMEMDIFF_VISITED_H

#include "fingerprint.h"

#define PREEMPTIONS_MAX 15

/* Schedules by the number of preemptions that they still have: exact up to 2^53. */
struct counts {
	double of[PREEMPTIONS_MAX + 1];
};

enum visit { VISIT_NEW, VISIT_AGAIN, VISIT_KNOWN, VISIT_FULL };

/* Forget all.  preemptions: the bound.  bytes_max: of the table.  False: no memory. */
bool visited_begin(u32 preemptions, u64 bytes_max);

/*
 * Come to a state with so many preemptions left.  VISIT_AGAIN: it was explored with fewer.
 * VISIT_KNOWN: with as many or more; *counts is filled in.
 */
enum visit visited_meet(struct fingerprint state, u32 left, struct counts *counts);

/* Everything from a state on has been explored. */
void visited_done(struct fingerprint state, u32 left, const struct counts *counts);

u64 visited_states(void);
u64 visited_bytes(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* What an exploration has reached: broken rules, and outcomes, with how to get there. */
#ifndef GMEMDIFF_REACHED_H
#define GMEMDIFF_REACHED_H

#include "execution.h"
#include "visited.h"

#define REACHED_MAX (1u << 16)

/* The schedule with the fewest preemptions that does something. */
struct witness {
	u32 nr_points;
	struct chosen_point points[PREEMPTIONS_MAX];
};

/* A rule that can be broken. */
struct breakable {
	const char *rule;
	char site[SITE_MAX];
	struct witness witness;
};

/* How a run can end: all that it shows, told apart by hashes. */
struct reachable {
	u64 key; /* of everything below, and of results and leaves */
	u64 final; /* struct visible */
	u64 broken; /* the set of broken rules */
	u32 end, steps;
	struct witness witness;
};

/* Forget all.  False: no memory. */
bool reached_begin(void);

/* Take down what the run that has just ended shows.  False: more than there is room for. */
bool reached_note(const struct witness *schedule);

const struct breakable *reached_rules(u32 *n);
const struct reachable *reached_outcomes(u32 *n);

#endif

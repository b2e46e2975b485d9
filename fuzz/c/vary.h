/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Variants of one program: other schedules and small changes, from what showed something new.
 *
 * Each takes one that did, mostly one under which the two sides parted, and lets one more actor in
 * at a step that its run passed, or draws all of its preemptions anew; every other one also changes
 * an op: an argument, or the whole.
 */
#ifndef GMEMDIFF_VARY_H
#define GMEMDIFF_VARY_H

#include "explore.h"

#define POOL_MAX 8
#define BOUNDARIES_MAX 256

/* A variant that showed something new, and where its run can be preempted. */
struct parent {
	u32 nr_points;
	struct chosen_point points[SWITCHES_MAX];
	u32 nr_edits;
	struct edit edits[EDITS_MAX];
	u32 nr_boundaries;
	struct boundary boundaries[BOUNDARIES_MAX];
	u32 near; /* of boundaries: past the one at which the sides parted; 0: none known */
};

/* Those to start from, and the state of the random numbers. */
struct pool {
	struct parent parents[POOL_MAX];
	u32 nr;
	struct parent parted[POOL_MAX]; /* those under which the sides took other steps */
	u32 nr_parted;
	u64 random;
};

void pool_init(struct pool *pool, u64 seed);
/* Keep a variant whose run was the last one.  parted: hash of the step where; 0: it did not. */
void keep_parent(struct pool *pool, const struct variant *variant, u32 parted);
void draw_variant(struct pool *pool, const struct program *program, struct variant *variant);
void draw_schedule(struct pool *pool, const struct program *program, struct variant *variant);

#endif

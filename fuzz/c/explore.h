/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Many schedules of one program on two sides, and what was seen: the inner loop of a campaign on
 * the C engine.
 */
#ifndef GMEMDIFF_EXPLORE_H
#define GMEMDIFF_EXPLORE_H

#include "program.h"
#include "visible.h"

/* What one library offers to the other. */
struct side {
	size_t program_size; /* both were built with the same idea of a program */
	struct run *(*execute)(struct program *program, recorder_t recorder);
	struct run *(*execute_again)(struct program *program);
	void (*visible_of)(struct kvm *kvm, struct visible *visible);
	u64 (*visible_backing)(struct kvm *kvm, int as_id, s64 gfn, u64 *high);
	u32 (*label_id)(const char *name);
	u32 (*nr_labels)(void);
	const char *(*label_name)(u32 id);
	struct program *(*program)(void); /* that was read last */
	bool stock; /* there is no patch in it */
};

const struct side *gmemdiff_side(void);

enum why {
	WHY_FRESH = 1, /* a pair of steps, or a result, that was never seen before */
	WHY_BROKEN = 2, /* a rule, on either side */
	WHY_DIFFERS = 4, /* what user space or the guest can see */
	WHY_FAILED = 8, /* the port itself */
	WHY_PARTED = 16, /* the two sides took different steps (parting.h) */
	WHY_BAD = WHY_BROKEN | WHY_DIFFERS | WHY_FAILED,
};

#define CHOSEN_MAX 8 /* preemptions of a drawn schedule; a strategy makes up to SWITCHES_MAX */
#define EDITS_MAX 3 /* ops that are changed with it */

/* What is known of an argument of an op, to draw another value (fuzz/port/pair.py). */
enum arg_kind { ARG_NONE, ARG_INT, ARG_ADDR, ARG_HVA, ARG_FD, ARG_FLAGS, ARG_ENUM };

struct arg_info {
	u32 kind;
	u32 family; /* arguments of one family can lend each other their values */
	u64 choices; /* flags: their bits; enum: how many names */
};

/* An op in the place of another. */
struct edit {
	int actor, place;
	struct op now;
};

/* One schedule worth a look. */
struct variant {
	u32 why;
	u32 nr_points;
	struct chosen_point points[SWITCHES_MAX];
	u32 nr_edits;
	struct edit edits[EDITS_MAX];
	u64 kinds; /* a hash of the broken rules, with sites and sides */
};

#define FOUND_MAX 64
#define FOUND_NEW_MAX 16 /* after so many, what is new and nothing else is not told */

struct explored {
	u32 runs; /* of the program, on both sides */
	u32 fresh; /* new pairs */
	u32 parted; /* runs that took other steps on one side than on the other */
	u32 telling; /* few programs do that */
	u64 steps; /* of both sides */
	u32 nr_found;
	struct variant found[FOUND_MAX];
};

#endif

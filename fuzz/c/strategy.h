/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Strategies: who goes on, at each place of a run where that can be chosen (fuzz/strategies/,
 * choice for choice: the same seed makes the same choices in both).
 */
#ifndef GMEMDIFF_STRATEGY_H
#define GMEMDIFF_STRATEGY_H

#include "program.h"

enum strategy_kind { STRATEGY_ROUND_ROBIN, STRATEGY_WALK, STRATEGY_PCT, NR_STRATEGIES };

#define DEPTH_MAX 16

/* One strategy with what it has drawn; it lives from run to run. */
struct strategy {
	enum strategy_kind kind;
	u64 chance; /* the state of its random numbers */
	u32 depth; /* of PCT, from 1 */
	u32 places, expected; /* of the run so far; of a run */
	int lowest;
	int priorities[ACTORS_MAX];
	u32 changes[DEPTH_MAX];
};

/* A place where a choice is to be made. */
struct place {
	int actor; /* goes on unless somebody else is chosen */
	int nr_runnable;
	int runnable[ACTORS_MAX]; /* ascending */
};

void strategy_init(struct strategy *s, enum strategy_kind kind, u64 seed, u32 depth);
void strategy_begin(struct strategy *s, int nr_actors);
int strategy_choose(struct strategy *s, const struct place *place);
void strategy_gave_up(struct strategy *s, int actor);

#endif

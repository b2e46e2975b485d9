/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fingerprint of everything that the future of a stepwise run depends on, and of everything that
 * its outcome will tell of its past.  128 bits, of which visited.c keeps 96: among n states, two
 * share them by chance with a probability of about n^2 / 2^97.
 */
#ifndef GMEMDIFF_FINGERPRINT_H
#define GMEMDIFF_FINGERPRINT_H

#include "arena.h"
#include "execution.h"

struct fingerprint {
	u64 a, b;
};

/* Before the first state of a program. */
void fingerprint_begin(const struct arena_lanes *lanes);

/*
 * An actor has run: its C stack is another.  The hashes of all of them, as of the last state, to
 * keep; and they were brought back.
 */
void fingerprint_ran(const struct actor *actor);
struct fingerprint *fingerprint_stacks(void);
void fingerprint_back(void);

/* Of the state as it is now.  next: the actor whose turn comes, or that is at a boundary. */
struct fingerprint fingerprint_state(const struct actor *next);

/* Of what a run has shown so far: broken rules, and results. */
u64 fingerprint_violations(const struct run *run);
u64 fingerprint_results(const struct program *program, const struct run *run);

#endif

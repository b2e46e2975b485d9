/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory of the VM, word by word, while it is explored: what each step reads and writes.
 *
 * The model's files are compiled with the calls that -fsanitize=thread puts before every access;
 * here they are answered.  A word of struct kvm, or of the memory that tasks take (arena.h), is a
 * cell.  From what is written come a hash of all cells, kept up to date, and a log by which a
 * state is brought back; from what is read and written, the footprint of a step.
 */
#ifndef GMEMDIFF_CELLS_H
#define GMEMDIFF_CELLS_H

#include "arena.h"
#include "execution.h"

#define SHARED_MAX 128 /* cells that are told apart in a footprint; of more, some share a bit */

/*
 * What steps have read and written, of the cells that more than one actor gets at and somebody
 * writes: one bit for each, or for a few.
 */
struct footprint {
	u64 read[SHARED_MAX / 64], written[SHARED_MAX / 64];
};

static inline void footprint_add(struct footprint *to, const struct footprint *more)
{
	for (int i = 0; i < SHARED_MAX / 64; i++) {
		to->read[i] |= more->read[i];
		to->written[i] |= more->written[i];
	}
}

/* Whether steps with these footprints may not change places. */
static inline bool footprints_conflict(const struct footprint *a, const struct footprint *b)
{
	u64 both = 0;

	for (int i = 0; i < SHARED_MAX / 64; i++)
		both |= (a->written[i] & (b->read[i] | b->written[i])) |
			(a->read[i] & b->written[i]);
	return both != 0;
}

struct cell_sum {
	u64 a, b;
};

/* False: this build has no calls before accesses. */
bool cells_possible(void);

/*
 * Before a program's first step, with its setup done.  again: it is the program of the last call,
 * laid out as it was then; what is known of its cells stays known.  False: no memory.
 */
bool cells_begin(const struct arena_lanes *lanes, const struct program *program, bool again);
void cells_end(void);

/* An actor's step begins; ends: *footprint is what it did, besides what was there. */
void cells_open(const struct actor *actor);
void cells_close(struct footprint *footprint);

/* How many shared cells are known.  Footprints of before know nothing of those that came later. */
u32 cells_shared(void);
/* Take the ones from number `known` on as read and written. */
void footprint_assume(struct footprint *footprint, u32 known);

/*
 * What the scheduler does is no access of the model: that the open step waits for something, has
 * looked at who is inside of a section of SRCU, asks who waits for a lock, is inside an op or no
 * longer, or depends on everything there is.
 */
void cells_wait(const struct want *want);
void cells_snapshot(void);
void cells_ask_waiters(const struct lock *lock);
void cells_busy(void);
void cells_everything(void);
/* Who can run was looked at. */
void cells_decide(struct footprint *footprint);
/* An actor that is stopped before a step for which it wants a lock waits for it, from then on. */
void cells_stop(const struct actor *actor, const struct lock *lock, struct footprint *footprint);

/* The hash of all cells; the log. */
extern struct cell_sum cells_sum;
u32 cells_mark(void);
void cells_undo(u32 mark);
/* The same hash, made anew. */
struct cell_sum cells_count(void);

#endif

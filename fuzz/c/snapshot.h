/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * States of a run that is driven step by step, kept as a stack: the actors and their C stacks as
 * copies, the model as a place in the log of what was written (cells.h).  Bringing one back costs
 * no execution.
 */
#ifndef GMEMDIFF_SNAPSHOT_H
#define GMEMDIFF_SNAPSHOT_H

#include "arena.h"
#include "execution.h"

/* False: this build keeps part of an actor's state where a copy does not reach. */
bool snapshots_possible(void);

/* Where the used part of an actor's C stack begins, and its size. */
static inline const char *live_stack(const struct actor *actor, size_t *size)
{
#if defined(__x86_64__) || defined(__aarch64__)
	const char *top = exec.stacks + (size_t)(actor->task.index + 2) * STACK_SIZE;

	*size = top - (const char *)actor->context.sp;
	return actor->context.sp;
#else
	*size = 0;
	return exec.stacks;
#endif
}

/* Forget all.  lanes: where the model is. */
void snapshots_reset(struct arena_lanes *lanes);
/* Keep the state as it is now, on top.  False: no memory, or the state is too large. */
bool snapshot_push(void);
/* Bring back the one on top, which stays. */
void snapshot_restore(void);
void snapshot_pop(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* The scheduler's side of a run's memory. */
#ifndef GMEMDIFF_ARENA_H
#define GMEMDIFF_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A new run: all memory of the last one may be handed out again. */
void arena_reset(void);

/*
 * Keep what is in the arena now, to start runs from it: arena_restore() brings it back, at the
 * same addresses.  False when there is too much to keep.
 */
bool arena_keep(void);
void arena_restore(void);

/*
 * Memory in lanes, for who explores: each task takes it from a stretch of its own, so that where an
 * object lies does not depend on what other tasks took meanwhile.  All of it is one piece.
 */
#define LANE_SIZE (64u << 10)
struct arena_lanes {
	char *base; /* lane i begins at i * LANE_SIZE; of a task, the one of its index + 1 */
	uint32_t nr;
	uint32_t *used; /* bytes of each lane */
	bool full; /* a task wanted more than there is */
};
/* From here on, all memory comes from so many lanes, empty and zero.  NULL: no memory. */
struct arena_lanes *arena_lanes_begin(uint32_t nr);
void arena_lanes_end(void);

#endif

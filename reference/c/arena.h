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
 * The memory of a run as one stretch of bytes, for who saves and compares states.  Objects begin
 * at a multiple of ARENA_GRAIN; `starts` has a bit for each multiple, set where one begins, while
 * objects are marked.
 */
#define ARENA_GRAIN 16
struct arena_view {
	char *base;
	size_t used;
	const uint64_t *starts;
};
void arena_mark_objects(bool on);
/* False when the memory of the run is no single stretch: it takes too much. */
bool arena_view(struct arena_view *view);
/* Hand out again what lies beyond. */
void arena_rewind(size_t used);

#endif

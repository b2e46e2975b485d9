/* SPDX-License-Identifier: GPL-2.0-only */
/* The scheduler's side of a run's memory. */
#ifndef GMEMDIFF_ARENA_H
#define GMEMDIFF_ARENA_H

#include <stdbool.h>

/* A new run: all memory of the last one may be handed out again. */
void arena_reset(void);

/*
 * Keep what is in the arena now, to start runs from it: arena_restore() brings it back, at the
 * same addresses.  False when there is too much to keep.
 */
bool arena_keep(void);
void arena_restore(void);

#endif

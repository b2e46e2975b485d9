/* SPDX-License-Identifier: GPL-2.0-only */
/* The scheduler's side of a run's memory. */
#ifndef GMEMDIFF_ARENA_H
#define GMEMDIFF_ARENA_H

/* A new run: all memory of the last one may be handed out again. */
void arena_reset(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* Tables that double when they are full. */
#ifndef GMEMDIFF_GROW_H
#define GMEMDIFF_GROW_H

#include <stdlib.h>

#include "containers.h"

/*
 * A table of *room entries of some size, moved to where there is room for twice as many, or for
 * the first ones.  NULL: there is no memory, and the table and its room are as they were.
 */
static inline void *grown(void *table, u32 *room, u32 first, size_t size)
{
	u32 more = *room ? 2 * *room : first;

	table = realloc(table, more * size);
	if (table)
		*room = more;
	return table;
}

#endif

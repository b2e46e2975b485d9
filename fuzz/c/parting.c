/* SPDX-License-Identifier: GPL-2.0-only */
/* Where two runs of a program part: see parting.h. */
#include <string.h>

#include "parting.h"

#define KEYS (1u << 12)
#define RARE 3 /* partings tell something as long as not one in so many programs shows one */
#define ENOUGH 32 /* programs, before that can be said */

static struct {
	u32 seen[KEYS];
	u32 programs, parted;
} partings;

bool runs_part(const struct run *theirs, const struct run *ours, struct parting *parting)
{
	u32 low = 0, high = theirs->steps < ours->steps ? theirs->steps : ours->steps;

	/* Each step has a hash of all up to it: the first that differs is found by halves. */
	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (theirs->trail[middle].path == ours->trail[middle].path)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == theirs->steps && low == ours->steps)
		return false;
	parting->theirs = low < theirs->steps ? theirs->trail[low].what : 0;
	parting->ours = low < ours->steps ? ours->trail[low].what : 0;
	return true;
}

u32 parting_seen(struct parting parting)
{
	return ++partings.seen[(parting.theirs * 0x9e3779b1u ^ parting.ours * 0x85ebca6bu) >> 20];
}

void parting_count(bool parted)
{
	partings.programs++;
	partings.parted += parted;
}

bool partings_tell(void)
{
	return partings.programs >= ENOUGH && partings.parted < partings.programs / RARE;
}

void forget_partings(void)
{
	memset(&partings, 0, sizeof(partings));
}

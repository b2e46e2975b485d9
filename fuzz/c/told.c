/* SPDX-License-Identifier: GPL-2.0-only */
/* What was told already: see told.h. */
#include <string.h>

#include "told.h"

#define SEEN_KINDS (1u << 12)
#define TOLD_EACH 4 /* how often the same broken rules are told, before only powers of two */

static struct {
	u64 kinds;
	u32 count;
} told[SEEN_KINDS];

void forget_told(void)
{
	memset(told, 0, sizeof(told));
}

static u64 hash_text(u64 hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	return hash;
}

u64 kinds_of(const struct run *run, u64 side)
{
	u64 sum = 0;

	for (int i = 0; i < run->nr_violations; i++)
		sum += hash_text(hash_text(side, run->violations[i].rule),
				 run->violations[i].site) | 1;
	return sum;
}

bool worth_telling(u64 kinds)
{
	for (u32 i = 0; i < SEEN_KINDS; i++) {
		u32 at = (kinds + i) & (SEEN_KINDS - 1);

		if (told[at].kinds && told[at].kinds != kinds)
			continue;
		told[at].kinds = kinds;
		told[at].count++;
		return told[at].count <= TOLD_EACH ||
		       !(told[at].count & (told[at].count - 1));
	}
	return true;
}

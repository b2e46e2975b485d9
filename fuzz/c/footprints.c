/* SPDX-License-Identifier: GPL-2.0-only */
/* Footprints by number: see footprints.h. */
#include <stdlib.h>
#include <string.h>

#include "footprints.h"
#include "grow.h"

#define SLOTS (1u << 18) /* of the index */
#define RECENT 64
#define NUMBERS_MAX (SLOTS / 2)

static struct {
	struct footprint *all;
	u32 *index; /* 1 + number, or 0 */
	u32 nr, room;
	u32 recent[RECENT]; /* numbers, by one word: a state often has what the next one has */
} kept;

static u32 place_of(const struct footprint *footprint)
{
	const u64 *word = footprint->read;
	u64 hash = 1;

	for (size_t i = 0; i < sizeof(*footprint) / sizeof(*word); i++)
		hash = (hash ^ word[i]) * 0x9e3779b97f4a7c15u, hash ^= hash >> 29;
	return hash & (SLOTS - 1);
}

bool footprints_begin(void)
{
	struct footprint all, none = { 0 };

	if (!kept.index)
		kept.index = calloc(SLOTS, sizeof(*kept.index));
	if (!kept.index)
		return false;
	for (u32 i = 0; i < kept.nr; i++) /* a program has few: cheaper than all of the index */
		for (u32 at = place_of(&kept.all[i]); kept.index[at]; at = (at + 1) & (SLOTS - 1))
			kept.index[at] = 0;
	kept.nr = 0;
	memset(kept.recent, 0, sizeof(kept.recent));
	memset(&all, 0xff, sizeof(all));
	return footprint_number(&all) == FOOTPRINT_ALL && footprint_number(&none) == FOOTPRINT_NONE;
}

static bool is_empty(const struct footprint *footprint)
{
	u64 any = 0;

	for (int i = 0; i < SHARED_MAX / 64; i++)
		any |= footprint->read[i] | footprint->written[i];
	return !any;
}

static u32 recent_of(const struct footprint *footprint)
{
	u64 word = footprint->read[0] ^ footprint->written[0] * 3 ^ footprint->read[1];

	return (word * 0x9e3779b97f4a7c15u) >> 58;
}

u32 footprint_number(const struct footprint *footprint)
{
	u32 at, *recent;

	if (kept.nr > FOOTPRINT_NONE && is_empty(footprint))
		return FOOTPRINT_NONE;
	recent = &kept.recent[recent_of(footprint)];
	if (*recent < kept.nr && !memcmp(&kept.all[*recent], footprint, sizeof(*footprint)))
		return *recent;
	at = place_of(footprint);
	for (; kept.index[at]; at = (at + 1) & (SLOTS - 1))
		if (!memcmp(&kept.all[kept.index[at] - 1], footprint, sizeof(*footprint)))
			return *recent = kept.index[at] - 1;
	if (kept.nr == NUMBERS_MAX)
		return FOOTPRINT_ALL;
	if (kept.nr == kept.room) {
		void *more = grown(kept.all, &kept.room, 1024, sizeof(*kept.all));

		if (!more)
			return FOOTPRINT_ALL;
		kept.all = more;
	}
	kept.all[kept.nr++] = *footprint;
	kept.index[at] = kept.nr;
	return *recent = kept.nr - 1;
}

const struct footprint *footprint_of(u32 number)
{
	return &kept.all[number];
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of visited states: see visited.h.  What is searched is small, and apart from what is
 * known of each state, which lies in the order in which states were met.
 */
#include <stdlib.h>
#include <string.h>

#include "footprints.h"
#include "visited.h"

#define FIRST_SLOTS (1u << 12)

/* 96 bits of a fingerprint, and 1 + the number of the state; 0: empty. */
struct slot {
	u64 a;
	u32 b, number;
};

/*
 * What is known of a state: the preemptions that were left; footprints, by number, which know of
 * so many shared cells (0: it is being explored); after them the counts, as doubles.
 */
struct state {
	u32 left, shared, known;
	u32 sets[];
};

static struct {
	struct slot *slots;
	char *states;
	u64 nr_slots, nr, bytes_max;
	size_t room, stride, counts; /* bytes for states; of a state; where its counts are */
	u32 sets;
} table;

static struct state *state_of(u32 number)
{
	return (struct state *)(table.states + number * table.stride);
}

static double *counts_of(struct state *state)
{
	return (double *)((char *)state + table.counts);
}

/* The slot of a state, or the empty one where it would be. */
static struct slot *find(u64 a, u32 b)
{
	u64 index = a & (table.nr_slots - 1);

	for (;;) {
		struct slot *slot = &table.slots[index];

		if (!slot->number || (slot->a == a && slot->b == b))
			return slot;
		index = (index + 1) & (table.nr_slots - 1);
	}
}

bool visited_begin(u32 preemptions, u32 sets, u64 bytes_max)
{
	/* A table that has grown large is given back, and one that has not is used again. */
	if (!table.slots || table.nr_slots > 64 * FIRST_SLOTS) {
		free(table.slots);
		table.nr_slots = FIRST_SLOTS;
		table.slots = calloc(table.nr_slots, sizeof(*table.slots));
		free(table.states);
		table.states = NULL;
	} else {
		memset(table.slots, 0, table.nr_slots * sizeof(*table.slots));
	}
	table.counts = (sizeof(struct state) + sets * sizeof(u32) + 7) & ~(size_t)7;
	table.stride = table.counts + (preemptions + 1) * sizeof(double);
	table.sets = sets;
	table.nr = 0;
	if (!table.states)
		table.room = 0;
	table.bytes_max = bytes_max;
	return table.slots && footprints_begin();
}

static bool is_full(void)
{
	return table.nr * 5 >= table.nr_slots * 3 || (table.nr + 1) * table.stride > table.room;
}

/* Twice as many slots.  False: that would be too many. */
static bool grow(void)
{
	struct slot *old = table.slots;
	u64 nr_old = table.nr_slots;
	size_t room = (2 * nr_old * 3 / 5 + 1) * table.stride;
	char *states;

	/* Old and new are there at once. */
	if (3 * nr_old * sizeof(*old) + room > table.bytes_max)
		return false;
	states = realloc(table.states, room);
	if (!states)
		return false;
	table.states = states;
	table.room = room;
	table.slots = calloc(2 * nr_old, sizeof(*old));
	if (!table.slots) {
		table.slots = old;
		return false;
	}
	table.nr_slots = 2 * nr_old;
	for (u64 i = 0; i < nr_old; i++)
		if (old[i].number)
			*find(old[i].a, old[i].b) = old[i];
	free(old);
	return true;
}

/* What is known of a state; of what has turned out to be shared since, the worst. */
static void read_state(struct state *state, u32 left, struct explored_state *found)
{
	memcpy(found->counts.of, counts_of(state), (left + 1) * sizeof(double));
	found->known = state->known;
	for (u32 i = 0; i < table.sets; i++) {
		found->sets[i] = *footprint_of(state->shared ? state->sets[i] : FOOTPRINT_ALL);
		footprint_assume(&found->sets[i], state->shared);
	}
}

enum visit visited_meet(struct fingerprint fingerprint, u32 left, struct explored_state *found,
			u32 *number)
{
	u64 a = fingerprint.a;
	u32 b = fingerprint.b >> 32;
	struct slot *slot = find(a, b);
	enum visit visit = VISIT_AGAIN;
	struct state *state;

	if (slot->number) {
		*number = slot->number - 1;
		state = state_of(*number);
		if (state->left >= left) {
			read_state(state, left, found);
			return VISIT_KNOWN;
		}
	} else {
		if (is_full()) {
			if (!grow())
				return VISIT_FULL;
			slot = find(a, b);
		}
		*number = table.nr++;
		*slot = (struct slot){ a, b, table.nr };
		state = state_of(*number);
		visit = VISIT_NEW;
	}
	memset(state, 0, table.stride);
	state->left = left;
	return visit;
}

void visited_done(u32 number, u32 left, const struct explored_state *found)
{
	struct state *state = state_of(number);

	if (state->left != left)
		return;
	memcpy(counts_of(state), found->counts.of, (left + 1) * sizeof(double));
	state->shared = cells_shared();
	state->known = found->known;
	for (u32 i = 0; i < table.sets; i++)
		state->sets[i] = footprint_number(&found->sets[i]);
}

u64 visited_states(void)
{
	return table.nr;
}

u64 visited_bytes(void)
{
	return table.nr_slots * sizeof(*table.slots) + table.nr * table.stride;
}

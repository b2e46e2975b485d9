/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of visited states: see visited.h. */
#include <stdlib.h>
#include <string.h>

#include "footprints.h"
#include "visited.h"

#define FIRST_SLOTS (1u << 12)
#define LEFT_BITS 8

/*
 * A slot: the fingerprint, its lowest bits replaced by 1 + what was left; the counts; and
 * footprints by number, which know of so many shared cells (0: it is being explored).
 */
struct slot {
	u64 a, b;
	u32 shared, known;
	double counts[];
};

static struct {
	char *slots;
	u64 nr_slots, states, bytes_max;
	size_t stride;
	u32 preemptions, sets;
} table;

static struct slot *slot_at(u64 index)
{
	return (struct slot *)(table.slots + index * table.stride);
}

static u32 *sets_of(struct slot *slot)
{
	return (u32 *)(slot->counts + table.preemptions + 1);
}

static bool same(const struct slot *slot, struct fingerprint state)
{
	return slot->a == state.a && slot->b >> LEFT_BITS == state.b >> LEFT_BITS;
}

/* The slot of a state, or the empty one where it would be. */
static struct slot *find(struct fingerprint state)
{
	u64 index = state.a & (table.nr_slots - 1);

	for (;;) {
		struct slot *slot = slot_at(index);

		if (!(slot->b & ((1u << LEFT_BITS) - 1)) || same(slot, state))
			return slot;
		index = (index + 1) & (table.nr_slots - 1);
	}
}

bool visited_begin(u32 preemptions, u32 sets, u64 bytes_max)
{
	size_t stride = sizeof(struct slot) + (preemptions + 1) * sizeof(double) +
			(sets + sets % 2) * sizeof(u32);

	/* A table that has grown large is given back, and one that has not is used again. */
	if (!table.slots || table.stride != stride || table.nr_slots > 16 * FIRST_SLOTS) {
		free(table.slots);
		table.nr_slots = FIRST_SLOTS;
		table.slots = calloc(table.nr_slots, stride);
	} else {
		memset(table.slots, 0, table.nr_slots * stride);
	}
	table.stride = stride;
	table.states = 0;
	table.bytes_max = bytes_max;
	table.preemptions = preemptions;
	table.sets = sets;
	return table.slots && footprints_begin();
}

/* Twice as many slots.  False: that would be too many. */
static bool grow(void)
{
	char *old = table.slots;
	u64 nr_old = table.nr_slots;
	/* Old and new are there at once. */
	u64 bytes = 3 * nr_old * table.stride;

	if (bytes > table.bytes_max)
		return false;
	table.slots = calloc(2 * nr_old, table.stride);
	if (!table.slots) {
		table.slots = old;
		return false;
	}
	table.nr_slots = 2 * nr_old;
	for (u64 i = 0; i < nr_old; i++) {
		struct slot *slot = (struct slot *)(old + i * table.stride);

		if (slot->b & ((1u << LEFT_BITS) - 1))
			memcpy(find((struct fingerprint){ slot->a, slot->b }), slot, table.stride);
	}
	free(old);
	return true;
}

static u32 left_of(const struct slot *slot)
{
	return (slot->b & ((1u << LEFT_BITS) - 1)) - 1;
}

static void write_slot(struct slot *slot, struct fingerprint state, u32 left)
{
	slot->a = state.a;
	slot->b = (state.b & ~(u64)((1u << LEFT_BITS) - 1)) | (left + 1);
}

/* What is known of a state; of what has turned out to be shared since, the worst. */
static void read_slot(struct slot *slot, u32 left, struct explored_state *found)
{
	memcpy(found->counts.of, slot->counts, (left + 1) * sizeof(double));
	found->known = slot->known;
	for (u32 i = 0; i < table.sets; i++) {
		found->sets[i] = *footprint_of(slot->shared ? sets_of(slot)[i] : FOOTPRINT_ALL);
		footprint_assume(&found->sets[i], slot->shared);
	}
}

enum visit visited_meet(struct fingerprint state, u32 left, struct explored_state *found)
{
	struct slot *slot = find(state);

	if (same(slot, state) && slot->b & ((1u << LEFT_BITS) - 1)) {
		if (left_of(slot) >= left) {
			read_slot(slot, left, found);
			return VISIT_KNOWN;
		}
		write_slot(slot, state, left);
		slot->shared = slot->known = 0;
		return VISIT_AGAIN;
	}
	if (table.states * 5 >= table.nr_slots * 3) {
		if (!grow())
			return VISIT_FULL;
		slot = find(state);
	}
	write_slot(slot, state, left);
	table.states++;
	return VISIT_NEW;
}

void visited_done(struct fingerprint state, u32 left, const struct explored_state *found)
{
	struct slot *slot = find(state);

	if (left_of(slot) != left)
		return;
	memcpy(slot->counts, found->counts.of, (left + 1) * sizeof(double));
	slot->shared = cells_shared();
	slot->known = found->known;
	for (u32 i = 0; i < table.sets; i++)
		sets_of(slot)[i] = footprint_number(&found->sets[i]);
}

u64 visited_states(void)
{
	return table.states;
}

u64 visited_bytes(void)
{
	return table.nr_slots * table.stride;
}

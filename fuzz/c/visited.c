/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of visited states: see visited.h. */
#include <stdlib.h>
#include <string.h>

#include "visited.h"

#define FIRST_SLOTS (1u << 12)
#define LEFT_BITS 8

/* A slot: the fingerprint, its lowest bits replaced by 1 + what was left; then the counts. */
struct slot {
	u64 a, b;
	double counts[];
};

static struct {
	char *slots;
	u64 nr_slots, states, bytes_max;
	size_t stride;
	u32 preemptions;
} table;

static struct slot *slot_at(u64 index)
{
	return (struct slot *)(table.slots + index * table.stride);
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

bool visited_begin(u32 preemptions, u64 bytes_max)
{
	size_t stride = sizeof(struct slot) + (preemptions + 1) * sizeof(double);

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
	return table.slots != NULL;
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

enum visit visited_meet(struct fingerprint state, u32 left, struct counts *counts)
{
	struct slot *slot = find(state);

	if (same(slot, state) && slot->b & ((1u << LEFT_BITS) - 1)) {
		if (left_of(slot) >= left) {
			memcpy(counts->of, slot->counts, (left + 1) * sizeof(double));
			return VISIT_KNOWN;
		}
		write_slot(slot, state, left);
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

void visited_done(struct fingerprint state, u32 left, const struct counts *counts)
{
	struct slot *slot = find(state);

	if (left_of(slot) == left)
		memcpy(slot->counts, counts->of, (left + 1) * sizeof(double));
}

u64 visited_states(void)
{
	return table.states;
}

u64 visited_bytes(void)
{
	return table.nr_slots * table.stride;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* Pairs of steps of different actors, and results of ops: see feedback.h. */
#include <string.h>

#include "feedback.h"
#include "shim.h"

uint8_t feedback_pairs[PAIRS_MAX];

static struct {
	uint32_t label; /* where the op stands, + 1; 0: the actor is between ops */
	uint32_t code; /* of the op */
} at[TASKS_MAX];

void feedback_begin(void)
{
	memset(at, 0, sizeof(at));
}

static void note(uint32_t kind, uint32_t a, uint32_t b)
{
	uint32_t hash = (a * 0x9e3779b1u ^ b * 0x85ebca6bu ^ kind * 0xc2b2ae35u);

	hash ^= hash >> 15;
	hash *= 0x2c1b3c6du;
	hash ^= hash >> 16;
	feedback_pairs[hash & (PAIRS_MAX - 1)] = 1;
}

void feedback_op(int task, uint32_t code)
{
	at[task + 1].code = code;
}

void feedback_turn(int task)
{
	/* Somebody runs: with what others are in the middle of. */
	for (int other = 0; other < TASKS_MAX; other++)
		if (at[other].label && other != task + 1)
			note(1, at[other].label, at[task + 1].code);
}

void feedback_step(int task, uint32_t label)
{
	at[task + 1].label = label + 1;
	for (int other = 0; other < TASKS_MAX; other++)
		if (at[other].label && other != task + 1)
			note(2, at[other].label, label);
}

void feedback_ended(int task, int64_t result)
{
	at[task + 1].label = 0;
	if (result < 0)
		note(3, at[task + 1].code, (uint32_t)-result);
}

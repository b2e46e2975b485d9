/* SPDX-License-Identifier: GPL-2.0-only */
/* Pairs of steps of different actors, and results of ops: see feedback.h. */
#include <string.h>

#include "feedback.h"
#include "shim.h"

uint8_t feedback_pairs[PAIRS_MAX];
uint32_t feedback_fresh;
static uint8_t seen[PAIRS_MAX];

static struct {
	uint32_t label; /* where the op stands */
	uint32_t code; /* of the op */
} at[TASKS_MAX];
static uint32_t inside; /* bit per task + 1: it is in the middle of an op */

void feedback_begin(void)
{
	inside = 0;
}

static void note(uint32_t kind, uint32_t a, uint32_t b)
{
	uint32_t hash = (a * 0x9e3779b1u ^ b * 0x85ebca6bu ^ kind * 0xc2b2ae35u);

	hash ^= hash >> 15;
	hash *= 0x2c1b3c6du;
	hash ^= hash >> 16;
	hash &= PAIRS_MAX - 1;
	feedback_pairs[hash] = 1;
	if (!seen[hash]) {
		seen[hash] = 1;
		feedback_fresh++;
	}
}

/* Something is done while others stand in the middle of an op. */
static inline void note_others(uint32_t kind, int task, uint32_t what)
{
	for (uint32_t others = inside & ~(1u << (task + 1)); others; others &= others - 1)
		note(kind, at[__builtin_ctz(others)].label, what);
}

void feedback_op(int task, uint32_t code)
{
	at[task + 1].code = code;
}

void feedback_turn(int task)
{
	note_others(1, task, at[task + 1].code);
}

void feedback_step(int task, uint32_t label)
{
	inside |= 1u << (task + 1);
	at[task + 1].label = label;
	note_others(2, task, label);
}

void feedback_ended(int task, int64_t result)
{
	inside &= ~(1u << (task + 1));
	if (result < 0)
		note(3, at[task + 1].code, (uint32_t)-result);
}

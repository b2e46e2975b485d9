/* SPDX-License-Identifier: GPL-2.0-only */
/* Pairs of steps of different actors, and results of ops: see feedback.h. */
#include "feedback.h"

uint8_t feedback_pairs[PAIRS_MAX];
uint32_t feedback_fresh;
struct feedback feedback;
static uint8_t seen[PAIRS_MAX];

void feedback_mode(enum feedback_mode mode)
{
	feedback.mode = mode;
	feedback.watched = mode == FEEDBACK_OFF ? 0 : ~0u;
}

void feedback_note(uint32_t kind, uint32_t a, uint32_t b)
{
	uint32_t hash = a * 0x9e3779b1u ^ b * 0x85ebca6bu ^
			(kind | feedback.apart) * 0xc2b2ae35u;

	hash ^= hash >> 15;
	hash *= 0x2c1b3c6du;
	hash ^= hash >> 16;
	hash &= PAIRS_MAX - 1;
	if (seen[hash] && feedback.mode == FEEDBACK_FRESH)
		return;
	feedback_pairs[hash] = 1;
	feedback_fresh += !seen[hash];
	seen[hash] = 1;
}

void feedback_note_others(uint32_t kind, uint32_t others, uint32_t what)
{
	for (; others; others &= others - 1)
		feedback_note(kind, feedback.at[__builtin_ctz(others)].label, what);
}

void feedback_sequences(int task)
{
	uint32_t others = feedback.inside & ~(1u << (task + 1)), code = feedback.at[task + 1].code;

	for (; others; others &= others - 1) {
		struct feedback_place *place = &feedback.at[__builtin_ctz(others)];

		if (place->ran && place->ran != code + 1)
			feedback_note(PAIR_SEQUENCE, place->label, place->ran << 16 | code);
		place->ran = code + 1;
	}
}

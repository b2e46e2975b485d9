/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a run did that lines cannot show: which steps were taken while another op was stopped at
 * which other step, and what ops answered.  One byte each, in one array, for a fuzzer to look at.
 */
#ifndef GMEMDIFF_FEEDBACK_H
#define GMEMDIFF_FEEDBACK_H

#include "shim.h"

#define PAIRS_MAX (1u << 16)

extern uint8_t feedback_pairs[PAIRS_MAX]; /* whoever reads them clears them */
extern uint32_t feedback_fresh; /* how many were never set before, in this process */

/* What is noted: a fuzzer pays for each byte that is set, and one run speaks for many like it. */
enum feedback_mode {
	FEEDBACK_OFF,
	FEEDBACK_FRESH, /* what was never noted before, in this process */
	FEEDBACK_ALL,
};

void feedback_mode(enum feedback_mode mode);

/* What follows is inline because it is done at every step. */

enum { PAIR_TURN = 1, PAIR_STEP, PAIR_RESULT, PAIR_PARTING, PAIR_SEQUENCE, PAIR_APART = 8 };

struct feedback_place {
	uint32_t label; /* where the op stands */
	uint32_t code; /* of the op */
	uint32_t ran; /* op of another that last ran on while it stood there */
};

extern struct feedback {
	enum feedback_mode mode;
	uint32_t apart; /* PAIR_APART while a run is looked at that is known to part */
	uint32_t inside; /* bit per task + 1: it is in the middle of an op */
	uint32_t watched; /* those bits that count: none when off */
	struct feedback_place at[TASKS_MAX];
} feedback;

void feedback_note(uint32_t kind, uint32_t a, uint32_t b);
/* Which ops ran one after the other while somebody stood at one step. */
void feedback_sequences(int task);
void feedback_note_others(uint32_t kind, uint32_t others, uint32_t what);

static inline void feedback_begin(void)
{
	feedback.inside = 0;
}

/* Something is done while others stand in the middle of an op. */
static inline void feedback_others(uint32_t kind, int task, uint32_t what)
{
	uint32_t others = feedback.inside & feedback.watched & ~(1u << (task + 1));

	if (others)
		feedback_note_others(kind, others, what);
}

static inline void feedback_op(int task, uint32_t code) /* an op begins */
{
	feedback.at[task + 1].code = code;
}

static inline void feedback_turn(int task) /* an actor runs on */
{
	feedback_others(PAIR_TURN, task, feedback.at[task + 1].code);
	if (feedback.apart)
		feedback_sequences(task);
}

static inline void feedback_step(int task, uint32_t label) /* it comes to a step */
{
	feedback.inside |= 1u << (task + 1);
	feedback.at[task + 1].label = label;
	feedback.at[task + 1].ran = 0;
	feedback_others(PAIR_STEP, task, label);
}

static inline void feedback_ended(int task, int64_t result)
{
	feedback.inside &= ~(1u << (task + 1));
	if (result < 0 && feedback.mode != FEEDBACK_OFF)
		feedback_note(PAIR_RESULT, feedback.at[task + 1].code, (uint32_t)-result);
}

#endif

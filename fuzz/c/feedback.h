/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a run did that lines cannot show: which steps were taken while another op was stopped at
 * which other step, and what ops answered.  One byte each, in one array, for a fuzzer to look at.
 */
#ifndef GMEMDIFF_FEEDBACK_H
#define GMEMDIFF_FEEDBACK_H

#include <stdint.h>

#define PAIRS_MAX (1u << 16)

extern uint8_t feedback_pairs[PAIRS_MAX]; /* whoever reads them clears them */
extern uint32_t feedback_fresh; /* how many were never set before, in this process */

void feedback_begin(void);
void feedback_op(int task, uint32_t code); /* an op begins */
void feedback_turn(int task); /* an actor runs on */
void feedback_step(int task, uint32_t label); /* it comes to a step */
void feedback_ended(int task, int64_t result);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* Which rules were broken, and whether that was told often enough. */
#ifndef GMEMDIFF_TOLD_H
#define GMEMDIFF_TOLD_H

#include "program.h"

/* A hash of the rules that a run broke.  Order does not matter; side: 1 or 2. */
u64 kinds_of(const struct run *run, u64 side);

/* Whether broken rules are worth telling: the first few times, then more and more rarely. */
bool worth_telling(u64 kinds);

void forget_told(void);

#endif

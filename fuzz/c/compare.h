/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether two runs differ in what anybody could see, beyond what the patch promises to change. */
#ifndef GMEMDIFF_COMPARE_H
#define GMEMDIFF_COMPARE_H

#include "explore.h"

bool runs_differ(const struct program *program, const struct side *reference, struct run *ours,
		 const struct side *patched, struct run *theirs, bool survival_promised);

#endif

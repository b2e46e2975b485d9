/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every schedule of a program with at most so many preemptions, on one side: which rules can be
 * broken, and which outcomes can be reached (fuzz/port/exhaustive.py reads these structures).
 */
#ifndef GMEMDIFF_EXHAUSTIVE_H
#define GMEMDIFF_EXHAUSTIVE_H

#include "reached.h"

enum progress {
	PROGRESS_RUNNING,
	PROGRESS_COMPLETE, /* every schedule within the bound */
	PROGRESS_NO_MEMORY, /* the table of states is full, or a state cannot be kept */
	PROGRESS_TOO_MANY, /* outcomes */
	PROGRESS_FAILED, /* the port itself */
};

struct exhausted {
	u32 progress, preemptions;
	u32 acted, pad; /* acted: some run may have come to a change of the patch (marks.h) */
	u64 states; /* told apart */
	u64 met; /* states come to, again or not */
	u64 steps; /* taken, each once from where it was kept */
	u64 runs; /* that were followed to an end */
	u64 budget_ends; /* of them, those that used up their steps */
	u64 let_in, left_out; /* preemptions that were tried; that need not be (reduction) */
	u64 units; /* first preemptions that are done with, in the order of the search */
	u64 table_bytes;
	double schedules; /* that all this stands for; with the reduction, at least */
	u32 nr_breakable, nr_reachable;
	const struct breakable *breakable;
	const struct reachable *reachable;
	const char *error; /* of PROGRESS_FAILED */
};

#endif

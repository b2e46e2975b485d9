/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether a run of the patched port was one of the stock port as well (fuzz/port/marks.py puts
 * the marks, and writes patch_marks down for each build).
 */
#ifndef GMEMDIFF_MARKS_H
#define GMEMDIFF_MARKS_H

#include <stdbool.h>

enum marks {
	MARKS_MISSING, /* some change of the patch has none */
	MARKS_STOCK, /* no patch */
	MARKS_COMPLETE,
};

extern const enum marks patch_marks;
extern bool patch_acted; /* the last run came to a change of the patch */

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where two runs of a program part: the first step that they do not both take.
 *
 * A patch that acts is followed by other steps long before a rule breaks or user space can tell,
 * if it ever can.  So a run that parted is nearer to a finding than one that did not, and the
 * steps where it did tell one way of acting from another.
 */
#ifndef GMEMDIFF_PARTING_H
#define GMEMDIFF_PARTING_H

#include "program.h"

/* The steps of a run in which it left the other one: of the other, and its own; 0 past the end. */
struct parting {
	u32 theirs, ours;
};

/* False: both runs took the same steps. */
bool runs_part(const struct run *theirs, const struct run *ours, struct parting *parting);

/* Programs that were seen to part there, this one included. */
u32 parting_seen(struct parting parting);
/* How many programs part, of how many: a sign that nearly all show says nothing. */
void parting_count(bool parted);
bool partings_tell(void);
void forget_partings(void);

#endif

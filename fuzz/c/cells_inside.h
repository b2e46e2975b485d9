/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files that keep cells (cells.h) share, with what runs at every access. */
#ifndef GMEMDIFF_CELLS_INSIDE_H
#define GMEMDIFF_CELLS_INSIDE_H

#include "cells.h"

#define WORD sizeof(u64)
#define KVM_CELLS ((sizeof(struct kvm) + WORD - 1) / WORD)
#define LANE_CELLS (LANE_SIZE / WORD)
#define ACTOR_BITS 16 /* at least ACTORS_MAX */

enum cell_kind {
	CELL_PLAIN,
	CELL_UNSEEN, /* nothing that happens depends on it */
	CELL_SRCU, /* of kvm->srcu; who comes and goes there does not disturb others who do */
};

/* touched: a bit for each actor that did; and above them, for each that wrote. */
struct cell {
	u32 touched;
	uint16_t id; /* 1 + bit of a shared one, or 0 */
	uint16_t kind;
};

/*
 * What stands for more than a word: who is inside a section of kvm->srcu, and that a section ends;
 * kvm->busy.  Those who come and go count as readers of these, those who look as writers.
 */
enum { SHARED_SECTIONS, SHARED_SECTION_ENDS, SHARED_BUSY, NR_FIXED };

struct cells {
	bool instrumented;
	bool on;
	char *lanes;
	size_t lanes_size;
	u32 mine, both, stamp; /* of the open step */
	struct footprint now;
	u32 nr_shared;
	struct { u32 cell; u64 before; } *log;
	u32 nr_log, room, begun;
	struct cell cells[KVM_CELLS + TASKS_MAX * LANE_CELLS];
	u32 stamps[KVM_CELLS + TASKS_MAX * LANE_CELLS]; /* the last step that wrote */
};
extern struct cells cw;

/* An actor gets at a cell in a way that it never did; there must be more room in the log. */
void cells_learn(struct cell *cell, u32 mine, bool write);
void cells_more_log(void);

static inline u64 *word_of(u32 cell)
{
	return cell < KVM_CELLS ? (u64 *)&exec.kvm + cell :
				  (u64 *)cw.lanes + (cell - KVM_CELLS);
}

/* The cell of an address, or UINT32_MAX: the C stacks, the tasks, constants. */
static inline u32 cell_of(uintptr_t at)
{
	size_t offset = at - (uintptr_t)cw.lanes;

	if (offset < cw.lanes_size)
		return KVM_CELLS + offset / WORD;
	offset = at - (uintptr_t)&exec.kvm;
	return offset < sizeof(exec.kvm) ? offset / WORD : UINT32_MAX;
}

static inline void touch(struct footprint *footprint, u32 shared, bool write)
{
	u64 *set = write ? footprint->written : footprint->read;

	set[shared / 64] |= 1ull << shared % 64;
}

/* Note an access in a footprint; `mine` says whose it is. */
static inline __attribute__((always_inline)) void note(struct footprint *footprint, u32 at,
						       u32 mine, bool write)
{
	struct cell *cell = &cw.cells[at];
	u32 need = mine | (write ? mine << ACTOR_BITS : 0);

	if (cell->kind)
		return;
	if ((cell->touched & need) != need)
		cells_learn(cell, mine, write);
	if (cell->id)
		touch(footprint, cell->id - 1, write);
}

static inline __attribute__((always_inline)) void accessed(uintptr_t at, bool write)
{
	u32 index = cell_of(at);

	if (index == UINT32_MAX)
		return;
	if (!write) {
		note(&cw.now, index, cw.mine, false);
		return;
	}
	if (cw.stamps[index] == cw.stamp)
		return;
	cw.stamps[index] = cw.stamp;
	if (cw.nr_log == cw.room)
		cells_more_log();
	cw.log[cw.nr_log].cell = index;
	cw.log[cw.nr_log++].before = *word_of(index);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cells: see cells.h.
 *
 * A cell matters to a footprint only if two actors get at it and one of them writes it.  Which
 * these are is found out as the exploration goes on; until then, nobody can have conflicted there.
 */
#include <string.h>

#include "arena.h"
#include "cells_inside.h"
#include "grow.h"

struct cells cw;
struct cell_sum cells_sum;

void cells_learn(struct cell *cell, u32 mine, bool write)
{
	u32 others;

	cell->touched |= mine | (write ? mine << ACTOR_BITS : 0);
	others = cell->touched & ~(mine | mine << ACTOR_BITS);
	if (cell->id || !(others >> ACTOR_BITS ||
			  (others && cell->touched & mine << ACTOR_BITS)))
		return;
	cell->id = 1 + cw.nr_shared++ % SHARED_MAX;
}

void cells_more_log(void)
{
	cw.log = grown(cw.log, &cw.room, 1u << 16, sizeof(*cw.log));
	if (!cw.log)
		harness_error("no memory");
}

/* The hash: a sum over all cells, so that one that changes costs as much as it costs to tell. */

static inline void add_cell(struct cell_sum *sum, u32 cell, u64 value, bool take)
{
	u64 a, b;

	if (!value)
		return;
	a = (value + (cell + 1) * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
	a = (a ^ a >> 32) * 0x94d049bb133111ebu;
	a ^= a >> 29;
	b = a * 0xff51afd7ed558ccdu;
	b = (b ^ b >> 31) * 0xc4ceb9fe1a85ec53u;
	b ^= b >> 33;
	sum->a += take ? -a : a;
	sum->b += take ? -b : b;
}

static void count_range(struct cell_sum *sum, u32 from, u32 to)
{
	for (u32 cell = from; cell < to; cell++)
		if (!cw.cells[cell].kind)
			add_cell(sum, cell, *word_of(cell), false);
}

struct cell_sum cells_count(void)
{
	struct cell_sum sum = { 0, 0 };

	count_range(&sum, 0, KVM_CELLS + cw.lanes_size / WORD);
	return sum;
}

static void kind_of(const void *from, size_t size, enum cell_kind kind)
{
	u32 first = cell_of((uintptr_t)from), end = first + size / WORD;

	for (u32 cell = first; cell < end; cell++)
		cw.cells[cell].kind = kind;
}

static bool reads_counters(const struct program *program)
{
	for (int i = 0; i < program->nr_actors; i++)
		for (int op = 0; op < program->actors[i].nr_ops; op++)
			if (program->actors[i].ops[op].code == OP_stat)
				return true;
	return false;
}

bool cells_possible(void)
{
	return cw.instrumented;
}

bool cells_begin(const struct arena_lanes *lanes, const struct program *program, bool again)
{
	struct kvm *kvm = &exec.kvm;

	cw.lanes = lanes->base;
	cw.lanes_size = (size_t)lanes->nr * LANE_SIZE;
	cw.nr_log = 0;
	if (!again) {
		memset(cw.cells, 0,
		       (KVM_CELLS + lanes->nr * LANE_CELLS) * sizeof(*cw.cells));
		cw.nr_shared = NR_FIXED;
		kind_of(&kvm->srcu, sizeof(kvm->srcu), CELL_SRCU);
		kind_of(&kvm->text, sizeof(kvm->text), CELL_UNSEEN);
		kind_of(&kvm->busy, WORD, CELL_UNSEEN);
		kind_of(&kvm->notifier_zaps, 3 * WORD, CELL_UNSEEN);
		if (!reads_counters(program))
			kind_of(&kvm->pages_4k, 4 * WORD, CELL_UNSEEN);
	}
	cells_sum = (struct cell_sum){ 0, 0 };
	count_range(&cells_sum, 0, KVM_CELLS);
	for (u32 lane = 0; lane < lanes->nr; lane++) {
		u32 first = KVM_CELLS + lane * LANE_CELLS;

		count_range(&cells_sum, first, first + lanes->used[lane] / WORD);
	}
	if (!cw.room)
		cells_more_log();
	return true;
}

void cells_end(void)
{
	cw.on = false;
}

void cells_open(const struct actor *actor)
{
	cw.mine = 1u << actor->task.index;
	cw.stamp++;
	cw.begun = cw.nr_log;
	memset(&cw.now, 0, sizeof(cw.now));
	cw.on = true;
}

/* The step has come into or out of a section of kvm->srcu, or both. */
static void note_section(u64 before, u64 now)
{
	int readers_before, readers_now;
	const size_t at = offsetof(struct srcu, nr_readers);

	memcpy(&readers_before, (const char *)&before + at, sizeof(readers_before));
	memcpy(&readers_now, (const char *)&now + at, sizeof(readers_now));
	if (readers_before == readers_now)
		return;
	touch(&cw.now, SHARED_SECTIONS, false);
	if (readers_now < readers_before)
		touch(&cw.now, SHARED_SECTION_ENDS, false);
}

/* A word that is what it was before the step counts as read only. */
void cells_close(struct footprint *footprint)
{
	cw.on = false;
	for (u32 i = cw.begun; i < cw.nr_log; i++) {
		u32 cell = cw.log[i].cell;
		u64 before = cw.log[i].before, now = *word_of(cell);

		note(&cw.now, cell, cw.mine, before != now);
		if (word_of(cell) == (u64 *)&exec.kvm.srcu)
			note_section(before, now);
		if (cw.cells[cell].kind || before == now)
			continue;
		add_cell(&cells_sum, cell, before, true);
		add_cell(&cells_sum, cell, now, false);
	}
	*footprint = cw.now;
}

u32 cells_mark(void)
{
	return cw.nr_log;
}

void cells_undo(u32 mark)
{
	while (cw.nr_log > mark) {
		cw.nr_log--;
		*word_of(cw.log[cw.nr_log].cell) = cw.log[cw.nr_log].before;
	}
}

u32 cells_shared(void)
{
	return cw.nr_shared;
}

void footprint_assume(struct footprint *footprint, u32 known)
{
	for (u32 i = known; i < cw.nr_shared; i++) {
		touch(footprint, i % SHARED_MAX, false);
		touch(footprint, i % SHARED_MAX, true);
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* The scheduler's part in the footprint of a step: see cells.h. */
#include <string.h>

#include "cells_inside.h"

/* Whether somebody can run on: what ready() looks at. */
static void note_ready(struct footprint *footprint, const struct want *want, u32 mine)
{
	switch (want->kind) {
	case WANT_FREE:
		note(footprint, cell_of((uintptr_t)&want->lock->nr_readers), mine, false);
		/* fall through */
	case WANT_SHARED:
		note(footprint, cell_of((uintptr_t)&want->lock->writer), mine, false);
		break;
	case WANT_WAKE_UP:
		note(footprint, cell_of((uintptr_t)&want->queue->woken), mine, false);
		break;
	case WANT_SRCU:
		touch(footprint, SHARED_SECTION_ENDS, true);
		break;
	case WANT_QUIET:
		touch(footprint, SHARED_BUSY, true);
		break;
	case WANT_NOTHING:
	case WANT_RETRY:
		break;
	}
}

/*
 * Who waits for a lock is kept with the word of its name, which nobody changes.  Those who wait
 * count as readers of it: they do not disturb each other.
 */
static u32 waiters_of(const struct lock *lock)
{
	return cell_of((uintptr_t)&lock->name);
}

void cells_wait(const struct want *want)
{
	if (!cw.on)
		return;
	note_ready(&cw.now, want, cw.mine);
	if (want->kind == WANT_FREE || want->kind == WANT_SHARED)
		note(&cw.now, waiters_of(want->lock), cw.mine, false);
}

void cells_ask_waiters(const struct lock *lock)
{
	if (cw.on)
		note(&cw.now, waiters_of(lock), cw.mine, true);
}

void cells_snapshot(void)
{
	if (cw.on)
		touch(&cw.now, SHARED_SECTIONS, true);
}

void cells_busy(void)
{
	if (cw.on)
		touch(&cw.now, SHARED_BUSY, false);
}

void cells_everything(void)
{
	if (!cw.on)
		return;
	memset(&cw.now, 0xff, sizeof(cw.now));
	cw.on = false; /* nor is looking at all of it an access like others */
}

void cells_decide(struct footprint *footprint)
{
	for (int i = 0; i < exec.nr_waiting; i++)
		note_ready(footprint, &exec.waiting[i]->want,
			   1u << exec.waiting[i]->task.index);
}

void cells_stop(const struct actor *actor, const struct lock *lock, struct footprint *footprint)
{
	if (lock)
		note(footprint, waiters_of(lock), 1u << actor->task.index, false);
}

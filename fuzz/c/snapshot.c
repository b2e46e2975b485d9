/* SPDX-License-Identifier: GPL-2.0-only */
/* Saving and restoring the state of a stepwise run: see snapshot.h. */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "cells.h"
#include "fingerprint.h"
#include "snapshot.h"

/* One record of the stack; after it come the parts whose size varies, in the order of parts(). */
struct record {
	size_t before; /* offset of the record below */
	u32 mark; /* in the log of cells */
	struct cell_sum sum;
	enum end end;
	u32 steps, nr_seen, busy;
	int nr_violations, nr_waiting;
	bool at_boundary;
	struct actor *waiting[TASKS_MAX], *now;
};

static struct {
	char *memory;
	size_t top, end, room; /* the uppermost record, where the next goes, all there is */
	struct arena_lanes *lanes;
} kept;

bool snapshots_possible(void)
{
#if defined(CONTEXT_ASAN) || (!defined(__x86_64__) && !defined(__aarch64__))
	return false; /* redzones; registers that libc saves on the heap */
#else
	return cells_possible();
#endif
}

void snapshots_reset(struct arena_lanes *lanes)
{
	kept.lanes = lanes;
	kept.top = SIZE_MAX;
	kept.end = 0;
}

/* Copy one part in or out; the record's place goes on behind it. */
static inline char *part(char *place, void *live, size_t size, bool out)
{
	if (out)
		memcpy(live, place, size);
	else
		memcpy(place, live, size);
	return place + size;
}

#define LEFTOVERS 1024 /* bytes of stack that one step uses, mostly */

/* What functions have left below a stack would be in the gaps of those that come next. */
static void clear_leftovers(const struct actor *actor)
{
	memset((char *)actor->context.sp - LEFTOVERS, 0, LEFTOVERS);
}

/* The parts of varying size.  Those that only grow along a run need no copy of what is there. */
static char *parts(char *place, u32 nr_seen, bool out)
{
	place = part(place, kept.lanes->used, kept.lanes->nr * sizeof(*kept.lanes->used), out);
	place = part(place, fingerprint_stacks(),
		     exec.nr_actors * sizeof(*fingerprint_stacks()), out);
	place = part(place, exec.actors, exec.nr_actors * sizeof(*exec.actors), out);
	for (int i = 0; i < exec.nr_actors; i++) {
		struct actor *actor = &exec.actors[i];
		size_t size;
		const char *stack = live_stack(actor, &size);

		place = part(place, (char *)stack, size, out);
		if (out)
			clear_leftovers(actor);
		place = part(place, exec.run.results[i],
			     actor->spec->nr_ops * sizeof(*exec.run.results[i]), out);
	}
	return part(place, exec.seen, nr_seen * sizeof(*exec.seen), out);
}

static size_t parts_size(void)
{
	size_t all = exec.nr_actors * (sizeof(*exec.actors) + sizeof(*fingerprint_stacks())) +
		     kept.lanes->nr * sizeof(*kept.lanes->used) +
		     exec.nr_seen * sizeof(*exec.seen);

	for (int i = 0; i < exec.nr_actors; i++) {
		size_t size;

		live_stack(&exec.actors[i], &size);
		all += size + exec.actors[i].spec->nr_ops * sizeof(*exec.run.results[i]);
	}
	return all;
}

static bool make_room(size_t size)
{
	char *more;

	if (kept.end + size <= kept.room)
		return true;
	more = realloc(kept.memory, 2 * (kept.end + size));
	if (!more)
		return false;
	kept.memory = more;
	kept.room = 2 * (kept.end + size);
	return true;
}

bool snapshot_push(void)
{
	struct record *record;
	char *end;

	if (!make_room(sizeof(*record) + parts_size() + sizeof(u64)))
		return false;
	record = (struct record *)(kept.memory + kept.end);
	record->before = kept.top;
	record->mark = cells_mark();
	record->sum = cells_sum;
	record->end = exec.run.end;
	record->steps = exec.run.steps;
	record->nr_seen = exec.nr_seen;
	record->busy = exec.kvm.busy;
	record->nr_violations = exec.run.nr_violations;
	record->nr_waiting = exec.nr_waiting;
	record->at_boundary = exec.at_boundary;
	record->now = exec.now;
	memcpy(record->waiting, exec.waiting, exec.nr_waiting * sizeof(*exec.waiting));
	end = parts((char *)(record + 1), exec.nr_seen, false);
	kept.top = kept.end;
	kept.end = (end - kept.memory + sizeof(u64) - 1) & ~(sizeof(u64) - 1);
	return true;
}

void snapshot_restore(void)
{
	struct record *record = (struct record *)(kept.memory + kept.top);

	cells_undo(record->mark);
	cells_sum = record->sum;
	exec.run.end = record->end;
	exec.run.steps = record->steps;
	exec.run.nr_violations = record->nr_violations;
	exec.kvm.busy = record->busy;
	exec.nr_seen = record->nr_seen;
	exec.nr_waiting = record->nr_waiting;
	exec.at_boundary = record->at_boundary;
	exec.now = record->now;
	memcpy(exec.waiting, record->waiting, record->nr_waiting * sizeof(*exec.waiting));
	parts((char *)(record + 1), record->nr_seen, true);
	fingerprint_back();
}

void snapshot_pop(void)
{
	struct record *record = (struct record *)(kept.memory + kept.top);

	kept.end = kept.top;
	kept.top = record->before;
}

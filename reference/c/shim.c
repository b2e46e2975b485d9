/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Locks, SRCU and wait queues of the step engine, with the checks that lockdep would make
 * (reference/primitives.py and srcu.py).
 */
#include <string.h>

#include "shim.h"

struct task *current;

void step_retry(struct label *label)
{
	step_want(label, &(struct want){ .kind = WANT_RETRY });
}

/*
 * Whether the lock is free now decides only how the step is taken, not what comes of it: that is no
 * access of the step before (fuzz/c/cells.h).
 */
#define NO_ACCESS __attribute__((no_sanitize("thread")))

NO_ACCESS void step_free(struct label *label, struct lock *lock)
{
	if (!lock->writer && !lock->nr_readers)
		step_ready(label, WANT_FREE, lock);
	else
		step_want(label, &(struct want){ .kind = WANT_FREE, .lock = lock });
}

NO_ACCESS void step_shared(struct label *label, struct lock *lock)
{
	if (!lock->writer)
		step_ready(label, WANT_SHARED, lock);
	else
		step_want(label, &(struct want){ .kind = WANT_SHARED, .lock = lock });
}

/* Report a lock taken against the ranks, or a sleeping one taken under a spinning one. */
static void check_order(const struct lock *lock)
{
	for (int i = 0; i < current->nr_held; i++) {
		const struct lock *held = current->held[i];

		if (held->rank < lock->rank)
			continue;
		/* The one inversion that the kernel itself has: error_folio under a folio lock. */
		if (held->rank == RANK_FOLIO && lock->rank == RANK_INVALIDATE)
			continue;
		report("lockdep", "%s>%s", held->name, lock->name);
	}
}

static void take(struct lock *lock)
{
	struct task *task = current;

	if (task->nr_held && task->held[task->nr_held - 1]->rank >= lock->rank)
		check_order(lock);
	if (task->nr_held == HELD_MAX)
		harness_error("%s holds more than %d locks", task->name, HELD_MAX);
	task->held[task->nr_held++] = lock;
}

static void drop(struct lock *lock)
{
	struct task *task = current;
	int i = 0;

	while (i < task->nr_held && task->held[i] != lock)
		i++;
	if (i == task->nr_held)
		return;
	task->nr_held--;
	memmove(task->held + i, task->held + i + 1, (task->nr_held - i) * sizeof(*task->held));
	task->held[task->nr_held] = NULL;
}

void __write_lock(struct lock *lock)
{
	if (lock->writer || lock->nr_readers)
		report("lockdep", "%s", lock->name);
	take(lock);
	lock->writer = current;
}

void __read_lock(struct lock *lock)
{
	if (lock->writer)
		report("lockdep", "%s", lock->name);
	take(lock);
	if (lock->nr_readers == TASKS_MAX)
		harness_error("%s has more than %d readers", lock->name, TASKS_MAX);
	lock->readers[lock->nr_readers++] = current->index;
}

void write_unlock(struct lock *lock)
{
	if (lock->writer != current) {
		report("lockdep", "%s", lock->name);
		return;
	}
	lock->writer = NULL;
	drop(lock);
}

void read_unlock(struct lock *lock)
{
	int i = 0;

	while (i < lock->nr_readers && lock->readers[i] != (uint8_t)current->index)
		i++;
	if (i == lock->nr_readers) {
		report("lockdep", "%s", lock->name);
		return;
	}
	lock->nr_readers--;
	memmove(lock->readers + i, lock->readers + i + 1, lock->nr_readers - i);
	lock->readers[lock->nr_readers] = 0;
	drop(lock);
}

void downgrade_write(struct lock *lock)
{
	lock->writer = NULL;
	lock->readers[lock->nr_readers++] = current->index;
}

void lockdep_assert_held_write(struct lock *lock)
{
	if (lock->writer != current)
		report("lockdep", "%s", lock->name);
}

void srcu_read_lock(struct srcu *srcu)
{
	if (current->srcu_depth++ == 0) {
		current->srcu_section = ++srcu->sections;
		srcu->readers[srcu->nr_readers++] = current;
	}
}

void srcu_read_unlock(struct srcu *srcu)
{
	int i = 0;

	if (current->srcu_depth == 0) {
		report("lockdep", "srcu");
		return;
	}
	if (--current->srcu_depth)
		return;
	while (srcu->readers[i] != current)
		i++;
	srcu->nr_readers--;
	memmove(srcu->readers + i, srcu->readers + i + 1,
		(srcu->nr_readers - i) * sizeof(*srcu->readers));
	srcu->readers[srcu->nr_readers] = NULL;
	current->srcu_section = 0;
}

void __synchronize_srcu(struct srcu *srcu, struct label *label)
{
	struct want want = { .kind = WANT_SRCU, .srcu = srcu };

	if (current->srcu_depth)
		report("lockdep", "srcu");
	for (int i = 0; i < srcu->nr_readers; i++) {
		want.snapshot[i] = srcu->readers[i];
		want.sections[i] = srcu->readers[i]->srcu_section;
	}
	want.nr_snapshot = srcu->nr_readers;
	step_want(label, &want);
}

void prepare_to_rcuwait(struct rcuwait *queue)
{
	if (queue->sleeper)
		report("warn", "rcuwait: a second waiter");
	queue->sleeper = current;
	queue->woken = false;
}

void __rcuwait_wait(struct rcuwait *queue, struct label *label)
{
	step_want(label, &(struct want){ .kind = WANT_WAKE_UP, .queue = queue });
}

void finish_rcuwait(struct rcuwait *queue)
{
	queue->sleeper = NULL;
}

void rcuwait_wake_up(struct rcuwait *queue)
{
	queue->woken = true;
}

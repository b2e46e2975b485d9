/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What stands in for the kernel around the port: tasks, steps, locks, SRCU, wait queues, and the
 * checks that lockdep would make.
 *
 * Model functions are plain C and run on stacks of their own.  Every primitive that takes a label
 * is a step boundary: any other task may run there, before the primitive does its work.  Labels
 * are those of the Python model (reference/primitives.py), so that a schedule means the same.
 *
 *   STEP("f.what")                          nothing is waited for
 *   RETRY("f.again")                        the task gives up its turn and tries again
 *   mutex_lock(&kvm->slots_lock, "f.lock")  runs on once the lock is free, then takes it
 *
 * The forms that begin with two underscores take no step: __write_lock(&lock) takes a lock that
 * the caller waited for itself, or knows to be free.
 */
#ifndef GMEMDIFF_SHIM_H
#define GMEMDIFF_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "containers.h"

/* A place at which a task can be stopped.  One per call site; equal names have equal ids. */
struct label {
	const char *name;
	uint32_t id;
	uint32_t hash; /* of the name: the same in every build */
};

#define LABEL(text)                                                                            \
	({                                                                                     \
		static struct label label_here                                                 \
			__attribute__((section("gmemdiff_labels"), used, aligned(16))) = {     \
				text, 0, 0                                                     \
			};                                                                     \
		&label_here;                                                                   \
	})

enum lock_rank {
	RANK_SLOTS = 10,
	RANK_SLOTS_ARCH = 20,
	RANK_GPC_REFRESH = 25,
	RANK_MMAP = 30,
	RANK_INVALIDATE = 40,
	RANK_FOLIO = 50,
	FIRST_SPINNING = 60,
	RANK_MN = 60,
	RANK_GPC_LIST = 65,
	RANK_GPC = 66,
	RANK_MMU = 70,
};

#define TASKS_MAX 16 /* actors of a program, and the setup task */
#define HELD_MAX 16 /* locks that one task holds */

/*
 * One kind of lock for both mutexes and reader-writer locks, with its owner for writing.  The
 * readers are kept in the order they came: reports name them so.
 */
struct lock {
	const char *name;
	struct task *writer;
	uint8_t rank;
	uint8_t nr_readers;
	uint8_t readers[TASKS_MAX]; /* indices of tasks */
};

#define LOCK_INIT(lock_name, lock_rank) ((struct lock){ .name = (lock_name), .rank = (lock_rank) })

struct task {
	const char *name;
	int index; /* -1: setup */
	int srcu_depth;
	uint32_t srcu_section; /* number of its section while srcu_depth > 0 */
	int notifier_depth; /* > 0 inside an HVA notifier callback */
	int nr_held;
	struct lock *held[HELD_MAX];
	struct vec task_work; /* struct gmem_file: files whose last reference this task dropped */
};

/* One SRCU domain.  readers: tasks inside a section, in the order they entered. */
struct srcu {
	uint32_t sections;
	int nr_readers;
	struct task *readers[TASKS_MAX];
};

/* A wait queue of at most one task, which runs on after a wake-up only (struct rcuwait). */
struct rcuwait {
	const char *name;
	struct task *sleeper;
	bool woken;
};

enum want_kind {
	WANT_NOTHING,
	WANT_RETRY,
	WANT_FREE, /* nobody has the lock in any way */
	WANT_SHARED, /* nobody has it for writing */
	WANT_SRCU, /* the readers of a snapshot have left */
	WANT_WAKE_UP,
	WANT_QUIET, /* no other task is inside an op: at most one bit of kvm->busy */
};

/* What a stopped task needs before it can run on. */
struct want {
	enum want_kind kind;
	struct lock *lock;
	struct rcuwait *queue;
	struct srcu *srcu;
	int nr_snapshot;
	struct task *snapshot[TASKS_MAX];
	uint32_t sections[TASKS_MAX];
};

/* The running task.  Set by the scheduler. */
extern struct task *current;
/* The name of a task by its index, as in struct lock; the scheduler (fuzz/c/) defines it. */
const char *task_name(int index);

/* The step boundaries that all others are made of; the scheduler (fuzz/c/) defines them. */
void step(struct label *label);
void step_want(struct label *label, const struct want *want);
/* The same for a lock that is free now: what is wanted matters only if the task is stopped here. */
void step_ready(struct label *label, enum want_kind kind, struct lock *lock);

/* A rule is broken; only the first report of each (rule, site) counts.  Copies the site. */
void report(const char *rule, const char *site, ...) __attribute__((format(printf, 2, 3)));

/* Our own code is wrong, or a limit of the port is met: ends the run.  Never a finding. */
void harness_error(const char *text, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Whether a task waits, with WANT_FREE or WANT_SHARED, for this lock; the scheduler knows. */
bool someone_waits_for(const struct lock *lock);

#define STEP(text) step(LABEL(text))
#define RETRY(text) step_retry(LABEL(text))
/* WantMutex, WantWrite, WantLock */
#define WANT_LOCK_FREE(lock, text) step_free(LABEL(text), (lock))
/* WantRead, WantShared */
#define WANT_LOCK_SHARED(lock, text) step_shared(LABEL(text), (lock))

void step_retry(struct label *label);
void step_free(struct label *label, struct lock *lock);
void step_shared(struct label *label, struct lock *lock);

#define mutex_lock(lock, text) (WANT_LOCK_FREE(lock, text), __write_lock(lock))
#define spin_lock(lock, text) mutex_lock(lock, text)
#define write_lock(lock, text) mutex_lock(lock, text)
#define read_lock(lock, text) (WANT_LOCK_SHARED(lock, text), __read_lock(lock))

void __write_lock(struct lock *lock);
void __read_lock(struct lock *lock);
void write_unlock(struct lock *lock); /* also of a mutex */
void read_unlock(struct lock *lock);
void downgrade_write(struct lock *lock);
void lockdep_assert_held_write(struct lock *lock);
#define mutex_unlock write_unlock
#define spin_unlock write_unlock

static inline bool lock_is_free(const struct lock *lock)
{
	return !lock->writer && !lock->nr_readers;
}

void srcu_read_lock(struct srcu *srcu);
void srcu_read_unlock(struct srcu *srcu);
#define synchronize_srcu(srcu, text) __synchronize_srcu((srcu), LABEL(text))
void __synchronize_srcu(struct srcu *srcu, struct label *label);

void prepare_to_rcuwait(struct rcuwait *queue);
#define rcuwait_wait(queue, text) __rcuwait_wait((queue), LABEL(text)) /* yield WantWakeUp */
void __rcuwait_wait(struct rcuwait *queue, struct label *label);
void finish_rcuwait(struct rcuwait *queue);
void rcuwait_wake_up(struct rcuwait *queue);

#define WARN_ON_SITE(site) report("warn", "%s", (site))

#endif

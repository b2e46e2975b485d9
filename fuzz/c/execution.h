/* SPDX-License-Identifier: GPL-2.0-only */
/* The scheduler's state and its parts, for those who drive a run step by step: execution.c. */
#ifndef GMEMDIFF_EXECUTION_H
#define GMEMDIFF_EXECUTION_H

#include "context.h"
#include "program.h"

#define STACK_SIZE (128u << 10)
#define SEEN_MAX 4096
#define LABELS_MAX 512 /* that a strategy can stop at, and that can be logged */
#define PASSED_MAX 1024 /* boundaries of a run that are remembered; programs to fuzz are small */

struct actor {
	struct task task;
	struct context context;
	const struct actor_spec *spec;
	struct kvm_vcpu *vcpu;
	int op; /* that runs, or comes next */
	bool begun; /* it runs */
	bool ended; /* it has just ended */
	bool counted_begin; /* its "begin" was come to, where that is looked at */
	u32 visit; /* tells apart what was come to in this op */
	u64 stops; /* labels at which the schedule may stop its op: a bit for each, modulo 64 */
	struct label *label; /* of the step that comes next */
	bool waits;
	struct want want;
	u32 retries;
};

struct execution {
	struct program *program;
	struct run run;
	struct kvm kvm;
	struct actor setup, actors[ACTORS_MAX];
	int nr_actors;
	struct actor *now;
	struct actor *target; /* whom a preemption lets run, or NULL */
	struct actor *waiting[TASKS_MAX]; /* in the order they began to wait */
	int nr_waiting;
	struct context scheduler;
	recorder_t recorder;
	u64 seen[SEEN_MAX]; /* states in which somebody tried again */
	u32 nr_seen;
	char *stacks;
	bool watched; /* somebody wants to know of each step: a recorder, or the log */
	bool logging;
	u32 logs; /* of boundaries, so far */
	u32 nr_passed;
	struct boundary passed[PASSED_MAX];
	struct strategy *strategy; /* that decides, or NULL: the schedule */
	struct actor *chosen; /* by the strategy, for the turn that comes */
	u32 nr_switches;
	struct chosen_point switches[SWITCHES_MAX];
	u32 visits;
	struct { u32 visit, count; } came[ACTORS_MAX][LABELS_MAX]; /* how often an op to a label */
	bool logging_steps;
	struct taken_step taken[STEPS_MAX + OPS_MAX + 2];
	bool stepwise; /* whoever drives is asked at each boundary (exhaustive.c) */
	bool at_boundary, preempt; /* an actor asks; the answer */
	struct lock *at_lock; /* whom it would wait for, if it were preempted there, or NULL */
};

extern struct execution exec;

/* Begin a run of a program; run its setup alone; give it its end when nobody goes on. */
void run_init(struct program *program);
void run_setup(void);
void run_ends(void);

/* Whether an actor has something to do, and need not wait for it. */
bool runnable(const struct actor *actor);
/* The next actor in turn that can run; the one at `index` comes last. */
struct actor *next_after(int index);
/* The actors that have ops left, and how many these are. */
int unfinished(struct actor **left, bool with_setup);
/* Nothing goes on: ends the run, and says who is where. */
void stuck(enum end end, struct actor **actors, int n);

/* After run_setup(): turns are given one by one, by turn_stepwise(). */
void drive_stepwise(void);

/*
 * Let one actor go on.  True: it is about to take a step
 * where it can be preempted, and the next call must be for the same actor; `preempt` is then the
 * answer.  False: its turn is over.
 */
bool turn_stepwise(struct actor *actor, bool preempt);

#endif

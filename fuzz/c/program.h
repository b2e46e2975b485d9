/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A program made ready to run, and what a run of it leaves (fuzz/vocabulary.py,
 * fuzz/execution.py).
 */
#ifndef GMEMDIFF_PROGRAM_H
#define GMEMDIFF_PROGRAM_H

#include "kvm_host.h"
#include "ops.h"

#define ACTORS_MAX (TASKS_MAX - 1)
#define OPS_MAX 128 /* of one actor, or of setup */
#define POINTS_MAX 320
#define SWITCHES_MAX 256 /* that a strategy makes in a run; then actors take turns */
#define VIOLATIONS_MAX 64
#define SITE_MAX 120
#define STEPS_MAX 20000
#define NAME_MAX_ 16

enum actor_kind { ACTOR_VMM, ACTOR_VCPU, ACTOR_KTHREAD, ACTOR_SETUP };

/* One preemption of the schedule: at the occurrence-th time that an op comes to a label. */
struct point {
	int actor, op;
	u32 label;
	u32 occurrence;
	int to; /* actor */
	u32 count; /* how often the op has come to the label, in this run */
	int next; /* another point of the same op, or -1 */
};

struct actor_spec {
	enum actor_kind kind;
	int number;
	char name[NAME_MAX_];
	int nr_ops;
	struct op ops[OPS_MAX];
	int points[OPS_MAX]; /* first point of each op, or -1 */
};

struct program {
	struct features features;
	bool x86, shadow_paging, sw_protected, survival_promised;
	int nr_vcpus;
	s64 frames_max;
	struct actor_spec setup;
	int nr_actors;
	struct actor_spec actors[ACTORS_MAX];
	int nr_points;
	struct point points[POINTS_MAX];
};

enum end { END_FINISHED, END_DEADLOCK, END_LIVELOCK, END_BUDGET, END_HARNESS };

/* A broken rule, and where in the run that was. */
struct violation {
	const char *rule;
	char site[SITE_MAX];
	u32 step;
	int actor, op; /* actor -1: setup */
	const char *label;
};

struct op_result {
	bool ended;
	result_t value;
	const char *text; /* of RESULT_TEXT */
};

/* A step, as runs of two builds can be compared. */
struct passed_step {
	u64 path; /* a hash of all steps up to this one, and of who took them */
	u32 what; /* a hash of this one's label */
};

struct run {
	struct kvm *kvm;
	enum end end;
	u32 steps;
	const struct passed_step *trail; /* of all steps */
	struct op_result setup_results[OPS_MAX];
	struct op_result results[ACTORS_MAX][OPS_MAX];
	int nr_taken, nr_void;
	int taken[POINTS_MAX], voided[POINTS_MAX]; /* indices of points, in the order they were met */
	int nr_violations;
	struct violation violations[VIOLATIONS_MAX];
	char site[4 * SITE_MAX]; /* labels of those who are stuck */
	char error[256]; /* of END_HARNESS */
};

/*
 * Read a program from words (the layout is that of fuzz/port/encode.py).  Returns NULL, or what
 * is wrong: a limit of the port that the program is beyond.
 */
const char *program_read(struct program *program, const u64 *words, size_t n);

/* Called after every step of a run, when somebody listens. */
typedef void (*recorder_t)(struct kvm *kvm, const char *actor, int op, const char *label);

/* Run a program.  The run and the model's state are good until the next call. */
struct run *execute(struct program *program, recorder_t recorder);

/*
 * The same for a program of which only the schedule has changed since the last execute(): starts
 * from what its setup left.
 */
struct run *execute_again(struct program *program);

/* A step that was taken, and how many preemptions had been by then. */
struct taken_step {
	int32_t actor, op;
	u32 label, taken;
};

/* Keep the steps of the runs that follow, or not; the last run's, in order. */
void log_steps(bool on);
const struct taken_step *steps_taken(u32 *n);

/* A step that a run came to, where it can be preempted. */
struct boundary {
	int actor, op;
	u32 label, occurrence;
};

/* Keep the boundaries of the runs that execute() does, or not; the last one's, in order. */
void log_boundaries(bool on);
const struct boundary *boundaries_passed(u32 *n);

/* A preemption, to be made or made. */
struct chosen_point {
	struct boundary at;
	int to;
};

struct strategy;

/*
 * Let a strategy decide who goes on in the runs that follow, instead of the program's schedule;
 * NULL: the schedule again.
 */
void drive(struct strategy *strategy);

/* The schedule under which a program does what the last run under a strategy did. */
const struct chosen_point *switches_made(u32 *n);

/* The id of a label, or UINT32_MAX when no step of the port has that name. */
u32 label_id(const char *name);
u32 nr_labels(void);
const char *label_name(u32 id);
u32 label_hash(u32 id); /* of the name; never 0 for a label that there is */

#endif

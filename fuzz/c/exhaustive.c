/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stateful bounded search: depth first over all schedules with at most K preemptions (iterative
 * context bounding, Musuvathi and Qadeer, 2007), where what was explored is known again by its
 * state and not by its schedule.
 *
 * A run stops at each boundary.  Whenever preemptions are left and somebody else could run, the
 * state is kept; the run first goes on as if nothing had happened, to its end, and then comes back
 * to every state that was kept, the last one first, with each of the others in turn.  Going back
 * is a copy (snapshot.h).  A state that was explored before with as many preemptions left has
 * nothing new to show: it stands for its whole future, and for each of the runs that led to it.
 */
#include <string.h>

#include "arena.h"
#include "exhaustive.h"
#include "explore.h"
#include "marks.h"
#include "reached.h"
#include "snapshot.h"

#define EXPORT __attribute__((visibility("default")))
#define FORKS_MAX (STEPS_MAX + 64)
#define TRAIL_MAX (1u << 20)

/* A kept state, and what is still to be tried from it. */
struct fork {
	struct actor *actor; /* that can be preempted there */
	u32 others; /* one bit for each actor that is still to be let in */
	u32 left; /* preemptions, before this one */
	u32 nr_passed; /* boundaries of the path so far */
	u32 trail; /* states of the path so far */
	struct counts counts; /* of what was tried */
};

/* A preemption of the path: where in `passed`, and who goes on. */
struct taken {
	u32 passed;
	int to;
};

static struct {
	bool running;
	struct program *program;
	struct exhausted result;
	struct actor *actor; /* whose turn begins, or goes on; NULL: nobody can run */
	bool inside; /* it is at a boundary and was let go on */
	bool chosen; /* its turn comes because somebody was preempted for it */
	u32 left; /* preemptions */
	u32 begin, resume; /* labels of what is no step of an op */
	u64 units_skipped;
	struct fork forks[FORKS_MAX];
	u32 nr_forks;
	struct boundary passed[FORKS_MAX]; /* of the path; their occurrence is not known yet */
	u32 nr_passed;
	struct taken taken[PREEMPTIONS_MAX];
	u32 nr_taken;
	struct { struct fingerprint state; u32 left; } trail[TRAIL_MAX]; /* states of the path */
	u32 nr_trail;
} ex;

/* The schedule that led here. */
static void witness(struct witness *witness)
{
	witness->nr_points = ex.nr_taken;
	for (u32 i = 0; i < ex.nr_taken; i++) {
		struct boundary at = ex.passed[ex.taken[i].passed];

		at.occurrence = 1;
		for (u32 j = 0; j < ex.taken[i].passed; j++) {
			const struct boundary *b = &ex.passed[j];

			at.occurrence += b->actor == at.actor && b->op == at.op &&
					 b->label == at.label;
		}
		witness->points[i] = (struct chosen_point){ at, ex.taken[i].to };
	}
}

/* Nobody goes on: keep what came of it. */
static void path_ends(void)
{
	struct witness schedule;

	run_ends();
	if (exec.run.end == END_HARNESS) {
		ex.result.progress = PROGRESS_FAILED;
		ex.result.error = exec.run.error;
		return;
	}
	ex.result.runs++;
	ex.result.budget_ends += exec.run.end == END_BUDGET;
	witness(&schedule);
	if (!reached_note(&schedule))
		ex.result.progress = PROGRESS_TOO_MANY;
}

/* The path has come to an end, or to a known state: tell the states that led there. */
static void settle(const struct counts *counts, u32 trail)
{
	while (ex.nr_trail > trail) {
		ex.nr_trail--;
		visited_done(ex.trail[ex.nr_trail].state, ex.trail[ex.nr_trail].left, counts);
	}
}

/* True: the state was not explored yet with so many preemptions left.  False: *counts of it. */
static bool meet(struct counts *counts)
{
	/* Where somebody was just chosen, nobody else is; without preemptions that is always so. */
	struct fingerprint state = fingerprint_state(ex.actor, ex.chosen && ex.left);
	enum visit visit = visited_meet(state, ex.left, counts);

	ex.result.met++;
	if (visit == VISIT_KNOWN)
		return false;
	if (visit == VISIT_FULL || ex.nr_trail == TRAIL_MAX) {
		ex.result.progress = PROGRESS_NO_MEMORY;
		return true;
	}
	ex.trail[ex.nr_trail].state = state;
	ex.trail[ex.nr_trail++].left = ex.left;
	return true;
}

/* Who else could run now. */
static u32 others(const struct actor *actor)
{
	u32 found = 0;

	for (int i = 0; i < exec.nr_actors; i++)
		if (&exec.actors[i] != actor && runnable(&exec.actors[i]))
			found |= 1u << i;
	return found;
}

/* Keep the state, to come back with each of the others. */
static void keep(u32 who)
{
	struct fork *fork = &ex.forks[ex.nr_forks];

	if (ex.nr_forks == FORKS_MAX || !snapshot_push()) {
		ex.result.progress = PROGRESS_NO_MEMORY;
		return;
	}
	ex.nr_forks++;
	*fork = (struct fork){ .actor = ex.actor, .others = who, .left = ex.left,
			       .nr_passed = ex.nr_passed, .trail = ex.nr_trail };
}

static void pass(const struct actor *actor, u32 label)
{
	if (ex.nr_passed < FORKS_MAX)
		ex.passed[ex.nr_passed++] =
			(struct boundary){ actor->task.index, actor->op, label, 0 };
}

/* A turn comes.  False: its state is known; *counts of it. */
static bool turn_comes(struct actor *actor, struct counts *counts)
{
	bool begins = !actor->begun && !actor->counted_begin;
	u32 who = ex.left && !ex.chosen ? others(actor) : 0;

	if (!meet(counts))
		return false;
	actor->counted_begin = true;
	pass(actor, begins ? ex.begin : ex.resume);
	if (who)
		keep(who);
	return true;
}

/* One go of an actor, from a boundary to the next.  False: the path is done with; *counts of it. */
static bool advance(struct counts *counts)
{
	struct actor *actor = ex.actor;
	u32 steps = exec.run.steps, who;

	if (!actor)
		goto ended;
	if (!ex.inside && !turn_comes(actor, counts))
		return false;
	ex.chosen = false;
	ex.inside = turn_stepwise(actor, false);
	ex.result.steps += exec.run.steps - steps;
	if (exec.run.end != END_FINISHED)
		goto ended;
	if (!ex.inside) {
		ex.actor = next_after(actor->task.index);
		return true;
	}
	pass(actor, actor->label->id);
	if (ex.left && (who = others(actor))) {
		if (!meet(counts))
			return false;
		keep(who);
	}
	return true;
ended:
	path_ends();
	for (u32 i = 0; i <= ex.left; i++)
		counts->of[i] = 1;
	return false;
}

/* Back to the last kept state from which somebody is still to be let in.  False: none is left. */
static bool back(struct counts *counts)
{
	while (ex.nr_forks) {
		struct fork *fork = &ex.forks[ex.nr_forks - 1];
		bool first = fork->left == ex.result.preemptions;
		int to;

		settle(counts, fork->trail);
		if (ex.left == fork->left) /* it went on by itself */
			for (u32 i = 0; i <= fork->left; i++)
				fork->counts.of[i] += counts->of[i];
		else
			for (u32 i = 1; i <= fork->left; i++)
				fork->counts.of[i] += counts->of[i - 1];
		if (first && ex.left != fork->left)
			ex.result.units++;
		while (first && fork->others && ex.result.units < ex.units_skipped) {
			fork->others &= fork->others - 1;
			ex.result.units++;
		}
		if (!fork->others) {
			*counts = fork->counts;
			ex.left = fork->left;
			ex.nr_forks--;
			snapshot_pop();
			continue;
		}
		to = __builtin_ctz(fork->others);
		fork->others &= fork->others - 1;
		snapshot_restore();
		ex.nr_passed = fork->nr_passed;
		ex.left = fork->left - 1;
		ex.nr_taken = ex.result.preemptions - ex.left;
		ex.taken[ex.nr_taken - 1] = (struct taken){ ex.nr_passed - 1, to };
		if (exec.at_boundary)
			turn_stepwise(fork->actor, true);
		exec.nr_seen = 0; /* a state from before a preemption cannot come back */
		ex.actor = &exec.actors[to];
		ex.inside = false;
		ex.chosen = true;
		return true;
	}
	settle(counts, 0);
	ex.result.schedules = counts->of[ex.result.preemptions];
	return false;
}

/*
 * Explore the program that was read last.  preemptions: the bound.  bytes_max: of the table of
 * states.  units: how many first preemptions an earlier, interrupted call was done with.  Returns
 * NULL, or why not.
 */
EXPORT const char *gmemdiff_exhaust_begin(u32 preemptions, u64 bytes_max, u64 units)
{
	if (!snapshots_possible())
		return "this build of the C port cannot go back to a state (a sanitizer, or a "
		       "processor other than x86-64 and arm64)";
	if (preemptions > PREEMPTIONS_MAX)
		return "more preemptions than the C port takes";
	if (!reached_begin() || !visited_begin(preemptions, bytes_max))
		return "no memory";
	memset(&ex.result, 0, sizeof(ex.result));
	ex.program = gmemdiff_side()->program();
	ex.result.preemptions = ex.left = preemptions;
	ex.units_skipped = units;
	ex.nr_forks = ex.nr_passed = ex.nr_taken = ex.nr_trail = 0;
	ex.inside = ex.chosen = false;
	ex.begin = label_id("begin");
	ex.resume = label_id("resume");
	for (int i = 0; i < ex.program->nr_points; i++) {
		const struct point *point = &ex.program->points[i];

		ex.program->actors[point->actor].points[point->op] = -1;
	}
	ex.program->nr_points = 0;
	arena_mark_objects(true);
	exec.recorder = NULL;
	run_init(ex.program);
	fingerprint_begin(ex.program);
	snapshots_reset();
	run_setup();
	drive_stepwise();
	ex.actor = exec.run.end == END_FINISHED && exec.nr_actors ? next_after(-1) : NULL;
	ex.running = true;
	return NULL;
}

/* Go on for about so many steps.  The result is good until the next call. */
EXPORT const struct exhausted *gmemdiff_exhaust(u64 steps)
{
	struct exhausted *result = &ex.result;
	u64 until = result->met + result->steps + steps;
	struct counts counts;

	while (ex.running && result->met + result->steps < until) {
		if (advance(&counts) && !result->progress)
			continue;
		if (!result->progress && !back(&counts))
			result->progress = PROGRESS_COMPLETE;
		ex.running = !result->progress;
	}
	if (!ex.running) {
		arena_mark_objects(false);
		exec.stepwise = exec.at_boundary = false;
	}
	result->acted = patch_marks == MARKS_MISSING || patch_acted;
	result->states = visited_states();
	result->table_bytes = visited_bytes();
	result->reachable = reached_outcomes(&result->nr_reachable);
	result->breakable = reached_rules(&result->nr_breakable);
	return result;
}

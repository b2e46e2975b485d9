/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stateful bounded search: depth first over all schedules with at most K preemptions (iterative
 * context bounding, Musuvathi and Qadeer, 2007), where what was explored is known again by its
 * state and not by its schedule, with a partial-order reduction (reduction.c).
 *
 * A run stops at each boundary.  Whenever preemptions are left and somebody else could run, the
 * state is kept; the run first goes on as if nothing had happened, to its end, and then comes back
 * to every state that was kept, the last one first, with each of the others in turn.  Going back
 * is a copy (snapshot.h).  A state that was explored before with as many preemptions left has
 * nothing new to show: it stands for its whole future, and for each of the runs that led to it.
 */
#include <string.h>

#include "exhaustive.h"
#include "explore.h"
#include "marks.h"
#include "nodes.h"
#include "snapshot.h"

#define EXPORT __attribute__((visibility("default")))

struct exploration ex;

/* A turn comes.  False: its state is known. */
static bool turn_comes(struct actor *actor)
{
	bool begins = !actor->begun && !actor->counted_begin;

	actor->counted_begin = true;
	pass(actor, begins ? ex.begin : ex.resume);
	return meet(ex.left && !ex.chosen ? others(actor) : 0);
}

/* One go of an actor, from a boundary to the next.  False: the path is done with. */
static bool advance(void)
{
	struct actor *actor = ex.actor;
	u32 steps = exec.run.steps, who;
	struct node *node;

	if (!actor)
		goto ended;
	if (!ex.inside && !turn_comes(actor))
		return false;
	if (ex.result.progress)
		return false;
	ex.chosen = false;
	node = top();
	if (!node->steps++)
		cells_open(actor);
	ex.inside = turn_stepwise(actor, false);
	fingerprint_ran(actor);
	ex.result.steps += exec.run.steps - steps;
	if (exec.run.end != END_FINISHED)
		goto ended;
	cells_decide(&node->decided);
	node->came = came_to(node);
	if (!ex.inside) {
		ex.actor = next_after(actor->task.index);
		return true;
	}
	pass(actor, actor->label->id);
	return !ex.left || !(who = others(actor)) || meet(who);
ended:
	if (ex.nr_nodes) {
		node = top();
		node->came = CAME_TO_NOTHING;
		steps_end(node);
		if (exec.run.end != END_FINISHED)
			memset(&node->did, 0xff, sizeof(node->did));
	}
	path_ends();
	ex.child.actor = NULL;
	for (u32 i = 0; i <= ex.left; i++)
		ex.child.found.counts.of[i] = 1;
	return false;
}

/* Count the schedules of what was just done with. */
static void count_in(struct node *node, const struct counts *counts)
{
	u32 more = node->went; /* preemptions, that this took */

	for (u32 i = more; i <= node->left; i++)
		node->counts.of[i] += counts->of[i - more];
}

/* Bring the top node's state back, and let the next of the others in. */
static void let_in(struct node *node)
{
	int to = __builtin_ctz(node->others);
	struct footprint stop;

	node->others &= node->others - 1;
	node->trying = to;
	ex.result.let_in++;
	snapshot_restore();
	ex.nr_passed = node->nr_passed;
	ex.left = node->left - 1;
	ex.nr_taken = ex.bound - ex.left;
	ex.taken[ex.nr_taken - 1] = (struct taken){ ex.nr_passed - 1, to };
	if (exec.at_boundary) {
		cells_open(node->actor);
		turn_stepwise(node->actor, true);
		cells_close(&stop);
		fingerprint_ran(node->actor);
	}
	exec.nr_seen = 0; /* a state from before a preemption cannot come back */
	ex.actor = &exec.actors[to];
	ex.inside = false;
	ex.chosen = true;
}

/* An earlier session was done with the first preemptions of the path. */
static void skip_units(struct node *node)
{
	while (node->others && ex.result.units < ex.units_skipped) {
		node->others &= node->others - 1;
		node->partly = true;
		ex.result.units++;
	}
}

/* Back to the last kept state from which somebody is still to be let in.  False: none is left. */
static bool back(void)
{
	while (ex.nr_nodes) {
		struct node *node = top();
		bool first = is_first(node);

		take_in(node, &ex.child);
		count_in(node, &ex.child.found.counts);
		if (first && node->went)
			ex.result.units++;
		if (first)
			skip_units(node);
		if (!node->went && node->others && ex.reduced && node->came)
			leave_out(node, &ex.child);
		node->went = true;
		if (node->others) {
			let_in(node);
			return true;
		}
		if (first) /* not before: the ones that are tried are counted from the lowest up */
			ex.result.units += node->nr_left_out;
		settle(node);
	}
	ex.result.schedules = ex.child.found.counts.of[ex.bound];
	return false;
}

EXPORT void gmemdiff_exhaust_check(bool on)
{
	ex.checked = on;
}

/* Begin anew, within a bound.  again: the same program.  Returns NULL, or why not. */
static const char *start(u32 bound, bool again)
{
	struct arena_lanes *lanes = arena_lanes_begin(ex.program->nr_actors + 1);
	u32 sets;

	ex.lanes = lanes;
	ex.bound = ex.left = bound;
	ex.result.units = 0;
	ex.nr = ex.reduced ? ex.program->nr_actors : 0;
	ex.nr_nodes = ex.nr_passed = ex.nr_taken = 0;
	ex.inside = ex.chosen = false;
	ex.child.found.sets = ex.child_sets;
	sets = 2 * ex.nr;
	if (!lanes || !visited_begin(bound, sets, ex.bytes_max))
		return "no memory";
	current = NULL;
	exec.recorder = NULL;
	run_init(ex.program);
	run_setup();
	drive_stepwise();
	fingerprint_begin(lanes);
	snapshots_reset(lanes);
	cells_begin(lanes, ex.program, again);
	ex.actor = exec.run.end == END_FINISHED && exec.nr_actors ? next_after(-1) : NULL;
	ex.running = true;
	return NULL;
}

/*
 * Explore the program that was read last.  preemptions: the bound.  bytes_max: of the table of
 * states.  units: how many first preemptions an earlier, interrupted call was done with.  reduced:
 * leave out what is known to show nothing.  Returns NULL, or why not.
 */
EXPORT const char *gmemdiff_exhaust_begin(u32 preemptions, u64 bytes_max, u64 units, bool reduced)
{
	if (!snapshots_possible())
		return "this build of the C port cannot go back to a state (a sanitizer, or a "
		       "processor other than x86-64 and arm64)";
	if (preemptions > PREEMPTIONS_MAX)
		return "more preemptions than the C port takes";
	if (!reached_begin())
		return "no memory";
	memset(&ex.result, 0, sizeof(ex.result));
	ex.program = gmemdiff_side()->program();
	ex.reduced = reduced;
	ex.units_skipped = units;
	ex.result.preemptions = preemptions;
	ex.bytes_max = bytes_max;
	ex.begin = label_id("begin");
	ex.resume = label_id("resume");
	for (int i = 0; i < ex.program->nr_points; i++) {
		const struct point *point = &ex.program->points[i];

		ex.program->actors[point->actor].points[point->op] = -1;
	}
	ex.program->nr_points = 0;
	ex.learning = reduced && preemptions;
	return start(ex.learning ? preemptions > 1 : preemptions, false);
}

/* The search within the bound is complete.  True: it was the one that learns only. */
static bool learnt(void)
{
	if (!ex.learning)
		return false;
	ex.learning = false;
	ex.result.runs = ex.result.budget_ends = ex.result.let_in = ex.result.left_out = 0;
	if (start(ex.result.preemptions, true))
		ex.result.progress = PROGRESS_NO_MEMORY;
	return true;
}

/* Go on for about so many steps.  The result is good until the next call. */
EXPORT const struct exhausted *gmemdiff_exhaust(u64 steps)
{
	struct exhausted *result = &ex.result;
	u64 until = result->met + result->steps + steps;

	while (ex.running && result->met + result->steps < until) {
		if (advance() && !result->progress)
			continue;
		if (!result->progress && !back() && !learnt())
			result->progress = PROGRESS_COMPLETE;
		ex.running = !result->progress;
	}
	if (!ex.running) {
		cells_end();
		arena_lanes_end();
		exec.stepwise = exec.at_boundary = false;
	}
	result->acted = patch_marks == MARKS_MISSING || patch_acted;
	result->states = visited_states();
	result->table_bytes = visited_bytes();
	result->reachable = reached_outcomes(&result->nr_reachable);
	result->breakable = reached_rules(&result->nr_breakable);
	return result;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* Coming to states, and leaving them behind: see nodes.h. */
#include <stdlib.h>
#include <string.h>

#include "nodes.h"
#include "reached.h"
#include "snapshot.h"

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

void path_ends(void)
{
	struct witness schedule;

	run_ends();
	if (exec.run.end == END_HARNESS) {
		ex.result.progress = ex.lanes->full ? PROGRESS_NO_MEMORY : PROGRESS_FAILED;
		ex.result.error = exec.run.error;
		return;
	}
	ex.result.runs++;
	ex.result.budget_ends += exec.run.end == END_BUDGET;
	witness(&schedule);
	if (!reached_note(&schedule))
		ex.result.progress = PROGRESS_TOO_MANY;
}

static bool more_nodes(void)
{
	u32 room = ex.room ? 2 * ex.room : 256;
	struct node *nodes = realloc(ex.nodes, room * sizeof(*nodes));
	struct footprint *sets;

	if (!nodes)
		return false;
	ex.nodes = nodes;
	sets = realloc(ex.sets, (size_t)room * 2 * ACTORS_MAX * sizeof(*sets));
	if (!sets)
		return false;
	ex.sets = sets;
	ex.room = room;
	return true;
}

u32 others(const struct actor *actor)
{
	u32 found = 0;

	for (int i = 0; i < exec.nr_actors; i++)
		if (&exec.actors[i] != actor && runnable(&exec.actors[i]))
			found |= 1u << i;
	return found;
}

static struct lock *lock_waited_for(const struct actor *actor)
{
	if (ex.inside)
		return exec.at_lock;
	return actor->waits ? actor->want.lock : NULL;
}

/* For tests: whether the sum that is kept up to date is that of the cells. */
static bool cells_agree(void)
{
	struct cell_sum sum = cells_count();

	return sum.a == cells_sum.a && sum.b == cells_sum.b;
}

void steps_end(struct node *node)
{
	if (node->steps && !node->went)
		cells_close(&node->did);
}

/* Look the state up.  False: it is known, and ex.child.found. */
static bool look_up(u32 *number)
{
	enum visit visit;

	ex.result.met++;
	if (ex.checked && !cells_agree()) {
		ex.result.progress = PROGRESS_FAILED;
		ex.result.error = "a write to the VM's memory was missed";
		return true;
	}
	visit = visited_meet(fingerprint_state(ex.actor), ex.left, &ex.child.found, number);
	if (visit == VISIT_FULL)
		ex.result.progress = PROGRESS_NO_MEMORY;
	return visit != VISIT_KNOWN;
}

bool meet(u32 who)
{
	struct lock *at_lock = lock_waited_for(ex.actor);
	u32 targets = who | 1u << ex.actor->task.index;
	u32 number = 0;
	struct node *node;

	if (ex.nr_nodes)
		steps_end(top());
	if (!ex.chosen && !look_up(&number)) {
		ex.child.actor = ex.actor;
		ex.child.inside = ex.inside;
		ex.child.targets = targets;
		ex.child.at_lock = at_lock;
		return false;
	}
	if (ex.nr_nodes == ex.room && !more_nodes())
		ex.result.progress = PROGRESS_NO_MEMORY;
	if (ex.result.progress)
		return true;
	node = &ex.nodes[ex.nr_nodes++];
	memset(node, 0, sizeof(*node));
	memset(until_of(node), 0, 2 * ex.nr * sizeof(struct footprint));
	node->listed = !ex.chosen;
	node->number = number;
	node->actor = ex.actor;
	node->inside = ex.inside;
	node->targets = targets;
	node->others = who;
	node->left = ex.left;
	node->nr_passed = ex.nr_passed;
	node->shared = cells_shared();
	node->at_lock = at_lock;
	if (who && !snapshot_push())
		ex.result.progress = PROGRESS_NO_MEMORY;
	node->kept = who;
	return true;
}

void pass(const struct actor *actor, u32 label)
{
	if (ex.nr_passed < PASSED_ALL)
		ex.passed[ex.nr_passed++] =
			(struct boundary){ actor->task.index, actor->op, label, 0 };
}

void settle(struct node *node)
{
	struct child *child = &ex.child;
	struct footprint *until = until_of(node), *let_in = let_in_of(node);
	u32 nr = ex.nr;

	for (u32 i = 0; i < nr; i++) {
		if (node->partly)
			memset(&until[i], 0xff, sizeof(until[i]));
		footprint_add(&until[node->actor->task.index], &let_in[i]);
	}
	child->actor = node->actor;
	child->inside = node->inside;
	child->targets = node->targets;
	child->at_lock = node->at_lock;
	child->found.counts = node->counts;
	child->found.known = node->known;
	memcpy(child->found.sets, until, 2 * nr * sizeof(*until));
	if (node->listed)
		visited_done(node->number, node->left, &child->found);
	if (node->kept)
		snapshot_pop();
	ex.nr_nodes--;
}

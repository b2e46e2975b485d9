/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reduction of a search: what is known to show nothing is left out.
 *
 * An actor A could be preempted for B before a step s.  Preempting it for B after s takes as many
 * preemptions, and was explored already.  If s commutes with all that is done from there until A
 * takes its next step, then that has the same futures, and A need not be preempted before s: any
 * schedule that does so can be turned into one that does so later, step by step, with the same end
 * and no more preemptions.  (Where A was let in by a preemption only to take s, and is preempted
 * again, the other one is let in at once.)  So it is at the last step of all of A's ops, when s
 * commutes with all that follows.  And where A is about to wait, preempting it is as good as
 * letting it wait, and preempting whoever comes next.
 *
 * For that, each state has a footprint for each actor: what is read and written from there on
 * before that actor takes its next step (`until`); and for each of the others that its own actor
 * could be preempted for, what is done before it goes on (`let_in`).  They are those of the whole
 * tree, without the reduction: what is left out hands in those of what stands for it.
 */
#include <string.h>

#include "nodes.h"

enum came came_to(const struct node *node)
{
	const struct actor *actor = node->actor;

	if (ex.inside)
		return CAME_TO_BOUNDARY;
	if (actor->op == actor->spec->nr_ops)
		return CAME_TO_END;
	if (node->inside && node->steps == 1 && actor->waits)
		return CAME_TO_WAIT;
	return CAME_TO_NOTHING;
}

/* What has turned out to be shared since the node began may be anywhere in its footprints. */
static void bring_up_to_date(struct node *node)
{
	if (node->shared == cells_shared())
		return;
	for (u32 i = 0; i < 2 * ex.nr; i++)
		footprint_assume(&until_of(node)[i], node->shared);
	footprint_assume(&node->did, node->shared);
	footprint_assume(&node->decided, node->shared);
	node->shared = cells_shared();
}

void leave_out(struct node *node, const struct child *child)
{
	enum came came = node->came;
	int me = node->actor->task.index;
	struct footprint *until = until_of(node), *let_in = let_in_of(node);
	struct footprint moved = node->did, stop = { 0 };

	cells_stop(node->actor, node->at_lock, &stop);
	footprint_add(&moved, &stop);
	if (came == CAME_TO_BOUNDARY)
		cells_stop(node->actor, child->at_lock, &moved);
	for (u32 left = node->others; left; left &= left - 1) {
		int to = __builtin_ctz(left);
		const struct footprint *meanwhile = &child->found.sets[me];

		if (came == CAME_TO_BOUNDARY) {
			if (!(child->found.known >> to & 1))
				continue;
			meanwhile = &child->found.sets[ex.nr + to];
		} else if (!(child->targets >> to & 1)) {
			continue;
		}
		if (came != CAME_TO_WAIT && footprints_conflict(&moved, meanwhile))
			continue;
		node->others &= ~(1u << to);
		node->known |= 1u << to;
		let_in[to] = *meanwhile;
		for (u32 i = 0; i < ex.nr; i++)
			footprint_add(&until[i], &stop);
		ex.result.left_out++;
		node->nr_left_out++;
	}
}

void take_in(struct node *node, const struct child *child)
{
	int me = node->actor->task.index;
	struct footprint *until = until_of(node), before = node->did;

	bring_up_to_date(node);
	footprint_add(&before, &node->decided);
	if (node->went) {
		memset(&before, 0, sizeof(before));
		cells_stop(node->actor, node->at_lock, &before);
		let_in_of(node)[node->trying] = before;
		node->known |= 1u << node->trying;
		if (child->actor)
			footprint_add(&let_in_of(node)[node->trying], &child->found.sets[me]);
	}
	for (int i = 0; i < (int)ex.nr; i++) {
		if (i == me)
			continue;
		footprint_add(&until[i], &before);
		if (child->actor)
			footprint_add(&until[i], &child->found.sets[i]);
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* The path of an exploration, for the files that search: path.c, reduction.c, exhaustive.c. */
#ifndef GMEMDIFF_NODES_H
#define GMEMDIFF_NODES_H

#include "arena.h"
#include "cells.h"
#include "exhaustive.h"

#define PASSED_ALL (STEPS_MAX + 64)

/* What came of the actor's going on from a state. */
enum came {
	CAME_TO_NOTHING, /* that the reduction knows of */
	CAME_TO_BOUNDARY, /* inside the same op */
	CAME_TO_END, /* of its last op */
	CAME_TO_WAIT, /* in its first step */
};

/* A state as the one before it needs to know it. */
struct child {
	struct actor *actor; /* who goes on; NULL: the run has ended */
	bool inside; /* an op, at a boundary */
	u32 targets; /* one bit for each actor that could run there besides; and for its own */
	struct lock *at_lock; /* for which the actor would wait if it were preempted */
	struct explored_state found; /* until, let_in; known: bits of let_in */
};

/* A state of the path. */
struct node {
	struct actor *actor;
	enum came came;
	bool inside, kept;
	bool listed; /* among the visited states, by `number` */
	u32 number;
	bool went; /* it has gone on by itself */
	bool partly; /* an earlier session explored some of it */
	int trying; /* who is let in */
	u32 targets, others; /* others: one bit for each actor that is still to be let in */
	u32 left; /* preemptions, before this one */
	u32 nr_left_out; /* by the reduction */
	u32 nr_passed; /* boundaries of the path so far */
	u32 steps; /* of the actor from here, while it goes on */
	u32 shared; /* shared cells that its footprints know of */
	u32 known;
	struct lock *at_lock;
	struct counts counts; /* of what was tried */
	struct footprint did, decided; /* the actor's steps; looking at who can run */
};

/* A preemption of the path: where in `passed`, and who goes on. */
struct taken {
	u32 passed;
	int to;
};

struct exploration {
	bool running, reduced, checked;
	bool learning; /* which cells are shared, within a small bound */
	struct program *program;
	struct exhausted result;
	struct arena_lanes *lanes;
	u64 bytes_max;
	u32 bound; /* of the search: less than the one asked for, while it learns */
	struct actor *actor; /* whose turn begins, or goes on; NULL: nobody can run */
	bool inside; /* it is at a boundary and was let go on */
	bool chosen; /* its turn comes because somebody was preempted for it */
	u32 left; /* preemptions */
	u32 begin, resume; /* labels of what is no step of an op */
	u64 units_skipped;
	struct boundary passed[PASSED_ALL]; /* of the path; their occurrence is not known yet */
	u32 nr_passed;
	struct taken taken[PREEMPTIONS_MAX];
	u32 nr_taken;
	struct node *nodes;
	struct footprint *sets; /* of node i, from i * 2 * nr: until, let_in */
	u32 nr_nodes, room, nr; /* nr: actors, or 0 without the reduction */
	struct child child; /* the state that was just done with */
	struct footprint child_sets[2 * ACTORS_MAX];
};
extern struct exploration ex;

static inline struct node *top(void)
{
	return &ex.nodes[ex.nr_nodes - 1];
}

static inline struct footprint *until_of(const struct node *node)
{
	return ex.sets + (size_t)(node - ex.nodes) * 2 * ex.nr;
}

static inline struct footprint *let_in_of(const struct node *node)
{
	return until_of(node) + ex.nr;
}

/* Whether the path has no preemption so far, of a search that counts. */
static inline bool is_first(const struct node *node)
{
	return node->left == ex.bound && !ex.learning;
}

/* path.c */

/* Nobody goes on: keep what came of it. */
void path_ends(void);
/* The path passes a boundary of an actor. */
void pass(const struct actor *actor, u32 label);
/* Who else could run now: one bit for each. */
u32 others(const struct actor *actor);
/* Whoever goes on from a node has come to the next one.  What it did in between is one step. */
void steps_end(struct node *node);
/*
 * The path comes to a state.  who: could be let in there.  True: it was not explored yet with so
 * many preemptions left, and is the top node.  False: it is known, and ex.child.  Where somebody
 * was just let in, nobody looks: that state is known if the one before the preemption is.
 */
bool meet(u32 who);
/* Nothing more is to be tried from the top node: it becomes the child of the one below. */
void settle(struct node *node);

/* reduction.c */

/* What has come of the actor's last go, before anything else happens. */
enum came came_to(const struct node *node);
/* What comes after the node's own steps, or after somebody was let in, is explored. */
void take_in(struct node *node, const struct child *child);
/* The actor has gone on: do not preempt it for those where that shows nothing. */
void leave_out(struct node *node, const struct child *child);

#endif

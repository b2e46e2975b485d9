/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Drawing schedules and small changes for one program, and running them on both sides.
 *
 * It starts from the program as it is.  Each next variant takes one that showed something new, and
 * lets one more actor in at a step that its run passed, or draws all of its preemptions anew;
 * every other one also changes an op: an argument, or the whole.  Setup stays as it is, so that a
 * run starts from what it left.  The same program and seed give the same variants, except that
 * what is new depends on what was seen before.
 */
#include <stdio.h>
#include <string.h>

#include "compare.h"
#include "explore.h"
#include "feedback.h"

#define EXPORT __attribute__((visibility("default")))
#define POOL_MAX 8
#define BOUNDARIES_MAX 256
#define SEEN_KINDS (1u << 12)
#define TOLD_EACH 4 /* how often the same broken rules are told, before only powers of two */

/* A schedule that showed something new, and where its run can be preempted. */
struct parent {
	u32 nr_points;
	struct chosen_point points[CHOSEN_MAX];
	u32 nr_edits;
	struct edit edits[EDITS_MAX];
	u32 nr_boundaries;
	struct boundary boundaries[BOUNDARIES_MAX];
};

static struct {
	const struct side *reference; /* the other library */
	u32 *translation; /* our label ids in theirs */
	struct parent pool[POOL_MAX];
	u32 nr_pool;
	u64 random;
	struct { u64 kinds; u32 count; } told[SEEN_KINDS];
	struct explored result;
} explore;

static struct arg_info args[NR_OPS][sizeof(((struct op *)NULL)->args) / sizeof(u64)];

/* Learn about arguments: one entry for each that an op can have, in the order of ops. */
EXPORT void gmemdiff_args(const struct arg_info *table)
{
	memcpy(args, table, sizeof(args));
}

static u32 draw(u32 below)
{
	explore.random ^= explore.random << 13;
	explore.random ^= explore.random >> 7;
	explore.random ^= explore.random << 17;
	return (u32)((explore.random >> 32) * below >> 32);
}

/* Use a library as the reference.  Returns NULL, or why it does not fit. */
EXPORT const char *gmemdiff_attach(const struct side *reference)
{
	static u32 translation[1u << 12];

	if (reference->program_size != sizeof(struct program))
		return "the two sides were built with different limits";
	if (nr_labels() > sizeof(translation) / sizeof(*translation))
		return "too many labels";
	for (u32 id = 0; id < nr_labels(); id++)
		translation[id] = reference->label_id(label_name(id));
	explore.translation = translation;
	explore.reference = reference;
	memset(explore.told, 0, sizeof(explore.told));
	return NULL;
}

/* Give a program a schedule.  ids: label numbers to use instead of ours, or NULL. */
static void schedule(struct program *program, const struct chosen_point *points, u32 n,
		     const u32 *ids)
{
	for (int i = 0; i < program->nr_points; i++)
		program->actors[program->points[i].actor].points[program->points[i].op] = -1;
	program->nr_points = n;
	for (u32 i = 0; i < n; i++) {
		struct actor_spec *actor = &program->actors[points[i].at.actor];
		u32 label = points[i].at.label;

		program->points[i] = (struct point){
			.actor = points[i].at.actor,
			.op = points[i].at.op,
			.label = ids && label < nr_labels() ? ids[label] : label,
			.occurrence = points[i].at.occurrence,
			.to = points[i].to,
			.next = actor->points[points[i].at.op],
		};
		actor->points[points[i].at.op] = i;
	}
}

static bool same_place(const struct boundary *a, const struct boundary *b)
{
	return a->actor == b->actor && a->op == b->op && a->label == b->label &&
	       a->occurrence == b->occurrence;
}

/* One more preemption, at a step that the parent's run passed. */
static void add_point(const struct program *program, const struct parent *parent,
		      struct variant *variant)
{
	struct chosen_point *point = &variant->points[variant->nr_points];

	if (variant->nr_points == CHOSEN_MAX || !parent->nr_boundaries || program->nr_actors < 2)
		return;
	point->at = parent->boundaries[draw(parent->nr_boundaries)];
	point->to = draw(program->nr_actors - 1);
	point->to += point->to >= point->at.actor;
	for (u32 i = 0; i < variant->nr_points; i++)
		if (same_place(&variant->points[i].at, &point->at))
			return;
	variant->nr_points++;
}

/* Some other value of an argument's family that the program has; false: there is none. */
static bool borrow(const struct program *program, const struct arg_info *info, u64 *value)
{
	u32 seen = 0;
	u64 own = *value;

	for (int a = -1; a < program->nr_actors; a++) {
		const struct actor_spec *actor = a < 0 ? &program->setup : &program->actors[a];

		for (int i = 0; i < actor->nr_ops; i++) {
			const struct op *op = &actor->ops[i];

			for (u32 arg = 0; arg < op->nargs; arg++)
				if (args[op->code][arg].family == info->family &&
				    op->args[arg] != own && !draw(++seen))
					*value = op->args[arg];
		}
	}
	return seen;
}

static void change_argument(const struct program *program, struct op *op)
{
	static const s64 pages[] = { -2, -1, 1, 1, 2, 4 };
	u32 arg = draw(op->nargs);
	const struct arg_info *info = &args[op->code][arg];
	u64 *value = &op->args[arg];
	s64 moved;

	if (draw(2) && borrow(program, info, value))
		return;
	switch (info->kind) {
	case ARG_ADDR:
	case ARG_HVA:
		if (!__builtin_add_overflow((s64)*value, pages[draw(6)] * PAGE_SIZE, &moved) &&
		    moved >= 0)
			*value = moved;
		break;
	case ARG_INT:
		if (!__builtin_add_overflow((s64)*value, draw(2) ? 1 : -1, &moved) && moved >= 0)
			*value = moved;
		break;
	case ARG_FD:
		*value = draw(2);
		break;
	case ARG_FLAGS:
		for (u32 bit = draw(64), i = 0; i < 64; i++, bit = (bit + 1) % 64) {
			if (info->choices >> bit & 1) {
				*value ^= 1ull << bit;
				break;
			}
		}
		break;
	case ARG_ENUM:
		*value = draw(info->choices);
		break;
	}
}

/* An op changes: an argument, or it becomes one that an actor of its kind does elsewhere, or none. */
static void add_edit(const struct program *program, struct variant *variant)
{
	struct edit *edit = &variant->edits[variant->nr_edits];
	const struct actor_spec *actor, *other;
	u32 how = draw(8);

	if (variant->nr_edits == EDITS_MAX || !program->nr_actors)
		return;
	edit->actor = draw(program->nr_actors);
	actor = &program->actors[edit->actor];
	if (!actor->nr_ops)
		return;
	edit->place = draw(actor->nr_ops);
	edit->now = actor->ops[edit->place];
	other = &program->actors[draw(program->nr_actors)];
	if (how == 0) {
		edit->now = (struct op){ .code = OP_nop };
	} else if (how < 3 && other->kind == actor->kind && other->nr_ops) {
		edit->now = other->ops[draw(other->nr_ops)];
	} else {
		if (!edit->now.nargs)
			return;
		change_argument(program, &edit->now);
	}
	for (u32 i = 0; i < variant->nr_edits; i++)
		if (variant->edits[i].actor == edit->actor && variant->edits[i].place == edit->place)
			return;
	variant->nr_edits++;
}

/* Put the ops of a variant in place, and keep those that were there. */
static void put_ops(struct program *program, const struct variant *variant, struct op *before)
{
	for (u32 i = 0; i < variant->nr_edits; i++) {
		const struct edit *edit = &variant->edits[i];
		struct op *op = &program->actors[edit->actor].ops[edit->place];

		before[i] = *op;
		*op = edit->now;
	}
}

static void take_ops_back(struct program *program, const struct variant *variant,
			  const struct op *before)
{
	for (u32 i = 0; i < variant->nr_edits; i++) {
		const struct edit *edit = &variant->edits[i];

		program->actors[edit->actor].ops[edit->place] = before[i];
	}
}

static void draw_variant(const struct program *program, struct variant *variant)
{
	const struct parent *parent = &explore.pool[draw(explore.nr_pool)];

	variant->why = 0;
	variant->kinds = 0;
	variant->nr_points = 0;
	variant->nr_edits = parent->nr_edits;
	memcpy(variant->edits, parent->edits, parent->nr_edits * sizeof(*parent->edits));
	if (draw(2))
		add_edit(program, variant);
	if (draw(3)) { /* keep what the parent has, but perhaps one */
		variant->nr_points = parent->nr_points;
		memcpy(variant->points, parent->points, sizeof(variant->points));
		if (variant->nr_points && !draw(4)) {
			u32 gone = draw(variant->nr_points);

			variant->points[gone] = variant->points[--variant->nr_points];
		}
	}
	do
		add_point(program, parent, variant);
	while (!draw(2) && variant->nr_points < CHOSEN_MAX);
}

static u64 hash_text(u64 hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	return hash;
}

/* Order does not matter: the same rules on the same sides. */
static u64 kinds_of(const struct run *run, u64 side)
{
	u64 sum = 0;

	for (int i = 0; i < run->nr_violations; i++)
		sum += hash_text(hash_text(side, run->violations[i].rule),
				 run->violations[i].site) | 1;
	return sum;
}

/* Whether broken rules are worth telling: the first few times, then more and more rarely. */
static bool worth_telling(u64 kinds)
{
	for (u32 i = 0; i < SEEN_KINDS; i++) {
		u32 at = (kinds + i) & (SEEN_KINDS - 1);

		if (explore.told[at].kinds && explore.told[at].kinds != kinds)
			continue;
		explore.told[at].kinds = kinds;
		explore.told[at].count++;
		return explore.told[at].count <= TOLD_EACH ||
		       !(explore.told[at].count & (explore.told[at].count - 1));
	}
	return true;
}

static void keep_parent(const struct variant *variant)
{
	struct parent *parent;
	const struct boundary *passed;
	u32 n;

	parent = &explore.pool[explore.nr_pool < POOL_MAX ? explore.nr_pool++ : draw(POOL_MAX)];
	parent->nr_points = variant->nr_points;
	memcpy(parent->points, variant->points, sizeof(parent->points));
	parent->nr_edits = variant->nr_edits;
	memcpy(parent->edits, variant->edits, sizeof(parent->edits));
	passed = boundaries_passed(&n);
	parent->nr_boundaries = n < BOUNDARIES_MAX ? n : BOUNDARIES_MAX;
	memcpy(parent->boundaries, passed, parent->nr_boundaries * sizeof(*passed));
}

/* Run our side from the beginning, and learn where it can be preempted. */
static struct run *execute_logged(struct program *program)
{
	struct run *run;

	log_boundaries(true);
	run = execute(program, NULL);
	log_boundaries(false);
	return run;
}

/* Run one schedule on both sides, and note what it shows. */
static void look(struct program *ours, struct program *theirs, struct variant *variant, bool first)
{
	const struct side *reference = explore.reference, *patched = gmemdiff_side();
	struct run *before, *after;
	struct op before_ops[EDITS_MAX];
	u32 fresh = feedback_fresh;

	put_ops(theirs, variant, before_ops);
	put_ops(ours, variant, before_ops);
	schedule(theirs, variant->points, variant->nr_points, NULL);
	schedule(ours, variant->points, variant->nr_points, explore.translation);
	after = first ? execute_logged(theirs) : execute_again(theirs);
	before = first ? reference->execute(ours, NULL) : reference->execute_again(ours);
	explore.result.runs++;
	explore.result.steps += after->steps + before->steps;
	fresh = feedback_fresh - fresh;
	explore.result.fresh += fresh;
	variant->why = fresh ? WHY_FRESH : 0;
	if (before->end == END_HARNESS || after->end == END_HARNESS) {
		variant->why |= WHY_FAILED;
	} else if (before->nr_violations || after->nr_violations) {
		variant->kinds = kinds_of(before, 1) + kinds_of(after, 2);
		variant->why |= worth_telling(variant->kinds) ? WHY_BROKEN : 0;
	} else if (runs_differ(theirs, reference, before, patched, after,
			       theirs->survival_promised)) {
		variant->why |= worth_telling(1) ? WHY_DIFFERS : 0;
	}
	if (variant->why && explore.result.nr_found < FOUND_MAX)
		explore.result.found[explore.result.nr_found++] = *variant;
	if (first) {
		keep_parent(variant);
	} else if (fresh) { /* once more, to learn where it can be preempted */
		execute_logged(theirs);
		keep_parent(variant);
	}
	take_ops_back(theirs, variant, before_ops);
	take_ops_back(ours, variant, before_ops);
}

/*
 * Explore `runs` schedules of the program that both sides have read.  The result is good until
 * the next call.
 */
EXPORT const struct explored *gmemdiff_explore(u64 seed, u32 runs)
{
	struct program *theirs = gmemdiff_side()->program(), *ours = explore.reference->program();
	struct variant variant;

	memset(&variant, 0, sizeof(variant));
	memset(&explore.result, 0, offsetof(struct explored, found));
	explore.nr_pool = 0;
	explore.random = seed | 1;
	for (int i = 0; i < theirs->nr_points && i < CHOSEN_MAX; i++) {
		const struct point *point = &theirs->points[i];

		variant.points[variant.nr_points++] = (struct chosen_point){
			{ point->actor, point->op, point->label, point->occurrence }, point->to
		};
	}
	look(ours, theirs, &variant, true);
	for (u32 i = 1; i < runs && explore.result.nr_found < FOUND_MAX; i++) {
		draw_variant(theirs, &variant);
		look(ours, theirs, &variant, false);
	}
	return &explore.result;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* Drawing schedules and small changes for one program: see vary.h. */
#include <string.h>

#include "vary.h"

#define NEAR 8 /* steps around the one where the sides part */

static struct arg_info args[NR_OPS][sizeof(((struct op *)NULL)->args) / sizeof(u64)];

/* Learn about arguments: one entry for each that an op can have, in the order of ops. */
__attribute__((visibility("default"))) void gmemdiff_args(const struct arg_info *table)
{
	memcpy(args, table, sizeof(args));
}

void pool_init(struct pool *pool, u64 seed)
{
	pool->nr = 0;
	pool->nr_parted = 0;
	pool->random = seed | 1;
}

static u32 draw(struct pool *pool, u32 below)
{
	pool->random ^= pool->random << 13;
	pool->random ^= pool->random >> 7;
	pool->random ^= pool->random << 17;
	return (u32)((pool->random >> 32) * below >> 32);
}

static bool same_place(const struct boundary *a, const struct boundary *b)
{
	return a->actor == b->actor && a->op == b->op && a->label == b->label &&
	       a->occurrence == b->occurrence;
}

/*
 * Where a patch acts is where its mistakes have their windows: every other preemption of a run
 * that parted is near that step.
 */
static u32 draw_place(struct pool *pool, const struct parent *parent)
{
	u32 place;

	if (!parent->near || draw(pool, 2))
		return draw(pool, parent->nr_boundaries);
	place = parent->near + draw(pool, NEAR);
	place = place > NEAR / 2 ? place - NEAR / 2 - 1 : 0;
	return place < parent->nr_boundaries ? place : parent->nr_boundaries - 1;
}

/* One more preemption, at a step that the parent's run passed. */
static void add_point(struct pool *pool, const struct program *program, const struct parent *parent,
		      struct variant *variant)
{
	struct chosen_point *point = &variant->points[variant->nr_points];

	if (variant->nr_points >= CHOSEN_MAX || !parent->nr_boundaries || program->nr_actors < 2)
		return;
	point->at = parent->boundaries[draw_place(pool, parent)];
	point->to = draw(pool, program->nr_actors - 1);
	point->to += point->to >= point->at.actor;
	for (u32 i = 0; i < variant->nr_points; i++)
		if (same_place(&variant->points[i].at, &point->at))
			return;
	variant->nr_points++;
}

/* Some other value of an argument's family that the program has; false: there is none. */
static bool borrow(struct pool *pool, const struct program *program, const struct arg_info *info,
		   u64 *value)
{
	u32 seen = 0;
	u64 own = *value;

	for (int a = -1; a < program->nr_actors; a++) {
		const struct actor_spec *actor = a < 0 ? &program->setup : &program->actors[a];

		for (int i = 0; i < actor->nr_ops; i++) {
			const struct op *op = &actor->ops[i];

			for (u32 arg = 0; arg < op->nargs; arg++)
				if (args[op->code][arg].family == info->family &&
				    op->args[arg] != own && !draw(pool, ++seen))
					*value = op->args[arg];
		}
	}
	return seen;
}

static void change_argument(struct pool *pool, const struct program *program, struct op *op)
{
	static const s64 pages[] = { -2, -1, 1, 1, 2, 4 };
	u32 arg = draw(pool, op->nargs);
	const struct arg_info *info = &args[op->code][arg];
	u64 *value = &op->args[arg];
	s64 by, moved;

	if (draw(pool, 2) && borrow(pool, program, info, value))
		return;
	switch (info->kind) {
	case ARG_ADDR:
	case ARG_HVA:
		by = pages[draw(pool, 6)] * PAGE_SIZE;
		if (!__builtin_add_overflow((s64)*value, by, &moved) && moved >= 0)
			*value = moved;
		break;
	case ARG_INT:
		by = draw(pool, 2) ? 1 : -1;
		if (!__builtin_add_overflow((s64)*value, by, &moved) && moved >= 0)
			*value = moved;
		break;
	case ARG_FD:
		*value = draw(pool, 2);
		break;
	case ARG_FLAGS:
		for (u32 bit = draw(pool, 64), i = 0; i < 64; i++, bit = (bit + 1) % 64) {
			if (info->choices >> bit & 1) {
				*value ^= 1ull << bit;
				break;
			}
		}
		break;
	case ARG_ENUM:
		*value = draw(pool, info->choices);
		break;
	}
}

/* An op changes: an argument, or it becomes another of its kind of actor, or none. */
static void add_edit(struct pool *pool, const struct program *program, struct variant *variant)
{
	struct edit *edit = &variant->edits[variant->nr_edits];
	const struct actor_spec *actor, *other;
	u32 how = draw(pool, 8);

	if (variant->nr_edits == EDITS_MAX || !program->nr_actors)
		return;
	edit->actor = draw(pool, program->nr_actors);
	actor = &program->actors[edit->actor];
	if (!actor->nr_ops)
		return;
	edit->place = draw(pool, actor->nr_ops);
	edit->now = actor->ops[edit->place];
	other = &program->actors[draw(pool, program->nr_actors)];
	if (how == 0) {
		edit->now = (struct op){ .code = OP_nop };
	} else if (how < 3 && other->kind == actor->kind && other->nr_ops) {
		edit->now = other->ops[draw(pool, other->nr_ops)];
	} else {
		if (!edit->now.nargs)
			return;
		change_argument(pool, program, &edit->now);
	}
	for (u32 i = 0; i < variant->nr_edits; i++)
		if (variant->edits[i].actor == edit->actor &&
		    variant->edits[i].place == edit->place)
			return;
	variant->nr_edits++;
}

static const struct parent *draw_parent(struct pool *pool)
{
	if (pool->nr_parted && draw(pool, 4))
		return &pool->parted[draw(pool, pool->nr_parted)];
	return &pool->parents[draw(pool, pool->nr)];
}

void draw_variant(struct pool *pool, const struct program *program, struct variant *variant)
{
	const struct parent *parent = draw_parent(pool);

	variant->why = 0;
	variant->kinds = 0;
	variant->nr_points = 0;
	variant->nr_edits = parent->nr_edits;
	memcpy(variant->edits, parent->edits, parent->nr_edits * sizeof(*parent->edits));
	if (draw(pool, 2))
		add_edit(pool, program, variant);
	if (draw(pool, 3)) { /* keep what the parent has, but perhaps one */
		variant->nr_points = parent->nr_points;
		memcpy(variant->points, parent->points,
		       parent->nr_points * sizeof(*parent->points));
		if (variant->nr_points && !draw(pool, 4)) {
			u32 gone = draw(pool, variant->nr_points);

			variant->points[gone] = variant->points[--variant->nr_points];
		}
	}
	do
		add_point(pool, program, parent, variant);
	while (!draw(pool, 2) && variant->nr_points < CHOSEN_MAX);
}

/* Up to four preemptions, anywhere in the first parent's run: as random programs have them. */
void draw_schedule(struct pool *pool, const struct program *program, struct variant *variant)
{
	static const u32 counts[] = { 0, 1, 1, 2, 2, 3, 3, 4 };

	variant->nr_points = 0;
	for (u32 n = counts[draw(pool, 8)]; n; n--)
		add_point(pool, program, &pool->parents[0], variant);
}

void keep_parent(struct pool *pool, const struct variant *variant, u32 parted)
{
	struct parent *parents = parted ? pool->parted : pool->parents, *parent;
	u32 *nr = parted ? &pool->nr_parted : &pool->nr;
	const struct boundary *passed;
	u32 n;

	parent = &parents[*nr < POOL_MAX ? (*nr)++ : draw(pool, POOL_MAX)];
	parent->nr_points = variant->nr_points;
	memcpy(parent->points, variant->points, variant->nr_points * sizeof(*variant->points));
	parent->nr_edits = variant->nr_edits;
	memcpy(parent->edits, variant->edits, sizeof(parent->edits));
	passed = boundaries_passed(&n);
	parent->nr_boundaries = n < BOUNDARIES_MAX ? n : BOUNDARIES_MAX;
	memcpy(parent->boundaries, passed, parent->nr_boundaries * sizeof(*passed));
	parent->near = 0;
	for (u32 i = 0; parted && i < parent->nr_boundaries && !parent->near; i++)
		if (label_hash(passed[i].label) == parted)
			parent->near = i + 1;
}

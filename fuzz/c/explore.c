/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Running many variants of one program on both sides: those of vary.c, or a strategy's.
 *
 * It starts from the program as it is.  Setup stays as it is, so that a run starts from what it
 * left.  The same program and seed give the same variants, except that what is new depends on what
 * was seen before.
 */
#include <stdio.h>
#include <string.h>

#include "compare.h"
#include "explore.h"
#include "feedback.h"
#include "marks.h"
#include "parting.h"
#include "strategy.h"
#include "told.h"
#include "vary.h"

#define EXPORT __attribute__((visibility("default")))
#define STRATEGY_EVERY 4 /* variants, of which one is scheduled by a strategy */
#define PARTED_ALL 16 /* that part are all looked at again; then one in four */
#define APART_MOST 1000
#define APART_RUNS 50 /* more, for each schedule that does something new and parts */
#define PARTED_RUNS 2000 /* of the first program that parts somewhere; of the next, half of it... */

static struct {
	const struct side *reference; /* the other library */
	bool marked; /* patch_acted says whether it was needed */
	u32 *translation; /* our label ids in theirs */
	struct pool pool;
	bool guided; /* what shows something new is kept */
	struct parting parting; /* of the last run that did */
	u32 seen; /* programs that part where this one does */
	bool acted; /* the patch, in some run of the program, as far as marks tell */
	u32 extra; /* runs that it is worth for what it showed while it parted */
	struct explored result;
} explore;

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
	explore.marked = reference->stock && patch_marks != MARKS_MISSING;
	forget_told();
	forget_partings();
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

/* Run our side from the beginning, and learn where it can be preempted. */
static struct run *execute_logged(struct program *program)
{
	struct run *run;

	log_boundaries(true);
	run = execute(program, NULL);
	log_boundaries(false);
	return run;
}

/* Run our side as a strategy has it; the variant's schedule becomes the one that does the same. */
static struct run *execute_driven(struct program *program, struct strategy *strategy,
				  struct variant *variant)
{
	const struct chosen_point *made;
	struct run *run;

	schedule(program, NULL, 0, NULL);
	drive(strategy);
	run = execute_again(program);
	drive(NULL);
	made = switches_made(&variant->nr_points);
	memcpy(variant->points, made, variant->nr_points * sizeof(*made));
	return run;
}

/* Whether a schedule makes the two sides part. */
static bool part(const struct run *before, const struct run *after)
{
	if (before == after || !runs_part(before, after, &explore.parting))
		return false;
	if (!explore.result.parted++)
		explore.seen = parting_seen(explore.parting);
	feedback_mode(FEEDBACK_FRESH);
	feedback_note(PAIR_PARTING, explore.parting.theirs, explore.parting.ours);
	feedback_mode(FEEDBACK_OFF);
	return true;
}

/*
 * Run a variant once more, to learn where it can be preempted, and, where its sides part, what
 * was never done by a run that did.  Returns how much that is.
 */
static u32 look_again(struct program *theirs, const struct variant *variant, bool parted)
{
	u32 fresh = feedback_fresh;

	feedback.apart = parted ? PAIR_APART : 0;
	feedback_mode(parted ? FEEDBACK_FRESH : FEEDBACK_OFF);
	schedule(theirs, variant->points, variant->nr_points, NULL);
	execute_logged(theirs);
	feedback_mode(FEEDBACK_OFF);
	feedback.apart = 0;
	return feedback_fresh - fresh;
}

/* Hand a variant on that is worth a look. */
static void tell(const struct variant *variant)
{
	/* What is only new must not take the place of what is bad. */
	u32 most = variant->why & WHY_BAD ? FOUND_MAX : FOUND_NEW_MAX;

	if (variant->why && explore.result.nr_found < most)
		explore.result.found[explore.result.nr_found++] = *variant;
}

/* Note what a schedule shows, and why it is worth a look. */
static void judge(struct program *theirs, struct run *before, struct run *after, u32 fresh,
		  struct variant *variant)
{
	explore.result.runs++;
	explore.result.steps += after->steps + before->steps;
	explore.result.fresh += fresh;
	variant->why |= fresh ? WHY_FRESH : 0;
	if (before->end == END_HARNESS || after->end == END_HARNESS) {
		variant->why |= WHY_FAILED;
	} else if (before->nr_violations || after->nr_violations) {
		variant->kinds = kinds_of(before, 1) + kinds_of(after, 2);
		variant->why |= worth_telling(variant->kinds) ? WHY_BROKEN : 0;
	} else if (before != after &&
		   runs_differ(theirs, explore.reference, before, gmemdiff_side(), after,
			       theirs->survival_promised)) {
		variant->why |= worth_telling(1) ? WHY_DIFFERS : 0;
	}
	tell(variant);
}

/*
 * Whether the reference's run would be the run that was, and need not be done.  What the patch
 * alone promises is not looked for on the reference.
 */
static bool same_on_both(const struct run *after)
{
	if (!explore.marked || patch_acted)
		return false;
	for (int i = 0; i < after->nr_violations; i++)
		if (!strcmp(after->violations[i].rule, "gmem-survival"))
			return false;
	return true;
}

/* The reference's run of a variant. */
static struct run *execute_other(struct program *ours, const struct variant *variant, bool first)
{
	const struct side *reference = explore.reference;
	struct op before[EDITS_MAX];
	struct run *run;

	put_ops(ours, variant, before);
	schedule(ours, variant->points, variant->nr_points, explore.translation);
	run = first ? reference->execute(ours, NULL) : reference->execute_again(ours);
	take_ops_back(ours, variant, before);
	return run;
}

/* Run one schedule on both sides, the variant's own or a strategy's, and note what it shows. */
static void look(struct program *ours, struct program *theirs, struct variant *variant, bool first,
		 struct strategy *strategy)
{
	struct run *before, *after;
	struct op before_ops[EDITS_MAX];
	u32 fresh = feedback_fresh;
	u32 apart;
	bool parted;

	put_ops(theirs, variant, before_ops);
	feedback_mode(first ? FEEDBACK_ALL : FEEDBACK_FRESH);
	if (strategy) {
		after = execute_driven(theirs, strategy, variant);
	} else {
		schedule(theirs, variant->points, variant->nr_points, NULL);
		after = first ? execute_logged(theirs) : execute_again(theirs);
	}
	feedback_mode(FEEDBACK_OFF);
	explore.acted |= patch_acted;
	/* The first one is done always: the others start from what its setup left. */
	before = !first && same_on_both(after) ? after : execute_other(ours, variant, first);
	parted = part(before, after) && explore.result.telling;
	variant->why = parted && explore.result.parted == 1 ? WHY_PARTED : 0;
	fresh = feedback_fresh - fresh;
	judge(theirs, before, after, fresh, variant);
	if (first)
		keep_parent(&explore.pool, variant, 0);
	/* Where nearly all runs part, some speak for the others. */
	parted = parted && (explore.result.parted < PARTED_ALL || !(explore.result.parted % 4));
	if (!explore.guided || !(fresh || parted))
		return take_ops_back(theirs, variant, before_ops);
	apart = look_again(theirs, variant, parted);
	if (apart) {
		keep_parent(&explore.pool, variant,
			    explore.parting.ours ? explore.parting.ours : explore.parting.theirs);
		variant->why = WHY_PARTED;
		tell(variant);
		if (explore.extra < APART_MOST)
			explore.extra += APART_RUNS;
	} else if (!first) {
		keep_parent(&explore.pool, variant, 0);
	}
	take_ops_back(theirs, variant, before_ops);
}

/* Run the program as it is, from the beginning; schedules that follow start from its setup. */
static void look_first(struct program *ours, struct program *theirs, struct variant *variant,
		       u64 seed)
{
	memset(variant, 0, sizeof(*variant));
	explore.extra = 0;
	explore.acted = !explore.marked;
	memset(&explore.result, 0, offsetof(struct explored, found));
	pool_init(&explore.pool, seed);
	for (int i = 0; i < theirs->nr_points && i < SWITCHES_MAX; i++) {
		const struct point *point = &theirs->points[i];

		variant->points[variant->nr_points++] = (struct chosen_point){
			{ point->actor, point->op, point->label, point->occurrence }, point->to
		};
	}
	explore.result.telling = partings_tell();
	look(ours, theirs, variant, true, NULL);
}

/* How many schedules a program is worth, as far as that is known. */
static u32 worth(u32 runs, u32 most)
{
	u32 parted = explore.result.parted ? PARTED_RUNS / explore.seen : 0;

	if (explore.result.telling)
		return (parted > runs ? parted : runs) + explore.extra;
	return explore.result.nr_found ? runs : most;
}

/*
 * Explore `runs` schedules of the program that both sides have read; up to `most` while nothing
 * is found, since that is cheaper than the next program.  The result is good until the next call.
 */
EXPORT const struct explored *gmemdiff_explore(u64 seed, u32 runs, u32 most)
{
	struct program *theirs = gmemdiff_side()->program(), *ours = explore.reference->program();
	struct strategy walk, pct;
	struct variant variant;

	strategy_init(&walk, STRATEGY_WALK, seed, 1);
	strategy_init(&pct, STRATEGY_PCT, seed, 2 + seed % 3);
	look_first(ours, theirs, &variant, seed);
	explore.guided = true;
	for (u32 i = 1; i < worth(runs, most); i++) {
		if (explore.result.nr_found == FOUND_MAX)
			break;
		draw_variant(&explore.pool, theirs, &variant);
		look(ours, theirs, &variant, false,
		     i % STRATEGY_EVERY ? NULL : i % (2 * STRATEGY_EVERY) ? &walk : &pct);
	}
	parting_count(explore.result.parted);
	return &explore.result;
}

/*
 * The same with schedules of one strategy (enum strategy_kind), round-robin with preemptions drawn
 * anywhere.  What is new guides nothing.  idle: it ends after so many if the patch acted in none.
 */
EXPORT const struct explored *gmemdiff_explore_by(u32 kind, u32 depth, u64 seed, u32 runs, u32 idle)
{
	struct program *theirs = gmemdiff_side()->program(), *ours = explore.reference->program();
	struct strategy strategy;
	struct variant variant;

	strategy_init(&strategy, kind, seed, depth);
	look_first(ours, theirs, &variant, seed);
	explore.guided = false;
	for (u32 i = 1; i < (explore.acted ? runs : idle); i++) {
		bool drawn = kind == STRATEGY_ROUND_ROBIN;

		if (drawn)
			draw_schedule(&explore.pool, theirs, &variant);
		look(ours, theirs, &variant, false, drawn ? NULL : &strategy);
		if (explore.result.nr_found == FOUND_MAX)
			break;
	}
	parting_count(explore.result.parted);
	return &explore.result;
}

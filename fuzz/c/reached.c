/* SPDX-License-Identifier: GPL-2.0-only */
/* Broken rules and outcomes, each kept once: see reached.h. */
#include <stdlib.h>
#include <string.h>

#include "explore.h"
#include "fingerprint.h"
#include "grow.h"
#include "reached.h"

#define RULES_MAX (4 * VIOLATIONS_MAX)
#define INDEX_SLOTS (2 * REACHED_MAX)

static struct {
	u32 nr_rules, nr_outcomes, room;
	struct breakable rules[RULES_MAX];
	struct reachable *outcomes;
	u32 *index; /* by key: 1 + place in outcomes */
} reached;

bool reached_begin(void)
{
	if (!reached.index)
		reached.index = calloc(INDEX_SLOTS, sizeof(*reached.index));
	for (u32 i = 0; i < reached.nr_outcomes; i++)
		for (u64 at = reached.outcomes[i].key & (INDEX_SLOTS - 1); reached.index[at];
		     at = (at + 1) & (INDEX_SLOTS - 1))
			reached.index[at] = 0;
	reached.nr_rules = reached.nr_outcomes = 0;
	return reached.index != NULL;
}

/* A rule is broken on the way to an outcome. */
static bool note_rule(const struct violation *v, const struct witness *schedule)
{
	struct breakable *rule = reached.rules, *end = rule + reached.nr_rules;

	while (rule < end && (strcmp(rule->rule, v->rule) || strcmp(rule->site, v->site)))
		rule++;
	if (rule == end) {
		if (reached.nr_rules == RULES_MAX)
			return false;
		reached.nr_rules++;
		rule->rule = v->rule;
		memcpy(rule->site, v->site, sizeof(rule->site));
	} else if (rule->witness.nr_points <= schedule->nr_points) {
		return true;
	}
	rule->witness = *schedule;
	return true;
}

static u64 mixed(u64 hash, u64 value)
{
	/* The constant keeps small numbers apart: without it, equal ones would give zero. */
	hash = (hash ^ value ^ 0x5851f42d4c957f2du) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

/* Leaves in any order. */
static u64 leaves_hash(const struct visible *visible)
{
	u64 sum = visible->too_many_leaves;

	for (int i = 0; i < visible->nr_leaves; i++) {
		const struct visible_leaf *leaf = &visible->leaves[i];
		u64 hash = mixed(leaf->gfn, leaf->content);

		hash = mixed(hash, leaf->content_high ^ (u64)leaf->as_id << 8);
		sum += mixed(hash, (u64)leaf->l2 | (u64)leaf->invalid << 1 |
				   (u64)leaf->first_root << 2 | (u64)leaf->accessed << 3 |
				   (u64)leaf->ordinary << 4);
	}
	return sum;
}

/* The place of an outcome with this key, new or known; NULL: there is no room. */
static struct reachable *place_of(u64 key)
{
	u64 at = key & (INDEX_SLOTS - 1);

	while (reached.index[at] && reached.outcomes[reached.index[at] - 1].key != key)
		at = (at + 1) & (INDEX_SLOTS - 1);
	if (reached.index[at])
		return &reached.outcomes[reached.index[at] - 1];
	if (reached.nr_outcomes == REACHED_MAX)
		return NULL;
	if (reached.nr_outcomes == reached.room) {
		void *more = grown(reached.outcomes, &reached.room, 64,
				   sizeof(*reached.outcomes));

		if (!more)
			return NULL;
		reached.outcomes = more;
	}
	reached.outcomes[reached.nr_outcomes].key = 0; /* no key */
	reached.index[at] = ++reached.nr_outcomes;
	return &reached.outcomes[reached.nr_outcomes - 1];
}

bool reached_note(const struct witness *schedule)
{
	static struct visible visible;
	const struct run *run = &exec.run;
	struct reachable now = { .end = run->end, .steps = run->steps, .witness = *schedule };
	struct reachable *place;

	for (int i = 0; i < run->nr_violations; i++)
		if (!note_rule(&run->violations[i], schedule))
			return false;
	visible_of(&exec.kvm, &visible);
	now.final = visible.final;
	now.broken = fingerprint_violations(run);
	now.key = mixed(mixed(mixed(now.final, leaves_hash(&visible)), now.broken), run->end);
	now.key = mixed(now.key, fingerprint_results(exec.program, run)) | 1;
	place = place_of(now.key);
	if (!place)
		return false;
	if (!place->key || place->witness.nr_points > schedule->nr_points)
		*place = now;
	return true;
}

const struct breakable *reached_rules(u32 *n)
{
	*n = reached.nr_rules;
	return reached.rules;
}

const struct reachable *reached_outcomes(u32 *n)
{
	*n = reached.nr_outcomes;
	return reached.outcomes;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* Round-robin, random walk and PCT: see fuzz/strategies/ for what each is. */
#include <string.h>

#include "strategy.h"

#define PLACES_FIRST 64

/* SplitMix64, as class Chance of fuzz/strategies/strategy.py. */
static u32 draw(struct strategy *s, u32 below)
{
	u64 mixed = s->chance += 0x9e3779b97f4a7c15u;

	mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
	return (u32)(((mixed ^ mixed >> 31) >> 32) * below >> 32);
}

void strategy_init(struct strategy *s, enum strategy_kind kind, u64 seed, u32 depth)
{
	memset(s, 0, sizeof(*s));
	s->kind = kind;
	s->chance = seed;
	s->depth = depth < DEPTH_MAX ? depth : DEPTH_MAX;
	s->expected = PLACES_FIRST;
}

void strategy_begin(struct strategy *s, int nr_actors)
{
	if (s->kind != STRATEGY_PCT)
		return;
	if (s->places)
		s->expected = s->places;
	s->places = 0;
	s->lowest = 0;
	for (int i = 0; i < nr_actors; i++)
		s->priorities[i] = i + 1;
	for (int i = nr_actors - 1; i > 0; i--) {
		int other = draw(s, i + 1), priority = s->priorities[i];

		s->priorities[i] = s->priorities[other];
		s->priorities[other] = priority;
	}
	for (u32 i = 0; i + 1 < s->depth; i++)
		s->changes[i] = draw(s, s->expected);
}

static int highest(const struct strategy *s, const struct place *place)
{
	int first = place->runnable[0];

	for (int i = 1; i < place->nr_runnable; i++)
		if (s->priorities[place->runnable[i]] > s->priorities[first])
			first = place->runnable[i];
	return first;
}

static int choose_pct(struct strategy *s, const struct place *place)
{
	for (u32 i = 0; i + 1 < s->depth; i++) {
		if (s->changes[i] == s->places) {
			strategy_gave_up(s, highest(s, place));
			break;
		}
	}
	s->places++;
	return highest(s, place);
}

int strategy_choose(struct strategy *s, const struct place *place)
{
	switch (s->kind) {
	case STRATEGY_WALK:
		return place->runnable[place->nr_runnable > 1 ? draw(s, place->nr_runnable) : 0];
	case STRATEGY_PCT:
		return choose_pct(s, place);
	default:
		return place->actor;
	}
}

/* An actor has to try again: with PCT, it comes last from now on. */
void strategy_gave_up(struct strategy *s, int actor)
{
	if (s->kind == STRATEGY_PCT)
		s->priorities[actor] = --s->lowest;
}

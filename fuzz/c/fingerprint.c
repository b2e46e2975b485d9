/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fingerprints of states, without knowing what the model's objects mean.
 *
 * The memory of the VM comes in as a sum that is kept up to date (cells.h), the C stacks of those
 * inside an op as hashes that are made anew when their actor has run; what the scheduler knows is
 * read word by word.  An object lies where its task took it, whatever others did meanwhile
 * (arena.h), so independent steps lead to one state in either order.
 *
 * What is dead but not yet overwritten (a stale slot of a stack frame, an array that has grown) is
 * hashed with the rest: that can only keep two equal states apart.
 */
#include <string.h>

#include "arena.h"
#include "cells.h"
#include "fingerprint.h"
#include "snapshot.h"

#define CHUNK 1024 /* words that are hashed at once */
#define WORDS_MAX (64 + TASKS_MAX * (24 + 3 * HELD_MAX) + SEEN_MAX)

static struct {
	const struct arena_lanes *lanes;
	u32 nr_words;
	u64 words[WORDS_MAX];
	u64 keys[CHUNK + 2];
	struct fingerprint stacks[ACTORS_MAX];
	u32 stale; /* one bit for each actor that has run since */
} fp;

static u64 mixed(u64 hash, u64 value)
{
	/* The constant keeps small numbers apart: without it, equal ones would give zero. */
	hash = (hash ^ value ^ 0x5851f42d4c957f2du) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

void fingerprint_begin(const struct arena_lanes *lanes)
{
	u64 key = 1;

	fp.lanes = lanes;
	for (int i = 0; i < CHUNK + 2 && !fp.keys[CHUNK + 1]; i++)
		fp.keys[i] = key = mixed(key, 0x243f6a8885a308d3u + i);
	memset(fp.stacks, 0, sizeof(fp.stacks));
	fp.stale = 0;
}

static inline void add(u64 word)
{
	fp.words[fp.nr_words++] = word;
}

/*
 * Two NH hashes of each chunk (Black, Halevi, Krawczyk, Krovetz and Rogaway, 1999): sums of
 * products, which the processor works on side by side; then a mix of the chunks.
 */
static struct fingerprint hashed(const u64 *words, u32 nr)
{
	struct fingerprint all = { nr, ~(u64)nr };

	for (u32 at = 0; at < nr; at += CHUNK) {
		u32 n = nr - at < CHUNK ? nr - at : CHUNK, i;
		const u64 *word = words + at, *key = fp.keys;
		unsigned __int128 a = 0, b = 0;

		for (i = 0; i + 1 < n; i += 2) {
			a += (unsigned __int128)(word[i] + key[i]) * (word[i + 1] + key[i + 1]);
			b += (unsigned __int128)(word[i] + key[i + 2]) * (word[i + 1] + key[i + 3]);
		}
		if (i < n) {
			a += (unsigned __int128)(word[i] + key[i]) * key[i + 1];
			b += (unsigned __int128)(word[i] + key[i + 2]) * key[i + 3];
		}
		all.a = mixed(mixed(all.a, a), a >> 64);
		all.b = mixed(mixed(all.b, b), b >> 64);
	}
	return (struct fingerprint){ mixed(all.a, all.b), mixed(all.b, all.a) };
}

struct fingerprint *fingerprint_stacks(void)
{
	return fp.stacks;
}

void fingerprint_ran(const struct actor *actor)
{
	fp.stale |= 1u << actor->task.index;
}

void fingerprint_back(void)
{
	fp.stale = 0;
}

static void hash_stack(const struct actor *actor)
{
	const char *stack;
	size_t size;

	stack = live_stack(actor, &size);
	fp.stacks[actor->task.index] = hashed((const u64 *)stack, size / sizeof(u64));
}

/* Of the readers of a snapshot, those that are still there; numbers of sections mean nothing. */
static void add_want(const struct want *want)
{
	u64 inside = 0;

	for (int i = 0; i < want->nr_snapshot; i++) {
		const struct task *task = want->snapshot[i];

		if (task->srcu_depth && task->srcu_section == want->sections[i])
			inside |= 1ull << (task->index + 1);
	}
	add((u64)want->kind | inside << 8);
	add((uintptr_t)want->lock);
}

static void add_actor(const struct actor *actor)
{
	const struct task *task = &actor->task;
	const struct fingerprint *stack = &fp.stacks[task->index];

	add((u64)actor->op | (u64)actor->begun << 16 | (u64)actor->waits << 18 |
	    (u64)(actor->retries < 4 ? actor->retries : 4) << 20 |
	    (u64)actor->label->id << 32);
	add((u64)task->srcu_depth | (u64)task->notifier_depth << 16 | (u64)task->nr_held << 32);
	for (int i = 0; i < task->nr_held; i++)
		add((uintptr_t)task->held[i]);
	add((u64)task->task_work.n << 32 | task->task_work.cap);
	add((uintptr_t)task->task_work.items);
	if (!actor->begun)
		return;
	if (actor->waits)
		add_want(&actor->want);
	if (fp.stale >> task->index & 1)
		hash_stack(actor);
	add(stack->a);
	add(stack->b);
}

static u64 text_hash(u64 hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	return hash;
}

u64 fingerprint_violations(const struct run *run)
{
	u64 sum = 0;

	for (int i = 0; i < run->nr_violations; i++)
		sum += mixed(text_hash(text_hash(14695981039346656037u, run->violations[i].rule),
				       run->violations[i].site), 1);
	return sum;
}

static u64 results_of(u64 hash, const struct actor_spec *actor, const struct op_result *results)
{
	for (int i = 0; i < actor->nr_ops; i++) {
		if (!results[i].ended)
			continue;
		hash = mixed(mixed(hash, i), results[i].value);
		if (results[i].value == RESULT_TEXT)
			hash = text_hash(hash, results[i].text);
	}
	return mixed(hash, 2);
}

u64 fingerprint_results(const struct program *program, const struct run *run)
{
	u64 hash = 3;

	for (int i = 0; i < program->nr_actors; i++)
		hash = results_of(hash, &program->actors[i], run->results[i]);
	return hash;
}

struct fingerprint fingerprint_state(const struct actor *next)
{
	u64 seen = 0;

	fp.nr_words = 0;
	for (u32 i = 0; i < exec.nr_seen; i++)
		seen += mixed(exec.seen[i], 4);
	add(seen);
	add(fingerprint_violations(&exec.run));
	add(fingerprint_results(exec.program, &exec.run));
	add((u64)next->task.index | (u64)exec.at_boundary << 8);
	add(cells_sum.a);
	add(cells_sum.b);
	for (u32 lane = 0; lane < fp.lanes->nr; lane += 2)
		add((u64)fp.lanes->used[lane] << 32 |
		    (lane + 1 < fp.lanes->nr ? fp.lanes->used[lane + 1] : 0));
	for (int i = 0; i < exec.nr_actors; i++)
		add_actor(&exec.actors[i]);
	fp.stale = 0;
	return hashed(fp.words, fp.nr_words);
}

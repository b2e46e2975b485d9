/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fingerprints of states, without knowing what the model's objects mean.
 *
 * All that an op can still get at is the VM, the actors, the C stacks of those inside an op, and
 * the objects of the arena that these point to, directly or not.  Words are hashed in the order of
 * that walk.  A word that points into the arena counts as the number of its object in the walk and
 * an offset, so that it does not matter in which order independent steps took memory: the heap is
 * canonical in the sense of Iosif's symmetry reduction (SPIN workshop, 2001).  All other pointers
 * are to places that are the same in every run of a process.
 *
 * What is dead but not yet overwritten (a stale slot of a stack frame) is hashed with the rest:
 * that can only keep two equal states apart.  A number of a program that happens to be an address
 * of the arena would be taken for a pointer; the arena is memory of this process, and a number of
 * that size is no page and no length of any VM.
 */
#include <stddef.h>
#include <string.h>

#include "arena.h"
#include "fingerprint.h"
#include "snapshot.h"

#define GRAINS (1u << 14)

#define CHUNK 1024 /* words that are hashed at once */
#define WORDS_MAX (GRAINS * 4 + (1u << 19)) /* a full arena, and stacks, and what is added */

static struct {
	struct arena_view arena;
	u32 nr_words;
	u32 nr_objects;
	u32 walk; /* number of this fingerprint */
	bool with_counters; /* the program can read KVM's statistics */
	struct { u32 walk, number; } object[GRAINS]; /* by the grain where it begins */
	u32 queue[GRAINS]; /* grains of objects, by number */
	u64 words[WORDS_MAX + CHUNK];
	u64 keys[CHUNK + 2];
} fp;

static u64 mixed(u64 hash, u64 value)
{
	/* The constant keeps small numbers apart: without it, equal ones would give zero. */
	hash = (hash ^ value ^ 0x5851f42d4c957f2du) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

static bool reads_counters(const struct actor_spec *actor)
{
	for (int i = 0; i < actor->nr_ops; i++)
		if (actor->ops[i].code == OP_stat)
			return true;
	return false;
}

void fingerprint_begin(const struct program *program)
{
	u64 key = 1;

	for (int i = 0; i < CHUNK + 2; i++)
		fp.keys[i] = key = mixed(key, 0x243f6a8885a308d3u + i);
	fp.with_counters = false;
	for (int i = 0; i < program->nr_actors; i++)
		fp.with_counters |= reads_counters(&program->actors[i]);
}

static inline void add(u64 word)
{
	fp.words[fp.nr_words++] = word;
}

/* The grain where the object around an offset of the arena begins. */
static u32 beginning(size_t at)
{
	u32 grain = at / ARENA_GRAIN, word = grain / 64;
	u64 bits = fp.arena.starts[word] & (~0ull >> (63 - grain % 64));

	while (!bits && word)
		bits = fp.arena.starts[--word];
	return bits ? word * 64 + 63 - __builtin_clzll(bits) : 0;
}

/* Where it ends: where the next one begins. */
static u32 ending(u32 begins)
{
	u32 used = fp.arena.used / ARENA_GRAIN;
	u32 grain = begins + 1, word = grain / 64;
	u64 bits = fp.arena.starts[word] & ~0ull << grain % 64;

	while (!bits && (word + 1) * 64 < used)
		bits = fp.arena.starts[++word];
	grain = bits ? word * 64 + __builtin_ctzll(bits) : used;
	return grain < used ? grain : used;
}

/* What stands for a pointer into the arena; the object is looked into later. */
static u64 pointer(size_t at)
{
	u32 grain = beginning(at);

	if (fp.object[grain].walk != fp.walk) {
		fp.object[grain].walk = fp.walk;
		fp.object[grain].number = fp.nr_objects;
		fp.queue[fp.nr_objects++] = grain;
	}
	return 0x5bd1e99500000000u + ((u64)fp.object[grain].number << 18) +
	       (at - (size_t)grain * ARENA_GRAIN);
}

/* Most words are zero: of 64 words, those that are not, and one that says where these are. */
static void add_words(const void *from, size_t size)
{
	const u64 *word = from;
	size_t left = size / sizeof(*word);
	u64 base = (uintptr_t)fp.arena.base, used = fp.arena.used;
	u64 *to = fp.words + fp.nr_words;

	while (left) {
		u32 n = left < 64 ? left : 64;
		u64 where = 0;

		for (u32 i = 0; i < n; i++) {
			u64 at = word[i] - base;
			u64 is_there = word[i] != 0;

			*to = at < used ? pointer(at) : word[i];
			to += is_there;
			where |= is_there << i;
		}
		*to++ = where;
		word += n;
		left -= n;
	}
	fp.nr_words = to - fp.words;
}

/* The words from one field of struct kvm up to another. */
#define ADD_FIELDS(kvm, first, end)                                       \
	add_words((const char *)(kvm) + offsetof(struct kvm, first),      \
		  offsetof(struct kvm, end) - offsetof(struct kvm, first))

static void add_kvm(const struct kvm *kvm)
{
	add((u64)kvm->dead | (u64)kvm->mm_exiting << 1 | (u64)kvm->mm_dead << 2 |
	    (u64)kvm->fail << 32);
	ADD_FIELDS(kvm, slots_lock, vcpus);
	add_words(kvm->vcpus, kvm->nr_vcpus * sizeof(*kvm->vcpus));
	ADD_FIELDS(kvm, gpte_accessed, pages_4k);
	if (fp.with_counters)
		ADD_FIELDS(kvm, pages_4k, notifier_zaps);
	add_words(&kvm->oracles, sizeof(kvm->oracles));
}

static void add_want(const struct want *want)
{
	add(want->kind);
	add((uintptr_t)want->lock);
	for (int i = 0; i < want->nr_snapshot; i++) {
		add((uintptr_t)want->snapshot[i]);
		add(want->sections[i]);
	}
}

static void add_actor(const struct actor *actor)
{
	const struct task *task = &actor->task;
	const char *stack;
	size_t size;

	add((u64)actor->op | (u64)actor->begun << 16 | (u64)actor->waits << 18 |
	    (u64)(actor->retries < 4 ? actor->retries : 4) << 20 |
	    (u64)actor->label->id << 32);
	add((u64)task->srcu_depth | (u64)task->srcu_section << 32);
	add((u64)task->notifier_depth | (u64)task->nr_held << 32);
	add_words(task->held, task->nr_held * sizeof(*task->held));
	add_words(&task->task_work, sizeof(task->task_work));
	if (!actor->begun)
		return;
	if (actor->waits)
		add_want(&actor->want);
	stack = live_stack(actor, &size);
	add_words(stack, size);
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

/*
 * Two NH hashes of each chunk (Black, Halevi, Krawczyk, Krovetz and Rogaway, 1999): sums of
 * products, which the processor works on side by side; then a mix of the chunks.
 */
static struct fingerprint hashed(void)
{
	struct fingerprint all = { fp.nr_words, ~(u64)fp.nr_words };

	memset(fp.words + fp.nr_words, 0, (-fp.nr_words % 2) * sizeof(u64));
	for (u32 at = 0; at < fp.nr_words; at += CHUNK) {
		u32 n = fp.nr_words - at < CHUNK ? fp.nr_words - at : CHUNK;
		const u64 *word = fp.words + at, *key = fp.keys;
		unsigned __int128 a = 0, b = 0;

		for (u32 i = 0; i < n; i += 2) {
			a += (unsigned __int128)(word[i] + key[i]) * (word[i + 1] + key[i + 1]);
			b += (unsigned __int128)(word[i] + key[i + 2]) * (word[i + 1] + key[i + 3]);
		}
		all.a = mixed(mixed(all.a, a), a >> 64);
		all.b = mixed(mixed(all.b, b), b >> 64);
	}
	return (struct fingerprint){ mixed(all.a, all.b), mixed(all.b, all.a) };
}

struct fingerprint fingerprint_state(const struct actor *next, bool how)
{
	u64 seen = 0;

	arena_view(&fp.arena);
	fp.nr_words = 0;
	fp.nr_objects = 0;
	if (!++fp.walk) {
		memset(fp.object, 0, sizeof(fp.object));
		fp.walk = 1;
	}
	for (u32 i = 0; i < exec.nr_seen; i++)
		seen += mixed(exec.seen[i], 4);
	add(seen);
	add(fingerprint_violations(&exec.run));
	add(fingerprint_results(exec.program, &exec.run));
	add((u64)next->task.index | (u64)exec.at_boundary << 8 | (u64)how << 9);
	add_kvm(&exec.kvm);
	for (int i = 0; i < exec.nr_actors; i++)
		add_actor(&exec.actors[i]);
	for (int i = 0; i < exec.nr_waiting; i++)
		add(exec.waiting[i]->task.index);
	for (u32 i = 0; i < fp.nr_objects; i++) {
		u32 grain = fp.queue[i], grains = ending(grain) - grain;

		add(grains);
		add_words(fp.arena.base + (size_t)grain * ARENA_GRAIN,
			  (size_t)grains * ARENA_GRAIN);
	}
	return hashed();
}

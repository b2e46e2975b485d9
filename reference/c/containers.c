/* SPDX-License-Identifier: GPL-2.0-only */
/* The arena of a run, ordered maps and vectors: see containers.h. */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "shim.h"

#define ARENA_GRAIN 16

/* Blocks are kept for the next run; a run takes the next one when the last is full. */
#define BLOCK_SIZE (256u << 10)
#define BLOCKS_MAX 1024

/* What is not in use is zero: cleaning up after a run is cheaper than before each object. */
static struct {
	char *blocks[BLOCKS_MAX];
	u32 block; /* in use; those before it are full, or nearly */
	size_t used; /* of that block */
} arena;

/* Give back all but the first bytes of the first block. */
static void arena_shrink(size_t keep)
{
	for (; arena.block; arena.block--) {
		if (arena.used)
			memset(arena.blocks[arena.block], 0, arena.used);
		arena.used = BLOCK_SIZE;
	}
	if (arena.used > keep)
		memset(arena.blocks[0] + keep, 0, arena.used - keep);
	arena.used = keep;
}

void arena_reset(void)
{
	arena_shrink(0);
}

/* The memory of an exploration: see arena.h. */
static struct {
	bool on;
	struct arena_lanes all;
	uint32_t used[TASKS_MAX];
} lanes;

struct arena_lanes *arena_lanes_begin(uint32_t nr)
{
	if (!lanes.all.base)
		lanes.all.base = calloc(TASKS_MAX, LANE_SIZE);
	if (!lanes.all.base)
		return NULL;
	if (lanes.all.nr) /* the last exploration's */
		memset(lanes.all.base, 0, lanes.all.nr * LANE_SIZE);
	memset(lanes.used, 0, sizeof(lanes.used));
	lanes.all.nr = nr;
	lanes.all.used = lanes.used;
	lanes.all.full = false;
	lanes.on = true;
	return &lanes.all;
}

void arena_lanes_end(void)
{
	lanes.on = false;
}

static void *lane_alloc(u32 lane, size_t size)
{
	char *memory = lanes.all.base + lane * LANE_SIZE + lanes.used[lane];

	if (lanes.used[lane] + size > LANE_SIZE) {
		lanes.all.full = true;
		harness_error("a task takes more than %u KiB", LANE_SIZE >> 10);
	}
	lanes.used[lane] += size;
	return memory;
}

/* A kept arena: only the first block, and not much of it; setups are small. */
#define KEPT_MAX (64u << 10)

static struct {
	char memory[KEPT_MAX];
	size_t used;
} kept;

bool arena_keep(void)
{
	if (arena.block || arena.used > KEPT_MAX)
		return false;
	kept.used = arena.used;
	if (kept.used)
		memcpy(kept.memory, arena.blocks[0], kept.used);
	return true;
}

void arena_restore(void)
{
	arena_shrink(kept.used);
	if (kept.used)
		memcpy(arena.blocks[0], kept.memory, kept.used);
}

void *arena_alloc(size_t size)
{
	char *memory;

	size = (size + ARENA_GRAIN - 1) & ~(size_t)(ARENA_GRAIN - 1);
	if (lanes.on)
		return lane_alloc(current ? current->index + 1 : 0, size);
	if (size > BLOCK_SIZE)
		harness_error("an object of %zu bytes", size);
	if (arena.used + size > BLOCK_SIZE) {
		if (arena.block == BLOCKS_MAX - 1)
			harness_error("a run takes more than %u MiB",
				      BLOCKS_MAX * (BLOCK_SIZE >> 10) >> 10);
		arena.block++;
		arena.used = 0;
	}
	if (!arena.blocks[arena.block]) {
		arena.blocks[arena.block] = calloc(1, BLOCK_SIZE);
		if (!arena.blocks[arena.block])
			harness_error("no memory");
	}
	memory = arena.blocks[arena.block] + arena.used;
	arena.used += size;
	return memory;
}

/* Room for one more; the old place is left to the arena. */
static void *grown(void *items, u32 n, u32 *cap, size_t item)
{
	u32 more = *cap ? 2 * *cap : 8;
	char *room = arena_alloc(more * item);

	if (n)
		memcpy(room, items, n * item);
	*cap = more;
	return room;
}

void map_put(struct map *map, s64 key, void *value)
{
	for (u32 i = 0; i < map->n; i++) {
		if (map->entries[i].key == key) {
			map->entries[i].value = value;
			return;
		}
	}
	if (map->n == map->cap)
		map->entries = grown(map->entries, map->n, &map->cap, sizeof(*map->entries));
	map->entries[map->n++] = (struct map_entry){ key, value };
}

void map_del(struct map *map, s64 key)
{
	for (u32 i = 0; i < map->n; i++) {
		if (map->entries[i].key == key) {
			map->n--;
			memmove(map->entries + i, map->entries + i + 1,
				(map->n - i) * sizeof(*map->entries));
			map->entries[map->n] = (struct map_entry){ 0, NULL };
			return;
		}
	}
}

struct keys map_keys_in(const struct map *map, s64 start, s64 end)
{
	struct keys keys = { 0, NULL };

	for (u32 i = 0; i < map->n; i++) {
		s64 key = map->entries[i].key;
		u32 at;

		if (key < start || key >= end)
			continue;
		if (!keys.key)
			keys.key = arena_alloc((map->n - i) * sizeof(*keys.key));
		/* Keys mostly come in order already. */
		for (at = keys.n; at && keys.key[at - 1] > key; at--)
			keys.key[at] = keys.key[at - 1];
		keys.key[at] = key;
		keys.n++;
	}
	return keys;
}

struct keys map_keys(const struct map *map)
{
	/* INT64_MAX itself is no key: the largest page number is far below. */
	return map_keys_in(map, INT64_MIN, INT64_MAX);
}

void vec_push(struct vec *vec, void *item)
{
	if (vec->n == vec->cap)
		vec->items = grown(vec->items, vec->n, &vec->cap, sizeof(*vec->items));
	vec->items[vec->n++] = item;
}

void vec_insert(struct vec *vec, u32 at, void *item)
{
	vec_push(vec, item);
	memmove(vec->items + at + 1, vec->items + at, (vec->n - 1 - at) * sizeof(*vec->items));
	vec->items[at] = item;
}

void vec_remove_at(struct vec *vec, u32 at)
{
	vec->n--;
	memmove(vec->items + at, vec->items + at + 1, (vec->n - at) * sizeof(*vec->items));
	vec->items[vec->n] = NULL;
}

bool vec_remove(struct vec *vec, const void *item)
{
	for (u32 i = 0; i < vec->n; i++) {
		if (vec->items[i] == item) {
			vec_remove_at(vec, i);
			return true;
		}
	}
	return false;
}

struct vec vec_copy(const struct vec *vec)
{
	struct vec copy = { vec->n, vec->n, NULL };

	if (vec->n) {
		copy.items = arena_alloc(vec->n * sizeof(*vec->items));
		memcpy(copy.items, vec->items, vec->n * sizeof(*vec->items));
	}
	return copy;
}

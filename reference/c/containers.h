/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory of one run, and the two containers that the port keeps things in.
 *
 * Nothing is freed: a run takes memory from an arena, and the next run starts the arena anew.
 * Keys of a map keep the order in which they were first put, as in the Python model, whose
 * behaviour may depend on it.  A place that an entry has left is zero again, so that equal contents
 * are equal bytes.  Maps and vectors of a run are small (tens of entries): they are
 * searched from one end.
 */
#ifndef GMEMDIFF_CONTAINERS_H
#define GMEMDIFF_CONTAINERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef int64_t s64;
typedef uint64_t u64;
typedef uint32_t u32;
typedef __int128 s128; /* for sums of byte counts, which the Python model never wraps */

/* Zeroed memory until the end of the run. */
void *arena_alloc(size_t size);
#define new_object(type) ((type *)arena_alloc(sizeof(type)))

struct map_entry {
	s64 key;
	void *value;
};

/* An ordered map; also a set, with any value that is not NULL.  All zero is empty. */
struct map {
	u32 n, cap;
	struct map_entry *entries; /* in the order of insertion */
};

static inline void *map_get(const struct map *map, s64 key) /* NULL: not there */
{
	for (u32 i = 0; i < map->n; i++)
		if (map->entries[i].key == key)
			return map->entries[i].value;
	return NULL;
}

static inline bool map_has(const struct map *map, s64 key)
{
	return map_get(map, key) != NULL;
}

void map_put(struct map *map, s64 key, void *value); /* value is not NULL */
void map_del(struct map *map, s64 key); /* nothing happens when it is not there */

static inline void map_clear(struct map *map)
{
	if (map->n)
		memset(map->entries, 0, map->n * sizeof(*map->entries));
	map->n = 0;
}

#define SET_MEMBER ((void *)1)

static inline void set_add(struct map *set, s64 key)
{
	map_put(set, key, SET_MEMBER);
}

/* The keys in [start, end) of a map, ascending, copied out: the map may change meanwhile. */
struct keys {
	u32 n;
	s64 *key;
};
struct keys map_keys_in(const struct map *map, s64 start, s64 end);
struct keys map_keys(const struct map *map); /* all of them */

/* for (u32 i = 0; i < map.n; i++) map.entries[i].key: in the order of insertion, in place. */

struct vec {
	u32 n, cap;
	void **items;
};

void vec_push(struct vec *vec, void *item);
void vec_insert(struct vec *vec, u32 at, void *item);
void vec_remove_at(struct vec *vec, u32 at);
bool vec_remove(struct vec *vec, const void *item); /* the first; false: not there */

static inline void vec_truncate(struct vec *vec, u32 n)
{
	if (n < vec->n)
		memset(vec->items + n, 0, (vec->n - n) * sizeof(*vec->items));
	vec->n = n;
}
struct vec vec_copy(const struct vec *vec);

#define min_s64(a, b) ({ s64 min_a = (a), min_b = (b); min_a < min_b ? min_a : min_b; })
#define max_s64(a, b) ({ s64 max_a = (a), max_b = (b); max_a > max_b ? max_a : max_b; })

#endif

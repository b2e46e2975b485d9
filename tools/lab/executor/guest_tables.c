/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Identity page tables of an x86 guest, and of a nested one.
 *
 * Modelled pages are mapped by 4K entries, which shadow paging shadows; the entries of a whole
 * table are written when a page of it is first touched, dirty (a clean one would be shadowed
 * read-only) and not accessed (KVM's prefetch looks at that bit).
 */
#include "lab.h"

#if defined(__x86_64__)
#include <pthread.h>
#include <string.h>

#include "guest_x86.h"

#define TABLES_NR (HUGE_PAGE / PAGE_SIZE)
#define ENTRIES 512

#define PTE_PRESENT (1UL << 0)
#define PTE_WRITE (1UL << 1)
#define PTE_USER (1UL << 2)
#define PTE_ACCESSED (1UL << 5)
#define PTE_DIRTY (1UL << 6)
#define PTE_HUGE (1UL << 7)
#define PTE_ADDRESS 0x000ffffffffff000UL

struct tables guest_tables = { .base = TABLES_GPA, .used = TABLES_NR };
/* Walks of nested page tables count as accesses of a user. */
struct tables nested_tables = { .base = NESTED_TABLES_GPA, .extra = PTE_USER, .used = TABLES_NR };

static uint64_t new_table(struct tables *tables)
{
	if (tables->used == TABLES_NR)
		return 0;
	return tables->base + tables->used++ * PAGE_SIZE;
}

/* The table that an entry points to, made if there is none; 0 when there is no room. */
static uint64_t below(struct tables *tables, uint64_t *entry)
{
	if (!(*entry & PTE_PRESENT)) {
		uint64_t gpa = new_table(tables);

		if (!gpa)
			return 0;
		*entry = gpa | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | tables->extra;
	}
	return *entry & PTE_ADDRESS;
}

static uint64_t *page_directory(struct tables *tables, uint64_t address)
{
	uint64_t *root = guest_memory(tables->base), *directories;
	uint64_t gpa = below(tables, &root[address >> 39 & (ENTRIES - 1)]);

	if (!gpa)
		return NULL;
	directories = guest_memory(gpa);
	gpa = below(tables, &directories[address >> 30 & (ENTRIES - 1)]);
	return gpa ? guest_memory(gpa) : NULL;
}

static bool map_locked(struct tables *tables, uint64_t gfn)
{
	uint64_t address = gfn * PAGE_SIZE, *directory = page_directory(tables, address);
	uint64_t first = gfn & ~(uint64_t)(ENTRIES - 1), *entry, *table, gpa;
	uint64_t bits = PTE_PRESENT | PTE_WRITE | PTE_DIRTY | tables->extra;
	unsigned int i;

	if (!directory)
		return false;
	entry = &directory[address >> 21 & (ENTRIES - 1)];
	if (*entry & PTE_PRESENT)
		return true;
	gpa = new_table(tables);
	if (!gpa)
		return false;
	table = guest_memory(gpa);
	for (i = 0; i < ENTRIES; i++)
		table[i] = (first + i) * PAGE_SIZE | bits;
	*entry = gpa | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | tables->extra;
	return true;
}

/* Makes sure that a page is mapped to itself; false when there is no room. */
bool tables_map(struct tables *tables, uint64_t gfn)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	bool done;

	pthread_mutex_lock(&lock);
	done = map_locked(tables, gfn);
	pthread_mutex_unlock(&lock);
	return done;
}

/* Page tables start anew with each VM, with the code's huge page; what was used is cleaned. */
void tables_reset(struct tables *tables)
{
	uint64_t *directory;

	memset(guest_memory(tables->base), 0, tables->used * PAGE_SIZE);
	tables->used = 1;
	directory = page_directory(tables, CODE_GPA);
	directory[CODE_GPA >> 21 & (ENTRIES - 1)] = CODE_GPA | PTE_PRESENT | PTE_WRITE | PTE_HUGE |
						    PTE_ACCESSED | PTE_DIRTY | tables->extra;
}
#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads mode: after the setup each actor is a thread, with small random delays between ops. */
#include "lab.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#define DELAY_BITS_MAX 14

struct actor {
	const struct test_case *test;
	const char *name;
	unsigned int number;
	uint64_t random;
	pthread_t thread;
};

static pthread_barrier_t start_line;

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Most delays are short; one in a few is as long as an op. */
static void delay(uint64_t *state)
{
	uint64_t random = next_random(state);
	volatile uint64_t count = (random >> 16) & ((1UL << (random % (DELAY_BITS_MAX + 1))) - 1);

	while (count--)
		;
}

static void pin(unsigned int number)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(number % (cpus > 0 ? cpus : 1), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *act(void *data)
{
	struct actor *actor = data;
	const struct test_case *test = actor->test;
	unsigned int i;

	pin(actor->number);
	pthread_barrier_wait(&start_line);
	for (i = test->setup_nr; i < test->program_nr; i++) {
		if (strcmp(test->ops[i].actor, actor->name))
			continue;
		delay(&actor->random);
		run_op(test, i);
	}
	return NULL;
}

/* Returns when all actors have done all their ops. */
void run_threads(const struct test_case *test, unsigned int attempt)
{
	static struct actor actors[ACTORS_MAX];
	unsigned int count = 0, i, j;

	for (i = test->setup_nr; i < test->program_nr; i++) {
		for (j = 0; j < count && strcmp(actors[j].name, test->ops[i].actor); j++)
			;
		if (j < count)
			continue;
		if (count == ACTORS_MAX)
			die("case %u: too many actors", test->id);
		actors[count] = (struct actor){
			.test = test,
			.name = test->ops[i].actor,
			.number = count,
			.random = (attempt + 1) * 0x9e3779b97f4a7c15UL ^ (count + 1) << 20,
		};
		count++;
	}
	if (!count)
		return;
	pthread_barrier_init(&start_line, NULL, count);
	for (i = 0; i < count; i++)
		if (pthread_create(&actors[i].thread, NULL, act, &actors[i]))
			die("case %u: no thread", test->id);
	for (i = 0; i < count; i++)
		pthread_join(actors[i].thread, NULL);
}

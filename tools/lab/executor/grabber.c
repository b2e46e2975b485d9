/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A stranger: a process that has nothing to do with the VM, takes much fresh memory and marks it.
 * A guest that then reads the mark reads a page that was freed; a mark that changes was written
 * by the guest, or by KVM.  It is forked from PID 1 before the case, so that no fork of the case's
 * process disturbs what is measured.
 */
#include "lab.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define WORDS_CHECKED 8

struct order {
	uint64_t pages; /* 0: tell how many marked pages have changed */
};

static int orders[2] = { -1, -1 }, answers[2] = { -1, -1 };

static uint64_t mark(char *memory, uint64_t pages)
{
	uint64_t page, word;

	for (page = 0; page < pages; page++)
		for (word = 0; word < WORDS_CHECKED; word++)
			((uint64_t *)(memory + page * PAGE_SIZE))[word] = MARKER;
	return pages;
}

static uint64_t changed(const char *memory, uint64_t pages)
{
	uint64_t page, word, count = 0;

	for (page = 0; page < pages; page++) {
		const uint64_t *words = (const uint64_t *)(memory + page * PAGE_SIZE);

		for (word = 0; word < WORDS_CHECKED && words[word] == MARKER; word++)
			;
		count += word < WORDS_CHECKED;
	}
	return count;
}

static void serve(void)
{
	char *memory = NULL;
	uint64_t pages = 0, answer;
	struct order order;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(orders[1]);
	close(answers[0]);
	while (read(orders[0], &order, sizeof(order)) == sizeof(order)) {
		answer = 0;
		if (order.pages && memory)
			munmap(memory, pages * PAGE_SIZE);
		if (order.pages) {
			pages = order.pages;
			memory = mmap(NULL, pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (memory == MAP_FAILED)
				_exit(1);
			answer = mark(memory, pages);
		} else if (memory) {
			answer = changed(memory, pages);
		}
		if (write(answers[1], &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	_exit(0);
}

/* In PID 1, before the case's process is forked. */
pid_t grabber_start(void)
{
	pid_t pid;

	if (pipe(orders) || pipe(answers))
		die("no pipe for the grabber");
	pid = fork();
	if (!pid)
		serve();
	close(orders[0]);
	close(answers[1]);
	return pid;
}

void grabber_end(void)
{
	close(orders[1]);
	close(answers[0]);
}

static void ask(struct call *call, uint64_t pages)
{
	struct order order = { .pages = pages };
	uint64_t answer;

	if (write(orders[1], &order, sizeof(order)) != sizeof(order) ||
	    read(answers[0], &answer, sizeof(answer)) != sizeof(answer))
		result_text(call, "NO_GRABBER");
	else
		result_value(call, answer);
}

void op_grab(struct call *call)
{
	ask(call, call->args[0]);
}

void op_damage(struct call *call)
{
	ask(call, 0);
}

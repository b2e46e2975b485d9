/* SPDX-License-Identifier: GPL-2.0-only */
/* SIGBUS and SIGSEGV of a program's accesses are results; anywhere else they are our own fault. */
#include "lab.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>

static __thread sigjmp_buf escape;
static __thread volatile sig_atomic_t in_access;
static __thread volatile sig_atomic_t bus_error; /* sent by KVM_RUN for a poisoned page */

static void on_fault(int number)
{
	if (in_access)
		siglongjmp(escape, number);
	if (number == SIGBUS) {
		bus_error = 1;
		return;
	}
	signal(number, SIG_DFL);
}

void signals_init(void)
{
	struct sigaction action = { .sa_handler = on_fault };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

bool signal_seen(void)
{
	return bus_error;
}

void signal_forget(void)
{
	bus_error = 0;
}

/* A load or store of the process itself; tells whether it came through. */
bool user_access(struct call *call, volatile uint64_t *address, bool write, uint64_t value)
{
	int number = sigsetjmp(escape, 1);
	uint64_t loaded = 0;

	if (number) {
		in_access = 0;
		result_text(call, number == SIGBUS ? "SIGBUS" : "SIGSEGV");
		return false;
	}
	in_access = 1;
	if (write)
		*address = value;
	else
		loaded = *address;
	in_access = 0;
	result_value(call, loaded);
	return true;
}

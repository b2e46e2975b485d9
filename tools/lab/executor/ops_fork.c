/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Children that hold copy-on-write references.  They share the table of descriptors, so that a
 * close here is a close; mappings of guest_memfd and of vCPUs are not inherited (ops_mm.c, vm.c).
 */
#include "lab.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t children[CHILDREN_MAX];
static unsigned int oldest, youngest;

void op_fork(struct call *call)
{
	pid_t pid;

	if (youngest == CHILDREN_MAX) {
		result_number(call, -EAGAIN);
		return;
	}
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (pid > 0)
		children[youngest++] = pid;
	result_errno(call, pid < 0 ? -1 : 0);
}

static void end_oldest(void)
{
	pid_t pid = children[oldest++];

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void op_child_exit(struct call *call)
{
	if (oldest == youngest) {
		result_number(call, -EINVAL);
		return;
	}
	end_oldest();
	result_number(call, 0);
}

/* At the end of a case: their share of the descriptors would keep its VM. */
void children_end(void)
{
	while (oldest < youngest)
		end_oldest();
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* One case: a process of its own with a deadline, then what it left on the board. */
#include "lab.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILL_WAIT_MS 5000

/* The lab's own probes look through the first vCPU. */
static int actor_vcpu(const char *actor)
{
	if (!strcmp(actor, "lab"))
		return 0;
	return strncmp(actor, "vcpu", 4) ? -1 : atoi(actor + 4);
}

void run_op(const struct test_case *test, unsigned int i)
{
	const struct op *op = &test->ops[i];
	struct vm *vm = &board->vm;
	int id = actor_vcpu(op->actor);
	struct call call = {
		.test = test,
		.op = op,
		.vm = vm,
		.vcpu = id < 0 ? NULL : &vm->vcpus[id],
		.args = op->args,
		.result = &board->results[i],
		.counts = !test->threads || i < test->setup_nr || i >= test->program_nr,
	};

	board->at = i;
	op_run(&call);
}

/* The child: everything it makes goes away with it. */
static void child(const struct test_case *test, unsigned int attempt)
{
	unsigned int i;

	signals_init();
	if (vm_create(&board->vm, test))
		_exit(1);
	for (i = 0; i < (test->threads ? test->setup_nr : test->program_nr); i++)
		run_op(test, i);
	if (test->threads)
		run_threads(test, attempt);
	for (i = test->program_nr; i < test->ops_nr; i++)
		run_op(test, i);
	children_end();
	board->finished = true;
	_exit(0);
}

/* The status of the child, or -1 when it is still there after that time. */
static int wait_for(pid_t pid, unsigned int ms, int *status)
{
	struct timespec left = { ms / 1000, ms % 1000 * 1000000L };
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	for (;;) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return 0;
		/* A signal restarts the wait: rare, and the host has a deadline, too. */
		if (sigtimedwait(&chld, NULL, &left) < 0 && errno == EAGAIN)
			return waitpid(pid, status, WNOHANG) == pid ? 0 : -1;
	}
}

static void reset_board(const struct test_case *test)
{
	memset(board, 0, offsetof(struct board, results) +
			 test->ops_nr * sizeof(board->results[0]));
}

/*
 * What is left of a case whose process is gone, seen from outside: its tasks do nothing more, and
 * kernel threads find no page.
 */
static void after_exit(const struct test_case *test)
{
	unsigned int i = board->at;

	stats_read(&board->vm, board->results[i].stats);
	for (i++; i < test->ops_nr; i++) {
		struct call call = { .result = &board->results[i] };

		if (strncmp(test->ops[i].actor, "kthread", 7)) {
			result_text(&call, "killed");
			stats_read(&board->vm, call.result->stats);
			call.result->done = true;
		} else {
			run_op(test, i);
		}
	}
	board->finished = true;
}

/* A case with an exit shares its descriptors with us: the VM outlives its process. */
static pid_t start(const struct test_case *test)
{
	return test->exits ? syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0) : fork();
}

static void attempt(const struct test_case *test, unsigned int number)
{
	const char *word = "done";
	int status = 0;
	pid_t pid, grabber = 0;

	reset_board(test);
	if (test->grabs)
		grabber = grabber_start();
	pid = start(test);
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid)
		child(test, number);
	if (wait_for(pid, test->deadline_ms, &status)) {
		word = "timeout";
		kill(pid, SIGKILL);
		if (wait_for(pid, KILL_WAIT_MS, &status))
			word = "stuck";
	} else if (board->exited) {
		after_exit(test);
	} else if (board->trouble[0]) {
		word = "skipped";
	} else if (!board->finished) {
		word = "died";
		snprintf(board->trouble, sizeof(board->trouble), "%s %d",
			 WIFSIGNALED(status) ? "signal" : "exit code",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
	if (grabber) {
		grabber_end();
		kill(grabber, SIGKILL);
		waitpid(grabber, NULL, 0);
	}
	results_print(test, word, number);
	if (test->exits)
		syscall(SYS_close_range, machine.first_free_fd, ~0U, 0);
	output_flush();
	if (!strcmp(word, "stuck"))
		die("the process of case %u cannot be killed", test->id);
}

void run_case(const struct test_case *test)
{
	unsigned int i;

	output_format("# {\"begin\":%u}\n", test->id);
	output_flush();
	if (test->pages_out)
		swap_on();
	for (i = 0; i < test->repeat; i++)
		attempt(test, i);
	output_format("ok %u %s\n", test->id + 1, test->name);
}

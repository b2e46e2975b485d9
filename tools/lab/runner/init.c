/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PID 1 of a machine that runs finished programs: it loads KVM, runs each line of /programs in a
 * process of its own, sends on what they print, and goes.
 *
 * It speaks as the lab's executor does (tools/lab/wire.py): comment lines with JSON, here
 *   # {"init": 1}
 *   # {"kernel": "7.2.12", "capabilities": {}}
 *   # {"begin": NUMBER}
 *   # {"line": NUMBER, "text": "what it printed"}
 *   # {"exit": NUMBER, "status": "exit 0"}
 *   # {"end": COUNT}
 *
 * How it starts and how it speaks are the executor's, whose modules.c and output.c are linked in
 * (tools/lab/static.py).
 */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 16

/* With a VM and a vCPU that stay, no program pays for the first or the last one. */
static void open_kvm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);

	if (vm < 0 || ioctl(vm, KVM_CREATE_VCPU, 0) < 0)
		die("/dev/kvm: %s", strerror(errno));
}

static void say_line(unsigned int number, const char *text)
{
	output_format("# {\"line\": %u, \"text\": ", number);
	output_json_string(text);
	output_text("}\n");
	output_flush();
}

static void say_exit(unsigned int number, int status)
{
	bool killed = WIFSIGNALED(status);

	output_format("# {\"exit\": %u, \"status\": \"%s %d\"}\n", number,
		      killed ? "signal" : "exit",
		      killed ? WTERMSIG(status) : WEXITSTATUS(status));
	output_flush();
}

static pid_t start(char *line, int out)
{
	char *argv[WORDS_MAX + 1];
	int count = 0;
	pid_t pid;
	char *word;

	for (word = strtok(line, " \n"); word && count < WORDS_MAX; word = strtok(NULL, " \n"))
		argv[count++] = word;
	argv[count] = NULL;
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		setsid();
		dup2(out, 1);
		dup2(out, 2);
		execv(argv[0], argv);
		_exit(127);
	}
	return pid;
}

/* Send on what a program prints, until it is gone or nobody has its output open any more. */
static void follow(unsigned int number, int in, pid_t pid)
{
	const pid_t group = pid;
	char text[1024];
	size_t used = 0;
	int status = 0;

	for (;;) {
		struct pollfd one = { .fd = in, .events = POLLIN };
		int ready = poll(&one, 1, 200);
		char byte;

		if (ready == 0 && waitpid(pid, &status, WNOHANG) == pid) {
			pid = 0;
			break;
		}
		if (ready == 0)
			continue;
		if (read(in, &byte, 1) != 1)
			break;
		if (byte != '\n' && used + 1 < sizeof(text)) {
			text[used++] = byte;
			continue;
		}
		text[used] = 0;
		say_line(number, text);
		used = 0;
	}
	if (used) {
		text[used] = 0;
		say_line(number, text);
	}
	kill(-group, SIGKILL);
	if (pid)
		waitpid(pid, &status, 0);
	say_exit(number, status);
}

int main(void)
{
	struct utsname name;
	unsigned int count = 0;
	const char *module;
	char line[512];
	FILE *programs;

	mount_all();
	mkdir("/tmp", 0755);
	output_init();
	output_text("# {\"init\": 1}\n");
	output_flush();
	module = load_modules();
	if (module)
		die("the module %s cannot be loaded: %s", module, strerror(errno));
	open_kvm();
	uname(&name);
	output_format("# {\"kernel\": \"%s\", \"capabilities\": {}}\n", name.release);
	programs = fopen("/programs", "re");
	if (!programs)
		die("/programs: %s", strerror(errno));
	while (fgets(line, sizeof(line), programs)) {
		int ends[2];
		pid_t pid;

		if (pipe2(ends, O_CLOEXEC))
			die("pipe2: %s", strerror(errno));
		output_format("# {\"begin\": %u}\n", count);
		output_flush();
		pid = start(line, ends[1]);
		close(ends[1]);
		follow(count++, ends[0], pid);
		close(ends[0]);
	}
	output_format("# {\"end\": %u}\n", count);
	output_flush();
	sync();
	reboot(RB_AUTOBOOT);
	return 0;
}

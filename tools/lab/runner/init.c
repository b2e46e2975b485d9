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
 * mount_all() and load_modules() are the executor's; tools/lab/programs.py puts its modules.c
 * before this file.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/io.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/kvm.h>

#define DEBUG_PORT 0xe9 /* QEMU's -debugcon: nothing of printk gets in between */
#define ARGS_MAX 16

static void say(const char *format, ...)
{
	char line[4096];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	outsb(DEBUG_PORT, line, length < (int)sizeof(line) ? length : (int)sizeof(line) - 1);
}

static void __attribute__((noreturn)) leave(void)
{
	sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static void __attribute__((noreturn)) die(const char *what)
{
	say("# {\"error\": \"%s: %s\"}\n", what, strerror(errno));
	leave();
}

/* A line of a program as a JSON string; what is not plain ASCII becomes a question mark. */
static void say_line(unsigned int number, const char *text)
{
	char quoted[2048];
	size_t used = 0;

	for (; *text && used + 3 < sizeof(quoted); text++) {
		if (*text == '"' || *text == '\\')
			quoted[used++] = '\\';
		quoted[used++] = *text >= 0x20 && *text < 0x7f ? *text : '?';
	}
	quoted[used] = 0;
	say("# {\"line\": %u, \"text\": \"%s\"}\n", number, quoted);
}

/* With a VM and a vCPU that stay, no program pays for the first or the last one. */
static void open_kvm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);

	if (vm < 0 || ioctl(vm, KVM_CREATE_VCPU, 0) < 0)
		die("/dev/kvm");
}

static pid_t start(char *line, int out)
{
	char *argv[ARGS_MAX + 1];
	int count = 0;
	pid_t pid;
	char *word;

	for (word = strtok(line, " \n"); word && count < ARGS_MAX; word = strtok(NULL, " \n"))
		argv[count++] = word;
	argv[count] = NULL;
	pid = fork();
	if (pid < 0)
		die("fork");
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
	if (WIFSIGNALED(status))
		say("# {\"exit\": %u, \"status\": \"signal %d\"}\n", number, WTERMSIG(status));
	else
		say("# {\"exit\": %u, \"status\": \"exit %d\"}\n", number, WEXITSTATUS(status));
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
	if (ioperm(DEBUG_PORT, 1, 1))
		leave();
	say("# {\"init\": 1}\n");
	module = load_modules();
	if (module)
		die(module);
	open_kvm();
	uname(&name);
	say("# {\"kernel\": \"%s\", \"capabilities\": {}}\n", name.release);
	programs = fopen("/programs", "re");
	if (!programs)
		die("/programs");
	while (fgets(line, sizeof(line), programs)) {
		int ends[2];
		pid_t pid;

		if (pipe2(ends, O_CLOEXEC))
			die("pipe2");
		say("# {\"begin\": %u}\n", count);
		pid = start(line, ends[1]);
		close(ends[1]);
		follow(count++, ends[0], pid);
		close(ends[0]);
	}
	say("# {\"end\": %u}\n", count);
	leave();
}

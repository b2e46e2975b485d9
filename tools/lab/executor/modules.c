/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What both programs that are PID 1 of a machine begin with: the executor, and tools/lab/runner/,
 * which has this file put before its own (tools/lab/programs.py).  Needs nothing of either.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void mount_all(void)
{
	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
}

/*
 * /modules/order: a file name and its parameters on each line.  Returns NULL, or the file that
 * cannot be loaded, with errno.
 */
const char *load_modules(void)
{
	static char line[512];
	FILE *order = fopen("/modules/order", "r");
	char path[600];

	while (order && fgets(line, sizeof(line), order)) {
		char *parameters;
		int fd;

		line[strcspn(line, "\n")] = 0;
		parameters = strchr(line, ' ');
		if (parameters)
			*parameters++ = 0;
		snprintf(path, sizeof(path), "/modules/%s", line);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, parameters ? parameters : "", 0) &&
			       errno != EEXIST))
			return line;
		close(fd);
	}
	if (order)
		fclose(order);
	return NULL;
}

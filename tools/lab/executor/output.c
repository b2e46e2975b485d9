/* SPDX-License-Identifier: GPL-2.0-only */
/* The way out: a port of the emulator that takes bytes (x86), so that printk cannot interleave. */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <sys/io.h>
#endif

#define DEBUG_PORT 0xe9

static char buffer[1 << 16];
static size_t used;
static int output_fd = -1; /* where there is no such port, or it may not be used */

void output_init(void)
{
#if defined(__x86_64__)
	if (!ioperm(DEBUG_PORT, 1, 1))
		return;
#endif
	output_fd = open("/dev/hvc0", O_WRONLY | O_NOCTTY);
	if (output_fd < 0)
		output_fd = open("/dev/ttyS1", O_WRONLY | O_NOCTTY);
	if (output_fd < 0)
		output_fd = 1;
}

void output_flush(void)
{
	size_t done = 0;

	while (output_fd >= 0 && done < used) {
		ssize_t count = write(output_fd, buffer + done, used - done);

		if (count < 0 && errno != EINTR)
			break;
		done += count > 0 ? count : 0;
	}
#if defined(__x86_64__)
	if (output_fd < 0)
		outsb(DEBUG_PORT, buffer, used);
#endif
	used = 0;
}

void output_text(const char *text)
{
	for (; *text; text++) {
		if (used == sizeof(buffer))
			output_flush();
		buffer[used++] = *text;
	}
}

void output_format(const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	output_text(line);
}

void output_json_string(const char *text)
{
	output_text("\"");
	for (; *text; text++) {
		unsigned char byte = *text;
		char plain[2] = { *text, 0 };

		if (byte == '"' || byte == '\\')
			output_format("\\%c", byte);
		else if (byte < 0x20 || byte > 0x7e)
			output_format("\\u%04x", byte);
		else
			output_text(plain);
	}
	output_text("\"");
}

void die(const char *format, ...)
{
	char line[400];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	output_text("# {\"error\": ");
	output_json_string(line);
	output_text("}\n");
	output_flush();
	if (getpid() == 1) {
		sync();
		reboot(RB_AUTOBOOT);
	}
	exit(1);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel logged during a case; a WARN_ONCE is made ready to fire again. */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int kmsg = -1;

void kmsg_init(void)
{
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (kmsg >= 0)
		lseek(kmsg, 0, SEEK_END);
}

static void rearm_warnings(void)
{
	int fd = open("/sys/kernel/debug/clear_warn_once", O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, "1", 1) < 0)
		output_text("");
	close(fd);
}

/* Adds ,"kmsg":[lines] to the line of JSON that is being written, if there are any. */
void kmsg_report(void)
{
	char record[4096];
	bool any = false, warned = false;
	ssize_t size;

	while (kmsg >= 0) {
		char *text, *end;

		size = read(kmsg, record, sizeof(record) - 1);
		if (size < 0 && errno == EPIPE)
			continue; /* overwritten before we read it */
		if (size <= 0)
			break;
		record[size] = 0;
		text = strchr(record, ';');
		end = text ? strchr(text, '\n') : NULL;
		if (!end)
			continue;
		*end = 0;
		warned |= strstr(text, "cut here") != NULL;
		output_text(any ? "," : ",\"kmsg\":[");
		output_json_string(text + 1);
		any = true;
	}
	if (any)
		output_text("]");
	if (warned)
		rearm_warnings();
}

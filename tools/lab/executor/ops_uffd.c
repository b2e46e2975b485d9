/* SPDX-License-Identifier: GPL-2.0-only */
/* Userfaultfd write protection.  A write to a protected page is let through at once. */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int sync_uffd = -1, async_uffd = -1;

static int open_uffd(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		int saved = errno;

		close(fd);
		errno = saved;
		fd = -1;
	}
	return fd;
}

static int protect(int fd, uint64_t start, uint64_t length, uint64_t mode)
{
	struct uffdio_writeprotect range = {
		.range = { .start = start, .len = length },
		.mode = mode,
	};

	return ioctl(fd, UFFDIO_WRITEPROTECT, &range);
}

static void *let_through(void *unused)
{
	struct uffd_msg message;

	while (read(sync_uffd, &message, sizeof(message)) == sizeof(message)) {
		uint64_t page = message.arg.pagefault.address & -PAGE_SIZE;

		if (message.event == UFFD_EVENT_PAGEFAULT)
			protect(sync_uffd, page, PAGE_SIZE, 0);
	}
	return unused;
}

static int get_uffd(bool async)
{
	pthread_t thread;

	if (async && async_uffd < 0)
		async_uffd = open_uffd(UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED);
	if (!async && sync_uffd < 0) {
		sync_uffd = open_uffd(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
		if (sync_uffd >= 0 && pthread_create(&thread, NULL, let_through, NULL))
			return -1;
	}
	return async ? async_uffd : sync_uffd;
}

static int watch(int fd, uint64_t start, uint64_t length)
{
	struct uffdio_register range = {
		.range = { .start = start, .len = length },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	return ioctl(fd, UFFDIO_REGISTER, &range);
}

static uint64_t whole_pages(uint64_t length)
{
	return (length + PAGE_SIZE - 1) & -PAGE_SIZE;
}

void op_uffd_wp(struct call *call)
{
	uint64_t start = call->args[0], length = whole_pages(call->args[1]);
	int fd = get_uffd(call->args[2]);

	if (fd < 0 || watch(fd, start, length))
		result_errno(call, -1);
	else
		result_errno(call, protect(fd, start, length, UFFDIO_WRITEPROTECT_MODE_WP));
}

/* The scan write-protects only what is watched for asynchronous faults. */
void op_pagemap_scan(struct call *call)
{
	struct pm_scan_arg scan = {
		.size = sizeof(scan),
		.flags = PM_SCAN_WP_MATCHING,
		.start = call->args[0],
		.end = call->args[0] + whole_pages(call->args[1]),
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};
	int fd = get_uffd(true), pagemap;
	long result;

	if (fd >= 0)
		watch(fd, call->args[0], whole_pages(call->args[1]));
	pagemap = open("/proc/self/pagemap", O_RDONLY);
	result = ioctl(pagemap, PAGEMAP_SCAN, &scan);
	result_errno(call, result < 0 ? -1 : 0);
	close(pagemap);
}

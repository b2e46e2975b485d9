/* SPDX-License-Identifier: GPL-2.0-only */
/* What others do to single pages: migration, poison, soft-dirty. */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_PFN ((1ULL << 55) - 1)
#define POISON_FILE "/sys/devices/system/memory/hard_offline_page"

static int write_word(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), result, saved;

	if (fd < 0)
		return -1;
	result = write(fd, text, strlen(text)) < 0 ? -1 : 0;
	saved = errno;
	close(fd);
	errno = saved;
	return result;
}

void op_clear_refs(struct call *call)
{
	result_errno(call, write_word("/proc/self/clear_refs", "4"));
}

/* To the other node; a page that is not there has no node. */
static void migrate(struct call *call)
{
	void *page = (void *)(call->args[0] & -PAGE_SIZE);
	int status = -1, node;
	long result = syscall(SYS_move_pages, 0, 1UL, &page, NULL, &status, 0);

	if (!result && status >= 0) {
		node = !status;
		result = syscall(SYS_move_pages, 0, 1UL, &page, &node, &status, MPOL_MF_MOVE);
	}
	if (result < 0)
		result_errno(call, -1);
	else
		result_number(call, status < 0 ? status : 0);
}

void op_move_pages(struct call *call)
{
	migrate(call);
}

void op_migrate(struct call *call)
{
	migrate(call);
}

/* Physical address of what a user address maps now; 0 with errno set when there is nothing. */
static uint64_t physical(uint64_t address)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry), address / PAGE_SIZE * sizeof(entry)) != sizeof(entry))
		entry = 0;
	close(fd);
	errno = ENOENT;
	return entry & PAGEMAP_PRESENT ? (entry & PAGEMAP_PFN) * PAGE_SIZE : 0;
}

static void poison(struct call *call, uint64_t address)
{
	uint64_t where = physical(address);
	char text[32];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)where);
	result_errno(call, where ? write_word(POISON_FILE, text) : -1);
}

void op_memory_failure(struct call *call)
{
	poison(call, call->args[0]);
}

/*
 * The page of a file is found through a mapping of our own, which goes before the page is
 * poisoned; one that is not in the page cache is not brought there.
 */
void op_gmem_failure(struct call *call)
{
	uint64_t offset = call->args[1], where = 0;
	int fd = vm_file(call->vm, call->args[0]);
	unsigned char in_core = 0;
	char *view, text[32];
	struct call look = *call;
	struct result ignored;

	look.result = &ignored;
	view = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, offset);
	if (view == MAP_FAILED) {
		result_number(call, -ENOENT);
		return;
	}
	if (!mincore(view, PAGE_SIZE, &in_core) && in_core & 1 &&
	    user_access(&look, (uint64_t *)view, false, 0))
		where = physical((uint64_t)view);
	munmap(view, PAGE_SIZE);
	errno = ENOENT;
	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)where);
	result_errno(call, where ? write_word(POISON_FILE, text) : -1);
}

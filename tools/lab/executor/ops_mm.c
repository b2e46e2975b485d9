/* SPDX-License-Identifier: GPL-2.0-only */
/* System calls on the process's own memory. */
#include "lab.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MPOL_F_NUMA_BALANCING
#define MPOL_F_NUMA_BALANCING (1 << 13)
#endif
#ifndef MREMAP_FIXED
#define MREMAP_MAYMOVE 1
#define MREMAP_FIXED 2
#endif

/* In the order of ADVICE in fuzz/vocabulary.py. */
static const int advice[] = {
	MADV_DONTNEED, MADV_DONTNEED_LOCKED, MADV_FREE, MADV_REMOVE, MADV_PAGEOUT, MADV_COLD,
	MADV_GUARD_INSTALL, MADV_GUARD_REMOVE, MADV_HWPOISON, MADV_SOFT_OFFLINE,
	MADV_POPULATE_WRITE,
};

/* The C library's wrappers check some arguments themselves; the kernel is to see them all. */
static long call5(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	return syscall(number, a, b, c, d, e, 0);
}

/* Without a file the memory is anonymous and private, as the model's is. */
void op_mmap(struct call *call)
{
	const uint64_t *a = call->args;
	bool anonymous = (long)a[2] == FD_NONE;
	int flags = MAP_FIXED | (a[5] && !anonymous ? MAP_SHARED : MAP_PRIVATE);
	long result = syscall(SYS_mmap, a[0], a[1], a[4], flags | (anonymous ? MAP_ANONYMOUS : 0),
			      anonymous ? -1 : vm_file(call->vm, a[2]), a[3]);

	if (result > 0 && !anonymous && call->test->forks)
		call5(SYS_madvise, a[0], a[1], MADV_DONTFORK, 0, 0);
	result_errno(call, result == -1 ? -1 : 0);
}

void op_munmap(struct call *call)
{
	result_errno(call, call5(SYS_munmap, call->args[0], call->args[1], 0, 0, 0));
}

void op_mremap(struct call *call)
{
	const uint64_t *a = call->args;
	long flags = a[3] ? MREMAP_MAYMOVE | MREMAP_FIXED : 0;
	long result = call5(SYS_mremap, a[0], a[1], a[2], flags, a[3]);

	result_errno(call, result == -1 ? -1 : 0);
}

void op_mprotect(struct call *call)
{
	result_errno(call, call5(SYS_mprotect, call->args[0], call->args[1], call->args[2], 0, 0));
}

void op_madvise(struct call *call)
{
	const uint64_t *a = call->args;

	result_errno(call, call5(SYS_madvise, a[0], a[1], advice[a[2]], 0, 0));
}

/* policy: default, bind, bind_balancing; the nodes are all there are. */
void op_mbind(struct call *call)
{
	const uint64_t *a = call->args;
	unsigned long nodes = 1;
	int mode = MPOL_DEFAULT;

	if (a[2])
		mode = MPOL_BIND | (a[2] == 2 ? MPOL_F_NUMA_BALANCING : 0);
	result_errno(call, syscall(SYS_mbind, a[0], a[1], mode, mode ? &nodes : NULL,
				   mode ? 8 * sizeof(nodes) : 0, 0));
}

void op_mlock(struct call *call)
{
	result_errno(call, call5(SYS_mlock, call->args[0], call->args[1], 0, 0, 0));
}

void op_msync(struct call *call)
{
	result_errno(call, call5(SYS_msync, call->args[0], call->args[1], MS_SYNC, 0, 0));
}

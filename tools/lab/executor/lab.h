/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lab's executor: PID 1 of a machine under test.  It reads cases from its initrd, carries each
 * out in a process of its own with real ioctls, system calls and guest code, and writes what came
 * of it as KTAP with one line of JSON per attempt.
 *
 * Every piece of the executor's memory stays away from the areas A to H that programs map and
 * unmap: it is linked low, and the kernel places stack and mappings high.
 */
#ifndef LAB_H
#define LAB_H

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "uapi.h"

#define PAGE_SIZE 4096UL
#define OPS_MAX 512
#define ARGS_MAX 10
#define VCPUS_MAX 8
#define FILES_MAX 8
#define CACHES_MAX 4
#define CHILDREN_MAX 64
#define ACTORS_MAX 16
#define ADVICE_PAGEOUT 4 /* in ADVICE of fuzz/vocabulary.py */
#define TEXTS_SIZE (1UL << 20)
#define BITMAP_SIZE (1UL << 20) /* bytes: dirty bitmap of a slot of up to 32 GiB */

/* Descriptors of programs that are not gmem0 .. gmem7; see fuzz/vocabulary.py. */
#define FD_NONE (-1L)
#define FD_BAD (-2L)
#define FD_FILE (-3L)
#define FD_FOREIGN (-4L)

/* What the grabber fills memory with; see tools/lab/case.py. */
#define MARKER 0x6b72616d62616c67UL

/* The executor's own slot: a huge page of guest code, others of guest page tables. */
#define HUGE_PAGE (2UL << 20)
#define PRIVATE_SLOT 32700
#define PRIVATE_GPA 0xd0000000UL
#define PRIVATE_HVA 0x600000000000UL
#define PRIVATE_SIZE (3 * HUGE_PAGE)

/* KVM's statistics that are read after each op, in the order of tools/lab/case.py. */
enum {
	STAT_PAGES_4K,
	STAT_PF_FIXED,
	STAT_TLB_FLUSH,
	STAT_REMOTE,
	STAT_REMOTE_REQUESTS,
	STAT_PF_TAKEN,
	STAT_PF_EMULATE,
	STAT_PF_SPURIOUS,
	STATS_NR
};
#define STAT_ABSENT UINT64_MAX

/* What an op came to: a number (negative: an errno), a value that was read, or a word. */
struct result {
	bool done;
	bool is_text;
	bool is_value; /* unsigned */
	int64_t number;
	uint32_t text; /* offset in board.texts */
	uint64_t stats[STATS_NR];
};

struct vcpu {
	int fd;
	int stats_fd;
	struct kvm_run *run;
	uint64_t hidden[STATS_NR]; /* faults on the executor's own slot */
};

struct vm {
	int fd;
	int stats_fd;
	unsigned int vcpus_nr;
	struct vcpu vcpus[VCPUS_MAX];
	int files[FILES_MAX]; /* gmem0 ..; -1 when there is none */
	int cache_vcpus[CACHES_MAX]; /* whose vcpu_info are the gfn_to_pfn caches */
};

struct call; /* an op on its way */
typedef void op_function(struct call *call);

struct op_kind {
	const char *name;
	unsigned int args_nr;
	op_function *run;
};

struct op {
	char actor[16];
	unsigned int index;
	const struct op_kind *kind;
	uint64_t args[ARGS_MAX];
};

struct test_case {
	unsigned int id;
	char name[96];
	bool threads;
	bool forks; /* has a fork op: what a child must not inherit is marked so */
	bool smm; /* has an access in system management mode */
	bool nested; /* has an access of a nested guest */
	bool caches; /* has gpc ops */
	bool pages_out; /* has an op that wants swap space */
	bool grabs; /* has a grab probe */
	bool exits; /* has an exit_mm op: the VM outlives its process */
	bool sw_protected;
	unsigned int repeat;
	unsigned int vcpus_nr;
	unsigned int deadline_ms;
	unsigned int setup_nr; /* the first ops, which run alone also in threads mode */
	unsigned int program_nr; /* the ops behind are the lab's own probes, run last and alone */
	unsigned int ops_nr;
	struct op ops[OPS_MAX];
};

/* What the process of a case shares with PID 1, so that a hang or a death loses nothing. */
struct board {
	struct vm vm;
	unsigned int at; /* the op that runs */
	bool finished;
	bool exited; /* by an exit_mm op; PID 1 goes on */
	char trouble[160]; /* why the case cannot run on this kernel */
	uint32_t texts_used;
	struct result results[OPS_MAX];
	char texts[TEXTS_SIZE];
};

struct call {
	const struct test_case *test;
	const struct op *op;
	struct vm *vm;
	struct vcpu *vcpu; /* NULL unless the actor is one */
	const uint64_t *args;
	struct result *result;
	bool counts; /* KVM's statistics are read after it */
};

/* main.c: what is the same for the whole boot */
struct machine {
	int kvm;
	int dummy_vm; /* stays open, so that no case's VM is the first or the last */
	int foreign_gmem;
	int plain_file; /* open, but neither a guest_memfd nor anything that can be mapped */
	int vcpu_mmap_size;
	bool has_private_huge;
	int first_free_fd; /* what a case that shares our descriptors leaves open starts here */
};
extern struct machine machine;
extern struct board *board;

/* output.c */
void output_init(void);
void output_text(const char *text);
void output_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
void output_json_string(const char *text);
void output_flush(void);
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* modules.c */
void mount_all(void);
const char *load_modules(void);

/* cases.c */
void cases_open(const char *path);
bool cases_next(struct test_case *test);

/* run.c */
void run_case(const struct test_case *test);
void run_op(const struct test_case *test, unsigned int i);

/* swap.c */
void swap_on(void);

/* threads.c */
void run_threads(const struct test_case *test, unsigned int attempt);

/* ops_fork.c */
void children_end(void);

/* grabber.c */
pid_t grabber_start(void);
void grabber_end(void);

/* kmsg.c */
void kmsg_init(void);
void kmsg_report(void);

/* results.c */
void result_number(struct call *call, long value);
void result_value(struct call *call, uint64_t value);
void result_errno(struct call *call, long value);
void result_text(struct call *call, const char *text);
void results_print(const struct test_case *test, const char *status, unsigned int attempt);

/* stats.c */
void stats_learn(int vm_fd, int vcpu_fd);
void stats_read(const struct vm *vm, uint64_t *stats);
void stats_vcpu(const struct vcpu *vcpu, uint64_t *values);
void stats_hide_faults(struct vcpu *vcpu, const uint64_t *since);

/* vm.c */
int vm_create(struct vm *vm, const struct test_case *test);
int vm_file(const struct vm *vm, long fd);

/* guest_*.c: code that runs in the guest, and the state of a new vCPU */
void guest_init(void);
int guest_setup_vcpu(struct vcpu *vcpu, bool nested);
void guest_new_vm(void);
void guest_access(struct call *call, uint64_t gfn, bool write, uint64_t value);
int guest_set_smm(struct vcpu *vcpu, bool inside);
void guest_flush(struct call *call);

/* ops_gpc.c */
int gpc_setup(struct vm *vm);

/* signals.c */
void signals_init(void);
bool user_access(struct call *call, volatile uint64_t *address, bool write, uint64_t value);
bool signal_seen(void);
void signal_forget(void);

/* ops.c and ops_*.c */
const struct op_kind *op_kind(const char *name);
void op_run(struct call *call);
#define DECLARE_OP(name) void op_##name(struct call *call)
DECLARE_OP(create_gmem);
DECLARE_OP(close);
DECLARE_OP(fallocate);
DECLARE_OP(set_region);
DECLARE_OP(set_region1);
DECLARE_OP(get_dirty_log);
DECLARE_OP(clear_dirty_log);
DECLARE_OP(enable_manual_dirty_log);
DECLARE_OP(set_attributes);
DECLARE_OP(pre_fault);
DECLARE_OP(mmap);
DECLARE_OP(munmap);
DECLARE_OP(mremap);
DECLARE_OP(mprotect);
DECLARE_OP(madvise);
DECLARE_OP(mbind);
DECLARE_OP(mlock);
DECLARE_OP(msync);
DECLARE_OP(fork);
DECLARE_OP(child_exit);
DECLARE_OP(clear_refs);
DECLARE_OP(pagemap_scan);
DECLARE_OP(uffd_wp);
DECLARE_OP(move_pages);
DECLARE_OP(migrate);
DECLARE_OP(memory_failure);
DECLARE_OP(gmem_failure);
DECLARE_OP(exit_mm);
DECLARE_OP(gpc_activate);
DECLARE_OP(gpc_activate_hva);
DECLARE_OP(gpc_refresh);
DECLARE_OP(gpc_write);
DECLARE_OP(gpc_deactivate);
DECLARE_OP(grab);
DECLARE_OP(damage);
DECLARE_OP(user_read);
DECLARE_OP(user_write);
DECLARE_OP(read);
DECLARE_OP(write);
DECLARE_OP(guest_flush);
DECLARE_OP(stat);
DECLARE_OP(nop);

#endif

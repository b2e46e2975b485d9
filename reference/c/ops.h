/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ops of a program, in the order of OPS in fuzz/vocabulary.py, and how one is begun
 * (fuzz/actors.py).
 */
#ifndef GMEMDIFF_OPS_H
#define GMEMDIFF_OPS_H

#include "kvm_host.h"

#define FOR_EACH_OP(X) \
	X(create_gmem) \
	X(close) \
	X(fallocate) \
	X(set_region) \
	X(set_region1) \
	X(get_dirty_log) \
	X(clear_dirty_log) \
	X(enable_manual_dirty_log) \
	X(set_attributes) \
	X(mmap) \
	X(munmap) \
	X(mremap) \
	X(mprotect) \
	X(madvise) \
	X(mbind) \
	X(uffd_wp) \
	X(clear_refs) \
	X(pagemap_scan) \
	X(mlock) \
	X(msync) \
	X(fork) \
	X(child_exit) \
	X(move_pages) \
	X(user_read) \
	X(user_write) \
	X(read) \
	X(write) \
	X(guest_flush) \
	X(pre_fault) \
	X(kvm_read) \
	X(kvm_write) \
	X(gpc_activate) \
	X(gpc_activate_hva) \
	X(gpc_refresh) \
	X(gpc_read) \
	X(gpc_write) \
	X(gpc_deactivate) \
	X(numa_scan) \
	X(migrate) \
	X(compact) \
	X(reclaim) \
	X(ksm) \
	X(memory_failure) \
	X(gmem_failure) \
	X(clear_young) \
	X(test_young) \
	X(clear_flush_young) \
	X(oom_reap) \
	X(exit_mm) \
	X(fail_next) \
	X(stat) \
	X(nop)

#define OP_CODE(name) OP_##name,
enum op_code { FOR_EACH_OP(OP_CODE) NR_OPS };

/* One request.  args: as many values as the op takes, in the order of OPS. */
struct op {
	u32 code; /* enum op_code */
	u32 nargs;
	u64 args[10];
};

const char *op_name(u32 code); /* NULL: no op has this code */

/* Carry out one op of a task; vcpu is the vCPU that it is, or NULL. */
result_t start_op(struct kvm *kvm, struct task *task, struct kvm_vcpu *vcpu, const struct op *op);

/* A result as programs and reports write it: a number, the name of an errno, or a word. */
void result_text(struct kvm *kvm, result_t result, char *out, size_t size);

#endif

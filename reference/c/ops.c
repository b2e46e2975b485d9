/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From an op to the function that carries it out (fuzz/actors.py): what the kernel has in its
 * system call table, and in kvm_vm_ioctl() and kvm_vcpu_ioctl() of virt/kvm/kvm_main.c.
 *
 * Turns the program's values (bytes, indices of names) into the model's (pages), and holds what
 * the entry of the ioctl or system call would hold.
 */
#include <stdio.h>
#include <string.h>

#include "ops.h"

#define OP_NAME(name) #name,
static const char *const op_names[] = { FOR_EACH_OP(OP_NAME) };

const char *op_name(u32 code)
{
	return code < NR_OPS ? op_names[code] : NULL;
}

/* KVM_SET_USER_MEMORY_REGION2: slot gpa size hva flags fd offset as. */
static s64 set_region(struct kvm *kvm, const u64 *args)
{
	struct kvm_userspace_memory_region2 mem = {
		.slot = args[0],
		.guest_phys_addr = args[1],
		.memory_size = args[2],
		.userspace_addr = args[3],
		.flags = args[4],
		.guest_memfd = args[5],
		.guest_memfd_offset = args[6],
		.as_id = args[7],
	};

	return kvm_vm_ioctl_set_memory_region(kvm, &mem, 2);
}

/* KVM_SET_USER_MEMORY_REGION: slot gpa size hva flags as. */
static s64 set_region1(struct kvm *kvm, const u64 *args)
{
	struct kvm_userspace_memory_region2 mem = {
		.slot = args[0],
		.guest_phys_addr = args[1],
		.memory_size = args[2],
		.userspace_addr = args[3],
		.flags = args[4],
		.guest_memfd = -1,
		.as_id = args[5],
	};

	return kvm_vm_ioctl_set_memory_region(kvm, &mem, 1);
}

static s64 fail_next(struct kvm *kvm, enum failure what)
{
	kvm->fail |= 1u << what;
	return 0;
}

enum stat { STAT_PAGES_4K, STAT_PF_FIXED, STAT_TLB_FLUSH, STAT_REMOTE_TLB_FLUSH }; /* STATS */

static s64 kvm_stat(const struct kvm *kvm, enum stat stat)
{
	switch (stat) {
	case STAT_PAGES_4K:
		return kvm->pages_4k;
	case STAT_PF_FIXED:
		return kvm->pf_fixed;
	case STAT_TLB_FLUSH:
		return kvm->tlb_flush;
	case STAT_REMOTE_TLB_FLUSH:
		return kvm->remote_tlb_flush;
	}
	harness_error("stat %d is not known", (int)stat);
}

/* Ioctls of a VM that KVM_BUG() has killed answer EIO (kvm_vm_ioctl(), virt/kvm/kvm_main.c). */
static bool is_kvm_ioctl(u32 code)
{
	switch (code) {
	case OP_read:
	case OP_write:
	case OP_pre_fault:
	case OP_kvm_write:
	case OP_gpc_activate:
	case OP_gpc_activate_hva:
	case OP_gpc_refresh:
	case OP_gpc_read:
	case OP_gpc_write:
	case OP_gpc_deactivate:
	case OP_create_gmem:
	case OP_set_region:
	case OP_set_region1:
	case OP_get_dirty_log:
	case OP_clear_dirty_log:
	case OP_set_attributes:
	case OP_enable_manual_dirty_log:
		return true;
	default:
		return false;
	}
}

/* KVM's own work on behalf of a vCPU that has exited: SRCU is held throughout. */
#define _in_srcu(kvm, vcpu, call)		\
({						\
	s64 in_srcu_result;			\
						\
	vcpu_exit(kvm, vcpu);			\
	in_srcu_result = (call);		\
	srcu_read_unlock(&(kvm)->srcu);		\
	in_srcu_result;				\
})

static inline s64 page_of(u64 address)
{
	return address >> PAGE_SHIFT;
}

/* A number that is only looked up or compared with a small bound. */
static inline s64 bounded(u64 number)
{
	return number < INT64_MAX ? (s64)number : INT64_MAX;
}

/*
 * Begin one op of a task, and carry it out.  A task of a dead mm does nothing more; kernel threads
 * find no page there.
 */
result_t start_op(struct kvm *kvm, struct task *task, struct kvm_vcpu *vcpu, const struct op *op)
{
	const u64 *a = op->args;
	s64 value;

	if (kvm->mm_dead && (vcpu || !strncmp(task->name, "vmm", 3) ||
			     !strncmp(task->name, "setup", 5)))
		return RESULT_KILLED;
	if (kvm->dead && is_kvm_ioctl(op->code))
		return -EIO;

	switch ((enum op_code)op->code) {
	/* VMM tasks */
	case OP_create_gmem: /* fd size flags */
		return kvm_gmem_create(kvm, a[0], a[1], a[2]);
	case OP_close: /* fd */
		return kvm_gmem_close(kvm, a[0]);
	case OP_fallocate: /* fd mode offset len */
		return kvm_gmem_fallocate(kvm, a[0], a[1], a[2], a[3]);
	case OP_set_region:
		return set_region(kvm, a);
	case OP_set_region1:
		return set_region1(kvm, a);
	case OP_get_dirty_log: /* slot as */
		return kvm_vm_ioctl_get_dirty_log(kvm, bounded(a[0]), bounded(a[1]));
	case OP_clear_dirty_log: /* slot first num bits as */
		return kvm_vm_ioctl_clear_dirty_log(kvm, bounded(a[0]), a[1], a[2], a[3],
						    bounded(a[4]));
	case OP_enable_manual_dirty_log: /* initially_set */
		return enable_manual_dirty_log(kvm, a[0]);
	case OP_set_attributes: /* gpa size attrs flags */
		return kvm_vm_ioctl_set_mem_attributes(kvm, a[0], a[1], a[2], a[3]);
	case OP_mmap: /* hva len fd offset prot share */
		return do_mmap(kvm, a[0], a[1], a[2], a[3], a[4], a[5] == 1);
	case OP_munmap: /* hva len */
		return do_munmap(kvm, a[0], a[1]);
	case OP_mremap: /* hva len new_len to */
		return do_mremap(kvm, a[0], a[1], a[2], a[3]);
	case OP_mprotect: /* hva len prot */
		return do_mprotect(kvm, a[0], a[1], a[2]);
	case OP_madvise: /* hva len advice */
		return do_madvise(kvm, a[0], a[1], a[2]);
	case OP_mbind: /* hva len policy */
		return do_mbind(kvm, a[0], a[1], a[2]);
	case OP_uffd_wp: /* hva len async */
		return uffd_writeprotect(kvm, a[0], a[1], a[2]);
	case OP_clear_refs:
		return clear_refs_write(kvm);
	case OP_pagemap_scan: /* hva len */
		return do_pagemap_scan(kvm, a[0], a[1]);
	case OP_mlock: /* hva len */
		return do_mlock(kvm, a[0], a[1]);
	case OP_msync: /* hva len */
		return do_msync(kvm, a[0], a[1]);
	case OP_fork:
		return do_fork(kvm);
	case OP_child_exit:
		return child_exit(kvm);
	case OP_move_pages: /* hva */
		return do_pages_move(kvm, page_of(a[0]));
	case OP_user_read: /* hva */
		return user_access(kvm, page_of(a[0]), false, 0);
	case OP_user_write: /* hva value */
		return user_access(kvm, page_of(a[0]), true, a[1]);

	/* vCPUs */
	case OP_read: /* gfn l2 smm */
		return kvm_vcpu_run(kvm, vcpu, a[0], NULL, a[1], bounded(a[2]));
	case OP_write: /* gfn value l2 smm */
		value = a[1];
		return kvm_vcpu_run(kvm, vcpu, a[0], &value, a[2], bounded(a[3]));
	case OP_guest_flush:
		return guest_flush(kvm, vcpu);
	case OP_pre_fault: /* gpa size */
		return kvm_vcpu_pre_fault_memory(kvm, vcpu, a[0], a[1]);
	case OP_kvm_read: /* gfn */
		return kvm_read_guest(kvm, vcpu, a[0]);
	case OP_kvm_write: /* gfn value */
		return kvm_write_guest(kvm, vcpu, a[0], a[1]);
	case OP_gpc_activate: /* gpc gpa */
		return _in_srcu(kvm, vcpu, kvm_gpc_activate(kvm, a[0], a[1]));
	case OP_gpc_activate_hva: /* gpc hva */
		return _in_srcu(kvm, vcpu, kvm_gpc_activate_hva(kvm, a[0], a[1]));
	case OP_gpc_refresh: /* gpc */
		return _in_srcu(kvm, vcpu, kvm_gpc_refresh(kvm, gpc_of(kvm, a[0])));
	case OP_gpc_read: /* gpc */
		return _in_srcu(kvm, vcpu, gpc_use(kvm, a[0], NULL));
	case OP_gpc_write: /* gpc value */
		value = a[1];
		return _in_srcu(kvm, vcpu, gpc_use(kvm, a[0], &value));
	case OP_gpc_deactivate: /* gpc */
		return _in_srcu(kvm, vcpu, kvm_gpc_deactivate(kvm, a[0]));

	/* kernel threads */
	case OP_numa_scan: /* hva len */
		return numa_scan(kvm, page_of(a[0]),
				 ((s128)a[0] + a[1] + PAGE_MASK) >> PAGE_SHIFT);
	case OP_migrate: /* hva */
		return migrate_page(kvm, page_of(a[0]));
	case OP_compact: /* hva */
		return compact_page(kvm, page_of(a[0]));
	case OP_reclaim: /* hva */
		return reclaim_page(kvm, page_of(a[0]), true);
	case OP_ksm: /* hva with */
		return ksm_merge(kvm, page_of(a[0]), page_of(a[1]));
	case OP_memory_failure: /* hva */
		return memory_failure_at(kvm, page_of(a[0]));
	case OP_gmem_failure: /* fd offset */
		return memory_failure_gmem(kvm, a[0], a[1]);
	case OP_clear_young: /* hva */
		return age_page(kvm, page_of(a[0]), AGE_CLEAR);
	case OP_test_young: /* hva */
		return age_page(kvm, page_of(a[0]), AGE_TEST);
	case OP_clear_flush_young: /* hva */
		return age_page(kvm, page_of(a[0]), AGE_CLEAR_FLUSH);
	case OP_oom_reap:
		return oom_reap(kvm);
	case OP_exit_mm:
		return exit_mmap(kvm);

	/* anybody */
	case OP_fail_next: /* what */
		return fail_next(kvm, a[0]);
	case OP_stat: /* name */
		return kvm_stat(kvm, a[0]);
	case OP_nop:
		return 0;
	case NR_OPS:
		break;
	}
	harness_error("op %u is not known", op->code);
}

static const char *errno_name(s64 error)
{
	switch (error) {
#define ERRNO_NAME(name) case name: return #name;
	ERRNO_NAME(EPERM)
	ERRNO_NAME(ENOENT)
	ERRNO_NAME(EINTR)
	ERRNO_NAME(EIO)
	ERRNO_NAME(EBADF)
	ERRNO_NAME(EAGAIN)
	ERRNO_NAME(ENOMEM)
	ERRNO_NAME(EACCES)
	ERRNO_NAME(EFAULT)
	ERRNO_NAME(EBUSY)
	ERRNO_NAME(EEXIST)
	ERRNO_NAME(ENODEV)
	ERRNO_NAME(EINVAL)
	ERRNO_NAME(EMFILE)
	ERRNO_NAME(ENOTTY)
	ERRNO_NAME(EFBIG)
	ERRNO_NAME(EOVERFLOW)
	ERRNO_NAME(EOPNOTSUPP)
	ERRNO_NAME(EHWPOISON)
	}
	return NULL;
}

static const char *word_text(const struct kvm *kvm, result_t word)
{
	switch (word) {
	case RET_PF_RETRY:
		return "RETRY";
	case RET_PF_FIXED:
		return "FIXED";
	case RET_PF_SPURIOUS:
		return "SPURIOUS";
	case RESULT_MMIO:
		return "MMIO";
	case RESULT_SIGBUS:
		return "SIGBUS";
	case RESULT_SIGSEGV:
		return "SIGSEGV";
	case RESULT_KILLED:
		return "killed";
	case RESULT_TEXT:
		return kvm->text;
	case RESULT_OK:
		return "";
	case RESULT_OOM:
		return "OOM";
	case RET_PF_CONTINUE:
		return "CONTINUE";
	}
	harness_error("result word %lld is not known", (long long)(word - INT64_MIN));
}

#define MAX_ERRNO 4095

void result_text(struct kvm *kvm, result_t result, char *out, size_t size)
{
	const char *name;

	if (is_word(result)) {
		snprintf(out, size, "%s", word_text(kvm, result));
	} else if (result < 0 && result >= -MAX_ERRNO) {
		name = errno_name(-result);
		if (name)
			snprintf(out, size, "%s", name);
		else
			snprintf(out, size, "errno%lld", -(long long)result);
	} else {
		/* Contents of a page are a u64. */
		snprintf(out, size, "%llu", (unsigned long long)result);
	}
}

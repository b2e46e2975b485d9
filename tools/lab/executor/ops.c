/* SPDX-License-Identifier: GPL-2.0-only */
/* The ops of fuzz/vocabulary.py that a real kernel can be asked for, and the small ones. */
#include "lab.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "guest_x86.h"

#define OP(name, args_nr) { #name, args_nr, op_##name }

/* args_nr: as many as the vocabulary has, in its order. */
static const struct op_kind kinds[] = {
	OP(create_gmem, 3), OP(close, 1), OP(fallocate, 4), OP(set_region, 8),
	OP(set_region1, 6), OP(get_dirty_log, 2), OP(clear_dirty_log, 5),
	OP(enable_manual_dirty_log, 1), OP(set_attributes, 4), OP(pre_fault, 2),
	OP(mmap, 6), OP(munmap, 2), OP(mremap, 4), OP(mprotect, 3), OP(madvise, 3),
	OP(fork, 0), OP(child_exit, 0), OP(clear_refs, 0), OP(pagemap_scan, 2),
	OP(uffd_wp, 3), OP(move_pages, 1), OP(migrate, 1), OP(memory_failure, 1),
	OP(gmem_failure, 2), OP(exit_mm, 0),
	OP(mbind, 3), OP(mlock, 2), OP(msync, 2), OP(user_read, 1), OP(user_write, 2),
	OP(read, 3), OP(write, 4), OP(guest_flush, 0), OP(stat, 1), OP(nop, 0),
#if defined(__x86_64__)
	OP(gpc_activate, 2), OP(gpc_activate_hva, 2), OP(gpc_refresh, 1), OP(gpc_write, 2),
	OP(gpc_deactivate, 1),
#endif
	/* the lab's own */
	OP(grab, 1), OP(damage, 0),
};

const struct op_kind *op_kind(const char *name)
{
	unsigned int i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

/* One op, its result and what KVM counts after it; threads do not stop to count. */
void op_run(struct call *call)
{
	unsigned int stat;

	call->op->kind->run(call);
	if (call->counts)
		stats_read(call->vm, call->result->stats);
	for (stat = 0; stat < STATS_NR && !call->counts; stat++)
		call->result->stats[stat] = STAT_ABSENT;
	call->result->done = true;
}

/*
 * The process goes, and with it the address space; PID 1 holds the VM.  A second one finds nothing
 * left to end, and PID 1 is who runs it (after_exit(), run.c): it must not go itself.
 */
void op_exit_mm(struct call *call)
{
	result_number(call, 0);
	if (board->exited)
		return;
	call->result->done = true;
	board->exited = true;
	children_end();
	_exit(0);
}

void op_nop(struct call *call)
{
	result_number(call, 0);
}

/*
 * In the order of STATS in fuzz/vocabulary.py.  What programs call remote_tlb_flush are all calls
 * of kvm_flush_remote_tlbs(); KVM's own of that name leaves out those that interrupted nobody.
 */
static const unsigned int asked_for[] = {
	STAT_PAGES_4K, STAT_PF_FIXED, STAT_TLB_FLUSH, STAT_REMOTE_REQUESTS,
};

void op_stat(struct call *call)
{
	const size_t known = sizeof(asked_for) / sizeof(asked_for[0]);
	uint64_t name = call->args[0], stats[STATS_NR];

	stats_read(call->vm, stats);
	if (name >= known || stats[asked_for[name]] == STAT_ABSENT)
		result_text(call, "ABSENT");
	else
		result_number(call, stats[asked_for[name]]);
}

static void access_page(struct call *call, bool write, uint64_t value, bool nested, bool smm)
{
	if (smm && guest_set_smm(call->vcpu, true)) {
		result_text(call, "NO_SMM");
		return;
	}
#if defined(__x86_64__)
	if (nested)
		nested_access(call, call->args[0], write, value);
#else
	if (nested)
		result_text(call, "NOT_NESTED");
#endif
	if (!nested)
		guest_access(call, call->args[0], write, value);
	if (smm)
		guest_set_smm(call->vcpu, false);
}

void op_read(struct call *call)
{
	access_page(call, false, 0, call->args[1], call->args[2]);
}

void op_write(struct call *call)
{
	access_page(call, true, call->args[1], call->args[2], call->args[3]);
}

void op_guest_flush(struct call *call)
{
	guest_flush(call);
}

void op_user_read(struct call *call)
{
	user_access(call, (uint64_t *)(call->args[0] & -PAGE_SIZE), false, 0);
}

void op_user_write(struct call *call)
{
	user_access(call, (uint64_t *)(call->args[0] & -PAGE_SIZE), true, call->args[1]);
}

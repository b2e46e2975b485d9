/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files on x86 guests share: page tables, and running pieces of guest code. */
#ifndef GUEST_X86_H
#define GUEST_X86_H

#include "lab.h"

#define CODE_GPA PRIVATE_GPA
#define TABLES_GPA (PRIVATE_GPA + HUGE_PAGE)
#define NESTED_TABLES_GPA (PRIVATE_GPA + 2 * HUGE_PAGE)

/* Where each piece of code starts, in bytes; NESTED_ ones are those of the nested guest. */
#define CODE_HALT 0x00
#define CODE_LOAD 0x10
#define CODE_STORE 0x20
#define CODE_FLUSH 0x30
#define CODE_VMRUN 0x40
#define NESTED_HALT 0x50
#define NESTED_LOAD 0x60
#define NESTED_STORE 0x70

/*
 * Identity page tables in a huge page of the executor's slot.  extra: bits of every entry.  The
 * root is the first page.
 */
struct tables {
	uint64_t base;
	uint64_t extra;
	unsigned int used;
};

extern struct tables guest_tables, nested_tables;

void tables_reset(struct tables *tables);
bool tables_map(struct tables *tables, uint64_t gfn);

/* KVM_RUN from one piece of code; negative errno, or the exit's reason. */
int guest_run(struct vcpu *vcpu, unsigned int code, const struct kvm_regs *regs);
int guest_resume(struct vcpu *vcpu);
void guest_report(struct call *call, int reason, bool write, uint64_t loaded);

/* guest_nested.c */
void nested_init(uint8_t *code);
void nested_access(struct call *call, uint64_t gfn, bool write, uint64_t value);

static inline void *guest_memory(uint64_t gpa)
{
	return (void *)(PRIVATE_HVA + (gpa - PRIVATE_GPA));
}

#endif

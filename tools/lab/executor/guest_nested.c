/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A nested guest under AMD's SVM: the guest's code runs another one by VMRUN, whose memory its
 * nested page tables (guest_tables.c) map to itself.  KVM shadows those.
 *
 * The nested guest is in protected mode without paging, so that it has no page tables of its own
 * that KVM would have to map.  It moves 64 bits as two halves; only the first can fault.
 */
#include "lab.h"

#if defined(__x86_64__)
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "guest_x86.h"

#define VMCB_GPA (PRIVATE_GPA + HUGE_PAGE - 2 * PAGE_SIZE)

/* Where things stand in a VMCB, in bytes (AMD's manual, volume 2, appendix B). */
#define VMCB_INTERCEPTS 0x010
#define VMCB_ASID 0x058
#define VMCB_NESTED 0x090
#define VMCB_NCR3 0x0b0
#define VMCB_ES 0x400
#define VMCB_CS 0x410
#define VMCB_SS 0x420
#define VMCB_DS 0x430
#define VMCB_EFER 0x4d0
#define VMCB_CR4 0x548
#define VMCB_CR3 0x550
#define VMCB_CR0 0x558
#define VMCB_DR7 0x560
#define VMCB_DR6 0x568
#define VMCB_RFLAGS 0x570
#define VMCB_RIP 0x578
#define VMCB_RAX 0x5f8
#define VMCB_PAT 0x668

#define INTERCEPT_VMRUN (1U << 0)
#define INTERCEPT_VMMCALL (1U << 1)
#define CODE_SEGMENT 0xc9bU /* 32 bits, 4 GiB, present */
#define DATA_SEGMENT 0xc93U

static const uint8_t vmrun[] = { 0x0f, 0x01, 0xd8, 0x0f, 0x01, 0xdc, 0xf4 }; /* vmrun; stgi; hlt */
static const uint8_t halt[] = { 0x0f, 0x01, 0xd9 }; /* vmmcall */
/* mov (%edi),%eax; mov 4(%edi),%edx; vmmcall */
static const uint8_t load[] = { 0x8b, 0x07, 0x8b, 0x57, 0x04, 0x0f, 0x01, 0xd9 };
/* mov %eax,(%edi); mov %edx,4(%edi); vmmcall */
static const uint8_t store[] = { 0x89, 0x07, 0x89, 0x57, 0x04, 0x0f, 0x01, 0xd9 };

void nested_init(uint8_t *code)
{
	memcpy(code + CODE_VMRUN, vmrun, sizeof(vmrun));
	memcpy(code + NESTED_HALT, halt, sizeof(halt));
	memcpy(code + NESTED_LOAD, load, sizeof(load));
	memcpy(code + NESTED_STORE, store, sizeof(store));
}

static void put32(uint8_t *vmcb, unsigned int at, uint32_t value)
{
	memcpy(vmcb + at, &value, sizeof(value));
}

static void put64(uint8_t *vmcb, unsigned int at, uint64_t value)
{
	memcpy(vmcb + at, &value, sizeof(value));
}

static void put_segment(uint8_t *vmcb, unsigned int at, uint32_t selector, uint32_t attributes)
{
	put32(vmcb, at, selector | attributes << 16);
	put32(vmcb, at + 4, 0xffffffff);
	put64(vmcb, at + 8, 0);
}

static void fill_vmcb(uint8_t *vmcb, unsigned int code, uint64_t rax)
{
	memset(vmcb, 0, PAGE_SIZE);
	put32(vmcb, VMCB_INTERCEPTS, INTERCEPT_VMRUN | INTERCEPT_VMMCALL);
	put32(vmcb, VMCB_ASID, 1);
	put64(vmcb, VMCB_NESTED, 1);
	put64(vmcb, VMCB_NCR3, NESTED_TABLES_GPA);
	put_segment(vmcb, VMCB_CS, 8, CODE_SEGMENT);
	put_segment(vmcb, VMCB_DS, 16, DATA_SEGMENT);
	put_segment(vmcb, VMCB_ES, 16, DATA_SEGMENT);
	put_segment(vmcb, VMCB_SS, 16, DATA_SEGMENT);
	put64(vmcb, VMCB_EFER, 0x1000); /* SVME */
	put64(vmcb, VMCB_CR0, 0x31); /* NE, ET, PE */
	put64(vmcb, VMCB_DR6, 0xffff0ff0);
	put64(vmcb, VMCB_DR7, 0x400);
	put64(vmcb, VMCB_RFLAGS, 2);
	put64(vmcb, VMCB_RIP, CODE_GPA + code);
	put64(vmcb, VMCB_RAX, rax);
	put64(vmcb, VMCB_PAT, 0x0007040600070406);
}

/* Out of the nested guest, wherever it stands, to the halt of the guest that runs it. */
static void leave(struct vcpu *vcpu)
{
	struct kvm_regs regs = { 0 };

	signal_forget();
	guest_run(vcpu, NESTED_HALT, &regs);
}

/* Runs nested code; an access that KVM cannot resolve ends it. */
static int run_nested(struct vcpu *vcpu, unsigned int code, uint64_t address, uint64_t value)
{
	struct kvm_regs regs = { .rax = VMCB_GPA, .rdi = address, .rdx = value >> 32 };

	fill_vmcb(guest_memory(VMCB_GPA), code, value & 0xffffffff);
	return guest_run(vcpu, CODE_VMRUN, &regs);
}

static uint64_t loaded(struct vcpu *vcpu)
{
	uint64_t low;

	memcpy(&low, (uint8_t *)guest_memory(VMCB_GPA) + VMCB_RAX, sizeof(low));
	return (low & 0xffffffff) | vcpu->run->s.regs.regs.rdx << 32;
}

void nested_access(struct call *call, uint64_t gfn, bool write, uint64_t value)
{
	struct vcpu *vcpu = call->vcpu;
	uint64_t before[STATS_NR];
	unsigned int code = write ? NESTED_STORE : NESTED_LOAD;
	int reason;

	signal_forget();
	if (!tables_map(&nested_tables, gfn)) {
		result_text(call, "NO_GUEST_TABLES");
		return;
	}
	stats_vcpu(vcpu, before);
	/* First to a plain end, for the faults on the executor's own page. */
	reason = run_nested(vcpu, NESTED_HALT, 0, 0);
	stats_hide_faults(vcpu, before);
	if (reason == KVM_EXIT_HLT)
		reason = run_nested(vcpu, code, gfn * PAGE_SIZE, value);
	guest_report(call, reason, write, loaded(vcpu));
	while (reason == KVM_EXIT_MMIO) { /* the other half, too */
		memset(vcpu->run->mmio.data, 0, sizeof(vcpu->run->mmio.data));
		reason = guest_resume(vcpu);
	}
	if (reason != KVM_EXIT_HLT)
		leave(vcpu);
}
#endif

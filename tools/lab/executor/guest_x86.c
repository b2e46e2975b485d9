/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest code on x86: long mode with identity page tables (guest_tables.c).
 *
 * The first huge page of the executor's slot holds the code, the others page tables.  The slot is
 * backed by huge pages, so it never counts as pages_4k.  Its own faults are kept out of pf_fixed
 * by running to a plain halt before each access.
 */
#include "lab.h"

#if defined(__x86_64__)
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "guest_x86.h"

#define CPUID_MAX 128
#define MSR_VM_HSAVE_PA 0xc0010117
#define HSAVE_GPA (PRIVATE_GPA + HUGE_PAGE - 3 * PAGE_SIZE) /* the processor's own, if it wants */

static const uint8_t halt[] = { 0xf4 };
static const uint8_t load[] = { 0x48, 0x8b, 0x07, 0xf4 }; /* mov (%rdi),%rax; hlt */
static const uint8_t store[] = { 0x48, 0x89, 0x07, 0xf4 }; /* mov %rax,(%rdi); hlt */
/* mov %cr3,%rax; mov %rax,%cr3; hlt */
static const uint8_t flush[] = { 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0xf4 };

/* A vCPU without CPUID has no long mode. */
static struct {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[CPUID_MAX];
} cpuid = { .head.nent = CPUID_MAX };

void guest_init(void)
{
	uint8_t *code = guest_memory(CODE_GPA);

	memcpy(code + CODE_HALT, halt, sizeof(halt));
	memcpy(code + CODE_LOAD, load, sizeof(load));
	memcpy(code + CODE_STORE, store, sizeof(store));
	memcpy(code + CODE_FLUSH, flush, sizeof(flush));
	nested_init(code);
	if (ioctl(machine.kvm, KVM_GET_SUPPORTED_CPUID, &cpuid))
		die("KVM_GET_SUPPORTED_CPUID: %s", strerror(errno));
}

void guest_new_vm(void)
{
	tables_reset(&guest_tables);
	tables_reset(&nested_tables);
}

static void set_segments(struct kvm_sregs *sregs)
{
	struct kvm_segment code = {
		.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1,
		.g = 1,
	};
	struct kvm_segment data = code;

	data.selector = 16;
	data.type = 3;
	data.l = 0;
	data.db = 1;
	sregs->cs = code;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
}

/* SVM for nested guests: switched on in EFER, and with a place for the host's state. */
static int allow_nested(struct vcpu *vcpu, struct kvm_sregs *sregs)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = {
		.head.nmsrs = 1,
		.entry = { .index = MSR_VM_HSAVE_PA, .data = HSAVE_GPA },
	};

	sregs->efer |= 0x1000; /* SVME */
	if (ioctl(vcpu->fd, KVM_SET_SREGS, sregs))
		return -1;
	return ioctl(vcpu->fd, KVM_SET_MSRS, &msrs) == 1 ? 0 : -1;
}

int guest_setup_vcpu(struct vcpu *vcpu, bool nested)
{
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_SET_CPUID2, &cpuid) || ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return -1;
	set_segments(&sregs);
	sregs.cr0 = 0x80000031; /* PG, NE, ET, PE */
	sregs.cr3 = TABLES_GPA;
	sregs.cr4 = 0x20; /* PAE */
	sregs.efer = 0x500; /* LMA, LME */
	if (nested)
		return allow_nested(vcpu, &sregs);
	return ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
}

/* System management mode without its entry and exit: the mode is part of a vCPU's events. */
int guest_set_smm(struct vcpu *vcpu, bool inside)
{
	struct kvm_vcpu_events events = {
		.flags = KVM_VCPUEVENT_VALID_SMM,
		.smi.smm = inside,
	};

	return ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events);
}

int guest_resume(struct vcpu *vcpu)
{
	for (;;) {
		if (!ioctl(vcpu->fd, KVM_RUN, NULL))
			return vcpu->run->exit_reason;
		if (errno != EINTR || signal_seen())
			return -errno;
	}
}

int guest_run(struct vcpu *vcpu, unsigned int code, const struct kvm_regs *regs)
{
	vcpu->run->s.regs.regs = *regs;
	vcpu->run->s.regs.regs.rip = CODE_GPA + code;
	vcpu->run->s.regs.regs.rflags = 2;
	vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	return guest_resume(vcpu);
}

/* Lets KVM end an instruction that it emulates, without running any other. */
static void finish_mmio(struct vcpu *vcpu)
{
	vcpu->run->immediate_exit = 1;
	ioctl(vcpu->fd, KVM_RUN, NULL);
	vcpu->run->immediate_exit = 0;
}

/* What an exit says of the access that led to it. */
void guest_report(struct call *call, int reason, bool write, uint64_t loaded)
{
	if (signal_seen())
		result_text(call, "SIGBUS");
	else if (reason < 0)
		result_number(call, reason);
	else if (reason == KVM_EXIT_HLT)
		result_value(call, write ? 0 : loaded);
	else if (reason == KVM_EXIT_MMIO)
		result_text(call, "MMIO");
	else if (reason == KVM_EXIT_SHUTDOWN)
		result_text(call, "SHUTDOWN");
	else if (reason == KVM_EXIT_INTERNAL_ERROR)
		result_text(call, "INTERNAL_ERROR");
	else
		result_text(call, "UNEXPECTED_EXIT");
	signal_forget();
}

/* Brings the executor's own page into KVM's tables, so that what follows faults only for itself. */
static bool warm_up(struct call *call)
{
	struct vcpu *vcpu = call->vcpu;
	struct kvm_regs regs = { 0 };
	uint64_t before[STATS_NR];
	int reason;

	stats_vcpu(vcpu, before);
	reason = guest_run(vcpu, CODE_HALT, &regs);
	stats_hide_faults(vcpu, before);
	if (reason == KVM_EXIT_HLT)
		return true;
	guest_report(call, reason, false, 0);
	return false;
}

void guest_access(struct call *call, uint64_t gfn, bool write, uint64_t value)
{
	struct kvm_regs regs = { .rdi = gfn * PAGE_SIZE, .rax = value };
	struct vcpu *vcpu = call->vcpu;
	int reason;

	signal_forget();
	if (!tables_map(&guest_tables, gfn)) {
		result_text(call, "NO_GUEST_TABLES");
		return;
	}
	if (!warm_up(call))
		return;
	reason = guest_run(vcpu, write ? CODE_STORE : CODE_LOAD, &regs);
	guest_report(call, reason, write, vcpu->run->s.regs.regs.rax);
	if (reason == KVM_EXIT_MMIO)
		finish_mmio(vcpu);
}

void guest_flush(struct call *call)
{
	struct kvm_regs regs = { 0 };

	signal_forget();
	if (warm_up(call))
		guest_report(call, guest_run(call->vcpu, CODE_FLUSH, &regs), true, 0);
}
#endif

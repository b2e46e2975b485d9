/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest code on arm64: at EL1 with its MMU off, so that stage 2 is all there is.  A piece of code
 * ends by storing x1 to an address that no slot covers.  KVM counts no pages here, so there is
 * nothing to keep clean of the executor's own slot.
 */
#include "lab.h"

#if defined(__aarch64__)
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define CODE_GPA PRIVATE_GPA
#define EXIT_GPA (PRIVATE_GPA + PRIVATE_SIZE)
#define PSTATE_EL1H 0x3c5 /* all interrupts masked */

#define CODE_LOAD 0x00
#define CODE_STORE 0x10
#define CODE_FLUSH 0x20

#define CORE_REG(name) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(name))

static const uint32_t load[] = { 0xf9400001, 0xf9000041 }; /* ldr x1,[x0]; str x1,[x2] */
static const uint32_t store[] = { 0xf9000001, 0xf9000041 }; /* str x1,[x0]; str x1,[x2] */
/* tlbi vmalle1; dsb ish; isb; str x1,[x2] */
static const uint32_t flush[] = { 0xd508871f, 0xd5033b9f, 0xd5033fdf, 0xf9000041 };

void guest_init(void)
{
	char *code = (char *)PRIVATE_HVA;

	memcpy(code + CODE_LOAD, load, sizeof(load));
	memcpy(code + CODE_STORE, store, sizeof(store));
	memcpy(code + CODE_FLUSH, flush, sizeof(flush));
	__builtin___clear_cache(code, code + PAGE_SIZE);
}

void guest_new_vm(void)
{
}

static int set_register(struct vcpu *vcpu, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uint64_t)&value };

	return ioctl(vcpu->fd, KVM_SET_ONE_REG, &reg);
}

int guest_setup_vcpu(struct vcpu *vcpu, bool nested)
{
	struct kvm_vcpu_init init;

	if (nested || ioctl(board->vm.fd, KVM_ARM_PREFERRED_TARGET, &init) ||
	    ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init))
		return -1;
	return set_register(vcpu, CORE_REG(regs.pstate), PSTATE_EL1H) ||
	       set_register(vcpu, CORE_REG(regs.regs[2]), EXIT_GPA);
}

/* KVM_RUN from one piece of code; negative errno, or the exit's reason. */
static int run_code(struct vcpu *vcpu, unsigned int code, uint64_t address, uint64_t value)
{
	if (set_register(vcpu, CORE_REG(regs.pc), CODE_GPA + code) ||
	    set_register(vcpu, CORE_REG(regs.regs[0]), address) ||
	    set_register(vcpu, CORE_REG(regs.regs[1]), value))
		return -errno;
	for (;;) {
		if (!ioctl(vcpu->fd, KVM_RUN, NULL))
			return vcpu->run->exit_reason;
		if (errno != EINTR || signal_seen())
			return -errno;
	}
}

/* Lets KVM end the access that it exited for, without running any other instruction. */
static void finish_mmio(struct vcpu *vcpu)
{
	vcpu->run->immediate_exit = 1;
	ioctl(vcpu->fd, KVM_RUN, NULL);
	vcpu->run->immediate_exit = 0;
}

static void report(struct call *call, int reason, bool write)
{
	struct kvm_run *run = call->vcpu->run;
	uint64_t stored;

	memcpy(&stored, run->mmio.data, sizeof(stored));
	if (signal_seen())
		result_text(call, "SIGBUS");
	else if (reason < 0)
		result_number(call, reason);
	else if (reason == KVM_EXIT_MMIO && run->mmio.phys_addr == EXIT_GPA)
		result_value(call, write ? 0 : stored);
	else if (reason == KVM_EXIT_MMIO)
		result_text(call, "MMIO");
	else if (reason == KVM_EXIT_INTERNAL_ERROR)
		result_text(call, "INTERNAL_ERROR");
	else
		result_text(call, "UNEXPECTED_EXIT");
	if (reason == KVM_EXIT_MMIO)
		finish_mmio(call->vcpu);
	signal_forget();
}

void guest_access(struct call *call, uint64_t gfn, bool write, uint64_t value)
{
	unsigned int code = write ? CODE_STORE : CODE_LOAD;

	signal_forget();
	report(call, run_code(call->vcpu, code, gfn * PAGE_SIZE, value), write);
}

/* There is no such mode. */
int guest_set_smm(struct vcpu *vcpu, bool inside)
{
	return vcpu && inside ? -1 : 0;
}

void guest_flush(struct call *call)
{
	signal_forget();
	report(call, run_code(call->vcpu, CODE_FLUSH, 0, 0), true);
}
#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * gfn_to_pfn caches, as KVM's Xen support has them: each cache of a program is the vcpu_info of a
 * vCPU of its own, which never runs.  Setting the same address again is a refresh; an event that
 * is sent to the vCPU is a write through the cache, of 1 to the first byte of the page.
 */
#include "lab.h"

#if defined(__x86_64__)
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA
#define KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA 0x9
#endif
#ifndef KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA
#define KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA 0x6
#endif

#define XEN_MSR 0x40000000
#define INVALID_ADDRESS UINT64_MAX
#define PRIORITY_2LEVEL 0xffffffffU
#define PORTS_PER_WORD 64
#define SHARED_INFO (PRIVATE_HVA + HUGE_PAGE - PAGE_SIZE) /* behind the guest's code */

static struct {
	bool active;
	uint16_t type;
	uint64_t address;
	unsigned int port_word; /* events used so far set these bits of evtchn_pending_sel */
} caches[CACHES_MAX];

/* The VM-wide page that events go through first; it is never touched by a program. */
int gpc_setup(struct vm *vm)
{
	struct kvm_xen_hvm_config config = {
		.flags = KVM_XEN_HVM_CONFIG_EVTCHN_SEND,
		.msr = XEN_MSR,
	};
	struct kvm_xen_hvm_attr attr = { .type = KVM_XEN_ATTR_TYPE_LONG_MODE, .u.long_mode = 1 };
	unsigned int i;

	memset(caches, 0, sizeof(caches));
	memset((void *)SHARED_INFO, 0, PAGE_SIZE);
	if (ioctl(vm->fd, KVM_XEN_HVM_CONFIG, &config) ||
	    ioctl(vm->fd, KVM_XEN_HVM_SET_ATTR, &attr))
		return -1;
	attr.type = KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA;
	attr.u.shared_info.gfn = SHARED_INFO;
	if (ioctl(vm->fd, KVM_XEN_HVM_SET_ATTR, &attr))
		return -1;
	for (i = 0; i < CACHES_MAX; i++) {
		vm->cache_vcpus[i] = ioctl(vm->fd, KVM_CREATE_VCPU, VCPUS_MAX + i);
		if (vm->cache_vcpus[i] < 0)
			return -1;
	}
	return 0;
}

static int set_address(struct call *call, uint64_t number, uint16_t type, uint64_t address)
{
	struct kvm_xen_vcpu_attr attr = { .type = type, .u.gpa = address };

	return ioctl(call->vm->cache_vcpus[number], KVM_XEN_VCPU_SET_ATTR, &attr);
}

/* An active cache keeps its address: the kernel only refreshes it then. */
static void activate(struct call *call, uint16_t type)
{
	uint64_t number = call->args[0], address = call->args[1];
	int result = set_address(call, number, type, address);

	result_errno(call, result);
	caches[number].active = true;
	caches[number].type = type;
	caches[number].address = address;
}

void op_gpc_activate(struct call *call)
{
	activate(call, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO);
}

void op_gpc_activate_hva(struct call *call)
{
	activate(call, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA);
}

static int refresh(struct call *call, uint64_t number)
{
	errno = EINVAL;
	if (!caches[number].active)
		return -1;
	return set_address(call, number, caches[number].type, caches[number].address);
}

void op_gpc_refresh(struct call *call)
{
	result_errno(call, refresh(call, call->args[0]));
}

/* Each event sets another bit, none of which the grabber's mark has: else KVM writes nothing. */
static unsigned int next_port(uint64_t number)
{
	unsigned int word = caches[number].port_word;

	while (MARKER >> word & 1)
		word++;
	caches[number].port_word = (word + 1) % PORTS_PER_WORD;
	return word * PORTS_PER_WORD + number;
}

void op_gpc_write(struct call *call)
{
	uint64_t number = call->args[0];
	struct kvm_irq_routing_xen_evtchn event = {
		.vcpu = VCPUS_MAX + number,
		.priority = PRIORITY_2LEVEL,
	};
	int result = refresh(call, number);

	if (!result) {
		event.port = next_port(number);
		result = ioctl(call->vm->fd, KVM_XEN_HVM_EVTCHN_SEND, &event);
	}
	result_errno(call, result < 0 ? -1 : 0);
}

void op_gpc_deactivate(struct call *call)
{
	uint64_t number = call->args[0];

	caches[number].active = false;
	result_errno(call, set_address(call, number, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO,
				       INVALID_ADDRESS));
}
#endif

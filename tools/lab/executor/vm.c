/* SPDX-License-Identifier: GPL-2.0-only */
/* A VM with vCPUs, whose only memory is the executor's own slot. */
#include "lab.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int private_slot(int vm, unsigned int as_id)
{
	struct kvm_userspace_memory_region region = {
		.slot = PRIVATE_SLOT | as_id << 16,
		.guest_phys_addr = PRIVATE_GPA,
		.memory_size = PRIVATE_SIZE,
		.userspace_addr = PRIVATE_HVA,
	};

	return ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static int trouble(const char *what)
{
	snprintf(board->trouble, sizeof(board->trouble), "%s: %s", what, strerror(errno));
	return -1;
}

static int create_vcpu(struct vm *vm, unsigned int id, bool nested)
{
	struct vcpu *vcpu = &vm->vcpus[id];

	memset(vcpu->hidden, 0, sizeof(vcpu->hidden));
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, id);
	if (vcpu->fd < 0)
		return trouble("KVM_CREATE_VCPU");
	vcpu->run = mmap(NULL, machine.vcpu_mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		return trouble("mmap of a vCPU");
	/* A forked child of the program must not keep the VM. */
	madvise(vcpu->run, machine.vcpu_mmap_size, MADV_DONTFORK);
	vcpu->stats_fd = ioctl(vcpu->fd, KVM_GET_STATS_FD, NULL);
	if (guest_setup_vcpu(vcpu, nested))
		return trouble("the state of a new vCPU");
	return 0;
}

/* 0, or -1 with board->trouble saying what this kernel lacks. */
int vm_create(struct vm *vm, const struct test_case *test)
{
	unsigned int i;

	memset(vm, 0, sizeof(*vm));
	for (i = 0; i < FILES_MAX; i++)
		vm->files[i] = -1;
	vm->fd = ioctl(machine.kvm, KVM_CREATE_VM,
		       test->sw_protected ? KVM_X86_SW_PROTECTED_VM : 0);
	if (vm->fd < 0)
		return trouble(test->sw_protected ? "KVM_CREATE_VM of a software-protected VM"
						  : "KVM_CREATE_VM");
	guest_new_vm();
	if (private_slot(vm->fd, 0) || (test->smm && private_slot(vm->fd, 1)))
		return trouble("the executor's own memslot");
	vm->stats_fd = ioctl(vm->fd, KVM_GET_STATS_FD, NULL);
	for (i = 0; i < test->vcpus_nr; i++) {
		if (create_vcpu(vm, i, test->nested))
			return -1;
		vm->vcpus_nr = i + 1;
	}
#if defined(__x86_64__)
	if (test->caches && gpc_setup(vm))
		return trouble("Xen's pages, which have gfn_to_pfn caches");
#endif
	return 0;
}

/* The real descriptor behind one of a program's; one that is not open where there is none. */
int vm_file(const struct vm *vm, long fd)
{
	if (fd >= 0 && fd < FILES_MAX && vm->files[fd] >= 0)
		return vm->files[fd];
	if (fd == FD_FILE)
		return machine.plain_file;
	if (fd == FD_FOREIGN)
		return machine.foreign_gmem;
	return 4000;
}

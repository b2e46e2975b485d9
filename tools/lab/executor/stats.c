/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM's binary statistics.  Where each stands is learnt once a boot, from the descriptors of the
 * dummy VM: it is the same for all VMs of one kernel.
 */
#include "lab.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const names[STATS_NR] = {
	[STAT_PAGES_4K] = "pages_4k",
	[STAT_PF_FIXED] = "pf_fixed",
	[STAT_TLB_FLUSH] = "tlb_flush",
	[STAT_REMOTE] = "remote_tlb_flush",
	[STAT_REMOTE_REQUESTS] = "remote_tlb_flush_requests",
};

#define ABSENT (-1L)
static long vm_at[STATS_NR], vcpu_at[STATS_NR]; /* where in the file; ABSENT if it is not there */

static void learn(int fd, long *at)
{
	struct kvm_stats_header header;
	char text[256];
	struct kvm_stats_desc *desc = (struct kvm_stats_desc *)text;
	unsigned int i, stat;
	size_t size;

	for (stat = 0; stat < STATS_NR; stat++)
		at[stat] = ABSENT;
	if (fd < 0 || pread(fd, &header, sizeof(header), 0) != sizeof(header))
		return;
	size = sizeof(*desc) + header.name_size;
	if (size > sizeof(text))
		die("KVM's statistics have names of %u bytes", header.name_size);
	for (i = 0; i < header.num_desc; i++) {
		if (pread(fd, text, size, header.desc_offset + i * size) != (ssize_t)size)
			return;
		for (stat = 0; stat < STATS_NR; stat++)
			if (!strcmp(desc->name, names[stat]))
				at[stat] = header.data_offset + desc->offset;
	}
}

void stats_learn(int vm_fd, int vcpu_fd)
{
	int vm = ioctl(vm_fd, KVM_GET_STATS_FD, NULL);
	int vcpu = ioctl(vcpu_fd, KVM_GET_STATS_FD, NULL);

	learn(vm, vm_at);
	learn(vcpu, vcpu_at);
	close(vm);
	close(vcpu);
}

static uint64_t read_at(int fd, long at)
{
	uint64_t value;

	return pread(fd, &value, sizeof(value), at) == sizeof(value) ? value : 0;
}

uint64_t stats_vcpu_faults(const struct vcpu *vcpu)
{
	long at = vcpu_at[STAT_PF_FIXED];

	return at == ABSENT ? 0 : read_at(vcpu->stats_fd, at);
}

/* Those of vCPUs are summed; faults on the executor's own slot are left out. */
void stats_read(const struct vm *vm, uint64_t *stats)
{
	unsigned int stat, i;

	for (stat = 0; stat < STATS_NR; stat++) {
		stats[stat] = STAT_ABSENT;
		if (vm_at[stat] != ABSENT)
			stats[stat] = read_at(vm->stats_fd, vm_at[stat]);
		if (vcpu_at[stat] == ABSENT)
			continue;
		stats[stat] = 0;
		for (i = 0; i < vm->vcpus_nr; i++)
			stats[stat] += read_at(vm->vcpus[i].stats_fd, vcpu_at[stat]);
	}
	for (i = 0; i < vm->vcpus_nr && stats[STAT_PF_FIXED] != STAT_ABSENT; i++)
		stats[STAT_PF_FIXED] -= vm->vcpus[i].hidden_faults;
}

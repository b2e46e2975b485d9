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
	[STAT_PF_TAKEN] = "pf_taken",
	[STAT_PF_EMULATE] = "pf_emulate",
	[STAT_PF_SPURIOUS] = "pf_spurious",
};
static const unsigned int faults[] = {
	STAT_PF_FIXED, STAT_PF_TAKEN, STAT_PF_EMULATE, STAT_PF_SPURIOUS,
};
#define FAULTS_NR (sizeof(faults) / sizeof(faults[0]))

#define ABSENT (-1L)
#define BLOCK_SIZE 4096
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

/* All statistics of a VM or a vCPU with one call; those that it has not are left as they are. */
static void read_all(int fd, const long *at, uint64_t *values)
{
	char block[BLOCK_SIZE];
	long first = ABSENT, size;
	unsigned int stat;

	for (stat = 0; stat < STATS_NR; stat++)
		if (at[stat] != ABSENT && (first == ABSENT || at[stat] < first))
			first = at[stat];
	if (first == ABSENT)
		return;
	size = pread(fd, block, sizeof(block), first);
	for (stat = 0; stat < STATS_NR; stat++) {
		if (at[stat] == ABSENT)
			continue;
		values[stat] = 0;
		if (at[stat] - first + (long)sizeof(*values) <= size)
			memcpy(&values[stat], block + at[stat] - first, sizeof(*values));
	}
}

void stats_vcpu(const struct vcpu *vcpu, uint64_t *values)
{
	memset(values, 0, STATS_NR * sizeof(*values));
	read_all(vcpu->stats_fd, vcpu_at, values);
}

/* Whatever faults a vCPU has taken since were on the executor's own slot. */
void stats_hide_faults(struct vcpu *vcpu, const uint64_t *since)
{
	uint64_t now[STATS_NR];
	unsigned int i;

	stats_vcpu(vcpu, now);
	for (i = 0; i < FAULTS_NR; i++)
		vcpu->hidden[faults[i]] += now[faults[i]] - since[faults[i]];
}

/* Those of vCPUs are summed; faults on the executor's own slot are left out. */
void stats_read(const struct vm *vm, uint64_t *stats)
{
	uint64_t values[STATS_NR];
	unsigned int stat, i;

	for (stat = 0; stat < STATS_NR; stat++)
		stats[stat] = vcpu_at[stat] == ABSENT ? STAT_ABSENT : 0;
	read_all(vm->stats_fd, vm_at, stats);
	for (i = 0; i < vm->vcpus_nr; i++) {
		stats_vcpu(&vm->vcpus[i], values);
		for (stat = 0; stat < STATS_NR; stat++)
			if (vcpu_at[stat] != ABSENT)
				stats[stat] += values[stat] - vm->vcpus[i].hidden[stat];
	}
}

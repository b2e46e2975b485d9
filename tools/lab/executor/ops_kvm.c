/* SPDX-License-Identifier: GPL-2.0-only */
/* Ioctls of KVM: memslots, guest_memfd, dirty log, attributes, pre-fault. */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static __thread uint64_t bitmap[BITMAP_SIZE / sizeof(uint64_t)];

void op_create_gmem(struct call *call)
{
	struct kvm_create_guest_memfd gmem = { .size = call->args[1], .flags = call->args[2] };
	long name = call->args[0];
	int fd = ioctl(call->vm->fd, KVM_CREATE_GUEST_MEMFD, &gmem);

	if (fd >= 0 && (name < 0 || name >= FILES_MAX || call->vm->files[name] >= 0)) {
		close(fd); /* the name is taken, which only the program's language knows */
		fd = -1;
		errno = EMFILE;
	}
	if (fd >= 0)
		call->vm->files[name] = fd;
	result_errno(call, fd < 0 ? -1 : 0);
}

void op_close(struct call *call)
{
	long name = call->args[0];
	bool ours = name >= 0 && name < FILES_MAX;
	int result = close(ours ? call->vm->files[name] : -1);

	if (ours)
		call->vm->files[name] = -1;
	result_errno(call, result);
}

void op_fallocate(struct call *call)
{
	result_errno(call, fallocate(vm_file(call->vm, call->args[0]), call->args[1],
				     call->args[2], call->args[3]));
}

void op_set_region(struct call *call)
{
	const uint64_t *a = call->args;
	struct kvm_userspace_memory_region2 region = {
		.slot = a[0] + (a[7] << 16),
		.guest_phys_addr = a[1],
		.memory_size = a[2],
		.userspace_addr = a[3],
		.flags = a[4],
		.guest_memfd = (long)a[5] == FD_NONE ? 0 : vm_file(call->vm, a[5]),
		.guest_memfd_offset = a[6],
	};

	result_errno(call, ioctl(call->vm->fd, KVM_SET_USER_MEMORY_REGION2, &region));
}

void op_set_region1(struct call *call)
{
	const uint64_t *a = call->args;
	struct kvm_userspace_memory_region region = {
		.slot = a[0] + (a[5] << 16),
		.guest_phys_addr = a[1],
		.memory_size = a[2],
		.userspace_addr = a[3],
		.flags = a[4],
	};

	result_errno(call, ioctl(call->vm->fd, KVM_SET_USER_MEMORY_REGION, &region));
}

/* "bits:0x..", the lowest page in the lowest bit. */
static void report_bitmap(struct call *call)
{
	static __thread char text[8 + 2 * BITMAP_SIZE];
	size_t top = sizeof(bitmap) / sizeof(bitmap[0]), length;

	while (top > 1 && !bitmap[top - 1])
		top--;
	length = sprintf(text, "bits:0x%llx", (unsigned long long)bitmap[top - 1]);
	while (--top)
		length += sprintf(text + length, "%016llx", (unsigned long long)bitmap[top - 1]);
	result_text(call, text);
}

void op_get_dirty_log(struct call *call)
{
	struct kvm_dirty_log log = {
		.slot = call->args[0] + (call->args[1] << 16),
		.dirty_bitmap = bitmap,
	};

	memset(bitmap, 0, sizeof(bitmap));
	if (ioctl(call->vm->fd, KVM_GET_DIRTY_LOG, &log))
		result_errno(call, -1);
	else
		report_bitmap(call);
}

void op_clear_dirty_log(struct call *call)
{
	struct kvm_clear_dirty_log log = {
		.slot = call->args[0] + (call->args[4] << 16),
		.first_page = call->args[1],
		.num_pages = call->args[2],
		.dirty_bitmap = bitmap,
	};

	memset(bitmap, 0, sizeof(bitmap));
	bitmap[0] = call->args[3];
	result_errno(call, ioctl(call->vm->fd, KVM_CLEAR_DIRTY_LOG, &log));
}

void op_enable_manual_dirty_log(struct call *call)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args[0] = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE,
	};

	if (call->args[0])
		cap.args[0] |= KVM_DIRTY_LOG_INITIALLY_SET;
	result_errno(call, ioctl(call->vm->fd, KVM_ENABLE_CAP, &cap));
}

void op_set_attributes(struct call *call)
{
	struct kvm_memory_attributes attributes = {
		.address = call->args[0],
		.size = call->args[1],
		.attributes = call->args[2],
		.flags = call->args[3],
	};

	result_errno(call, ioctl(call->vm->fd, KVM_SET_MEMORY_ATTRIBUTES, &attributes));
}

/* The pages that are done, or the errno of the first one. */
void op_pre_fault(struct call *call)
{
	struct kvm_pre_fault_memory range = { .gpa = call->args[0], .size = call->args[1] };

	if (ioctl(call->vcpu->fd, KVM_PRE_FAULT_MEMORY, &range))
		result_errno(call, -1);
	else
		result_number(call, (call->args[1] - range.size) / PAGE_SIZE);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* PID 1: loads KVM, runs all cases, and goes. */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/utsname.h>
#include <unistd.h>

struct machine machine;
struct board *board;

static const struct {
	const char *name;
	int number;
} capabilities[] = {
	{ "GUEST_MEMFD", KVM_CAP_GUEST_MEMFD },
	{ "GUEST_MEMFD_FLAGS", KVM_CAP_GUEST_MEMFD_FLAGS },
	{ "PRE_FAULT_MEMORY", KVM_CAP_PRE_FAULT_MEMORY },
	{ "MEMORY_ATTRIBUTES", KVM_CAP_MEMORY_ATTRIBUTES },
	{ "VM_TYPES", KVM_CAP_VM_TYPES },
	{ "USER_MEMORY2", KVM_CAP_USER_MEMORY2 },
	{ "BINARY_STATS_FD", KVM_CAP_BINARY_STATS_FD },
	{ "MANUAL_DIRTY_LOG_PROTECT2", KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 },
};

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		output_format("# %s: %s\n", path, strerror(errno));
	close(fd);
}

/* The executor's own guest memory: shared, so that forked processes have the same. */
static void private_memory(void)
{
	int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED;
	void *at;

	write_file("/proc/sys/vm/nr_hugepages", "3");
	at = mmap((void *)PRIVATE_HVA, PRIVATE_SIZE, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB,
		  -1, 0);
	machine.has_private_huge = at != MAP_FAILED;
	if (!machine.has_private_huge)
		at = mmap((void *)PRIVATE_HVA, PRIVATE_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (at == MAP_FAILED)
		die("no memory for guest code: %s", strerror(errno));
	guest_init();
}

/* With a VM and a vCPU that stay, no case pays for the first or the last one. */
static void open_kvm(void)
{
	struct kvm_create_guest_memfd gmem = {
		.size = 512 * PAGE_SIZE,
		.flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
	};
	int vcpu;

	machine.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (machine.kvm < 0)
		die("/dev/kvm: %s", strerror(errno));
	machine.vcpu_mmap_size = ioctl(machine.kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	machine.dummy_vm = ioctl(machine.kvm, KVM_CREATE_VM, 0);
	if (machine.dummy_vm < 0)
		die("KVM_CREATE_VM: %s", strerror(errno));
	vcpu = ioctl(machine.dummy_vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		die("KVM_CREATE_VCPU: %s", strerror(errno));
	stats_learn(machine.dummy_vm, vcpu);
	machine.foreign_gmem = ioctl(machine.dummy_vm, KVM_CREATE_GUEST_MEMFD, &gmem);
	machine.plain_file = eventfd(0, 0);
}

static void greet(void)
{
	struct utsname name;
	unsigned int i;

	uname(&name);
	output_text("KTAP version 1\n# {\"kernel\":");
	output_json_string(name.release);
	output_format(",\"huge\":%d,\"capabilities\":{", machine.has_private_huge);
	for (i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
		output_format("%s\"%s\":%d", i ? "," : "", capabilities[i].name,
			      ioctl(machine.dummy_vm, KVM_CHECK_EXTENSION, capabilities[i].number));
	output_text("}}\n");
	output_flush();
}

int main(void)
{
	static struct test_case test;
	sigset_t chld;
	unsigned int count = 0;
	const char *module;

	mount_all();
	close(0);
	open("/dev/null", O_RDWR); /* descriptor 0 is what a field not given names */
	output_init();
	output_text("# {\"init\":1}\n");
	output_flush();
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (board == MAP_FAILED)
		die("no memory for results");
	module = load_modules();
	if (module)
		die("the module %s cannot be loaded: %s", module, strerror(errno));
	open_kvm();
	private_memory();
	kmsg_init();
	greet();
	machine.first_free_fd = dup(0);
	close(machine.first_free_fd);
	cases_open("/cases");
	while (cases_next(&test)) {
		run_case(&test);
		count++;
	}
	output_format("1..%u\n# {\"end\":%u}\n", count, count);
	output_flush();
	sync();
	reboot(RB_AUTOBOOT);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest code on x86: long mode with identity page tables.
 *
 * The first huge page of the executor's slot holds the code, the second one the page tables.
 * Modelled pages are mapped by 4K entries, which shadow paging shadows; the entries of a whole
 * table are written when a page of it is first touched, dirty (a clean one would be shadowed
 * read-only) and not accessed (KVM's prefetch looks at that bit).
 *
 * The slot is backed by huge pages, so it never counts as pages_4k.  Its own faults are kept out
 * of pf_fixed by running to a plain halt before each access.
 */
#include "lab.h"

#if defined(__x86_64__)
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>

#define CODE_GPA PRIVATE_GPA
#define TABLES_GPA (PRIVATE_GPA + HUGE_PAGE)
#define TABLES_NR (HUGE_PAGE / PAGE_SIZE)

#define PTE_PRESENT (1UL << 0)
#define PTE_WRITE (1UL << 1)
#define PTE_ACCESSED (1UL << 5)
#define PTE_DIRTY (1UL << 6)
#define PTE_HUGE (1UL << 7)
#define PTE_ADDRESS 0x000ffffffffff000UL
#define ENTRIES 512
#define CPUID_MAX 128

/* Where each piece of code starts, in bytes. */
#define CODE_HALT 0x00
#define CODE_LOAD 0x10
#define CODE_STORE 0x20
#define CODE_FLUSH 0x30

static const uint8_t halt[] = { 0xf4 };
static const uint8_t load[] = { 0x48, 0x8b, 0x07, 0xf4 }; /* mov (%rdi),%rax; hlt */
static const uint8_t store[] = { 0x48, 0x89, 0x07, 0xf4 }; /* mov %rax,(%rdi); hlt */
/* mov %cr3,%rax; mov %rax,%cr3; hlt */
static const uint8_t flush[] = { 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0xf4 };

static unsigned int tables_used;

/* A vCPU without CPUID has no long mode. */
static struct {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[CPUID_MAX];
} cpuid = { .head.nent = CPUID_MAX };

static uint64_t *table(uint64_t gpa)
{
	return (uint64_t *)(PRIVATE_HVA + (gpa - PRIVATE_GPA));
}

static uint64_t new_table(void)
{
	if (tables_used == TABLES_NR)
		return 0;
	return TABLES_GPA + tables_used++ * PAGE_SIZE;
}

/* The table that an entry points to, made if there is none; 0 when there is no room. */
static uint64_t below(uint64_t *entry)
{
	if (!(*entry & PTE_PRESENT)) {
		uint64_t gpa = new_table();

		if (!gpa)
			return 0;
		*entry = gpa | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
	}
	return *entry & PTE_ADDRESS;
}

static uint64_t *page_directory(uint64_t address)
{
	uint64_t gpa = below(&table(TABLES_GPA)[address >> 39 & (ENTRIES - 1)]);

	if (gpa)
		gpa = below(&table(gpa)[address >> 30 & (ENTRIES - 1)]);
	return gpa ? table(gpa) : NULL;
}

static bool map_locked(uint64_t gfn)
{
	uint64_t address = gfn * PAGE_SIZE, *directory = page_directory(address), *entry, gpa;
	uint64_t first = gfn & ~(uint64_t)(ENTRIES - 1);
	unsigned int i;

	if (!directory)
		return false;
	entry = &directory[address >> 21 & (ENTRIES - 1)];
	if (*entry & PTE_PRESENT)
		return true;
	gpa = new_table();
	if (!gpa)
		return false;
	for (i = 0; i < ENTRIES; i++)
		table(gpa)[i] = (first + i) * PAGE_SIZE | PTE_PRESENT | PTE_WRITE | PTE_DIRTY;
	*entry = gpa | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
	return true;
}

/* Makes sure that the guest's page tables map a page to itself. */
static bool map_identity(uint64_t gfn)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	bool done;

	pthread_mutex_lock(&lock);
	done = map_locked(gfn);
	pthread_mutex_unlock(&lock);
	return done;
}

void guest_init(void)
{
	uint8_t *code = (uint8_t *)PRIVATE_HVA;

	memcpy(code + CODE_HALT, halt, sizeof(halt));
	memcpy(code + CODE_LOAD, load, sizeof(load));
	memcpy(code + CODE_STORE, store, sizeof(store));
	memcpy(code + CODE_FLUSH, flush, sizeof(flush));
	if (ioctl(machine.kvm, KVM_GET_SUPPORTED_CPUID, &cpuid))
		die("KVM_GET_SUPPORTED_CPUID: %s", strerror(errno));
}

/* The page tables start anew with each VM; what the last one used is cleaned. */
void guest_new_vm(void)
{
	uint64_t *directory;

	memset(table(TABLES_GPA), 0, (tables_used ?: TABLES_NR) * PAGE_SIZE);
	tables_used = 1;
	directory = page_directory(CODE_GPA);
	directory[CODE_GPA >> 21 & (ENTRIES - 1)] =
		CODE_GPA | PTE_PRESENT | PTE_WRITE | PTE_HUGE | PTE_ACCESSED | PTE_DIRTY;
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

int guest_setup_vcpu(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_SET_CPUID2, &cpuid) || ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return -1;
	set_segments(&sregs);
	sregs.cr0 = 0x80000031; /* PG, NE, ET, PE */
	sregs.cr3 = TABLES_GPA;
	sregs.cr4 = 0x20; /* PAE */
	sregs.efer = 0x500; /* LMA, LME */
	return ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
}

/* KVM_RUN from one piece of code; negative errno, or the exit's reason. */
static int run_code(struct vcpu *vcpu, unsigned int code, uint64_t address, uint64_t value)
{
	struct kvm_regs *regs = &vcpu->run->s.regs.regs;

	memset(regs, 0, sizeof(*regs));
	regs->rip = CODE_GPA + code;
	regs->rflags = 2;
	regs->rdi = address;
	regs->rax = value;
	vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	for (;;) {
		if (!ioctl(vcpu->fd, KVM_RUN, NULL))
			return vcpu->run->exit_reason;
		if (errno != EINTR || signal_seen())
			return -errno;
	}
}

/* Lets KVM end an instruction that it emulates, without running any other. */
static void finish_mmio(struct vcpu *vcpu)
{
	vcpu->run->immediate_exit = 1;
	ioctl(vcpu->fd, KVM_RUN, NULL);
	vcpu->run->immediate_exit = 0;
}

static void report(struct call *call, int reason, bool write)
{
	struct kvm_run *run = call->vcpu->run;

	if (signal_seen())
		result_text(call, "SIGBUS");
	else if (reason < 0)
		result_number(call, reason);
	else if (reason == KVM_EXIT_HLT)
		result_value(call, write ? 0 : run->s.regs.regs.rax);
	else if (reason == KVM_EXIT_MMIO)
		result_text(call, "MMIO");
	else if (reason == KVM_EXIT_SHUTDOWN)
		result_text(call, "SHUTDOWN");
	else if (reason == KVM_EXIT_INTERNAL_ERROR)
		result_text(call, "INTERNAL_ERROR");
	else
		result_text(call, "UNEXPECTED_EXIT");
	if (reason == KVM_EXIT_MMIO)
		finish_mmio(call->vcpu);
	signal_forget();
}

/* Brings the executor's own page into KVM's tables, so that what follows faults only for itself. */
static bool warm_up(struct call *call)
{
	struct vcpu *vcpu = call->vcpu;
	uint64_t before = stats_vcpu_faults(vcpu);
	int reason = run_code(vcpu, CODE_HALT, 0, 0);

	vcpu->hidden_faults += stats_vcpu_faults(vcpu) - before;
	if (reason == KVM_EXIT_HLT)
		return true;
	report(call, reason, false);
	return false;
}

void guest_access(struct call *call, uint64_t gfn, bool write, uint64_t value)
{
	int reason;

	if (!map_identity(gfn)) {
		result_text(call, "NO_GUEST_TABLES");
		return;
	}
	signal_forget();
	if (!warm_up(call))
		return;
	reason = run_code(call->vcpu, write ? CODE_STORE : CODE_LOAD, gfn * PAGE_SIZE, value);
	report(call, reason, write);
}

void guest_flush(struct call *call)
{
	int reason;

	signal_forget();
	if (!warm_up(call))
		return;
	reason = run_code(call->vcpu, CODE_FLUSH, 0, 0);
	report(call, reason, true);
}
#endif

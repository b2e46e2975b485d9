/* SPDX-License-Identifier: GPL-2.0-only */
/* Switching stacks: a few instructions on x86-64 and arm64, ucontext elsewhere. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"

#ifdef CONTEXT_ASAN
void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size);
void __asan_unpoison_memory_region(void const volatile *start, size_t size);
void __sanitizer_finish_switch_fiber(void *save, const void **bottom, size_t *size);
#endif

#if defined(__x86_64__)

void context_switch(void **from, void *to);
__asm__(".text\n"
	".globl context_switch\n"
	".hidden context_switch\n"
	".type context_switch,@function\n"
	"context_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	popq %rcx\n" /* no ret: the processor would expect to return on the stack left */
	"	jmp *%rcx\n"
	".size context_switch,.-context_switch\n");

#define SAVED_REGISTERS 6

static void *first_frame(char *top, void (*entry)(void))
{
	void **sp = (void **)top;

	*--sp = NULL; /* a return address, so that entry() finds the alignment of a call */
	*--sp = (void *)entry;
	sp -= SAVED_REGISTERS;
	memset(sp, 0, SAVED_REGISTERS * sizeof(*sp));
	return sp;
}

#elif defined(__aarch64__)

void context_switch(void **from, void *to);
__asm__(".text\n"
	".globl context_switch\n"
	".hidden context_switch\n"
	".type context_switch,%function\n"
	"context_switch:\n"
	"	sub sp, sp, #160\n"
	"	stp x19, x20, [sp, #0]\n"
	"	stp x21, x22, [sp, #16]\n"
	"	stp x23, x24, [sp, #32]\n"
	"	stp x25, x26, [sp, #48]\n"
	"	stp x27, x28, [sp, #64]\n"
	"	stp x29, x30, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	mov x9, sp\n"
	"	str x9, [x0]\n"
	"	mov sp, x1\n"
	"	ldp x19, x20, [sp, #0]\n"
	"	ldp x21, x22, [sp, #16]\n"
	"	ldp x23, x24, [sp, #32]\n"
	"	ldp x25, x26, [sp, #48]\n"
	"	ldp x27, x28, [sp, #64]\n"
	"	ldp x29, x30, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	add sp, sp, #160\n"
	"	ret\n"
	".size context_switch,.-context_switch\n");

static void *first_frame(char *top, void (*entry)(void))
{
	void **sp = (void **)(top - 160);

	memset(sp, 0, 160);
	sp[11] = (void *)entry; /* x30: where ret goes */
	return sp;
}

#else
#include <ucontext.h>

static void context_switch_slow(struct context *from, struct context *to)
{
	if (!from->ucontext)
		from->ucontext = calloc(1, sizeof(ucontext_t));
	swapcontext(from->ucontext, to->ucontext);
}
#endif

void context_make(struct context *context, void *stack, size_t size, void (*entry)(void))
{
#ifdef CONTEXT_ASAN
	/* Frames of a run that was given up left their red zones here. */
	__asan_unpoison_memory_region(stack, size);
#endif
#if defined(__x86_64__) || defined(__aarch64__)
	char *top = (char *)(((uintptr_t)stack + size) & ~(uintptr_t)15);

	context->sp = first_frame(top, entry);
#else
	if (!context->ucontext)
		context->ucontext = calloc(1, sizeof(ucontext_t));
	getcontext(context->ucontext);
	((ucontext_t *)context->ucontext)->uc_stack.ss_sp = stack;
	((ucontext_t *)context->ucontext)->uc_stack.ss_size = size;
	makecontext(context->ucontext, entry, 0);
#endif
#ifdef CONTEXT_ASAN
	context->fake_stack = NULL;
	context->bottom = stack;
	context->size = size;
#endif
}

#ifdef CONTEXT_ASAN
static struct context *came_from;
#endif

void context_arrived(struct context *here)
{
#ifdef CONTEXT_ASAN
	const void *bottom;
	size_t size;

	__sanitizer_finish_switch_fiber(here->fake_stack, &bottom, &size);
	if (came_from && !came_from->bottom) { /* the thread's own stack, seen for the first time */
		came_from->bottom = bottom;
		came_from->size = size;
	}
#else
	(void)here;
#endif
}

void context_go(struct context *from, struct context *to)
{
#ifdef CONTEXT_ASAN
	came_from = from;
	__sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->size);
#endif
#if defined(__x86_64__) || defined(__aarch64__)
	context_switch(&from->sp, to->sp);
#else
	context_switch_slow(from, to);
#endif
	context_arrived(from);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stacks to run on, and the switch between them: no system call, only the registers that a
 * function must keep.
 */
#ifndef GMEMDIFF_CONTEXT_H
#define GMEMDIFF_CONTEXT_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define CONTEXT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONTEXT_ASAN 1
#endif
#endif

struct context {
	void *sp;
#if !defined(__x86_64__) && !defined(__aarch64__)
	void *ucontext;
#endif
#ifdef CONTEXT_ASAN
	void *fake_stack;
	const void *bottom;
	size_t size;
#endif
};

/* Prepare a context to call entry() on a stack; entry never returns. */
void context_make(struct context *context, void *stack, size_t size, void (*entry)(void));

/* Save where we are in `from`, and go on where `to` was saved. */
void context_go(struct context *from, struct context *to);

/* The first thing to do on a new stack. */
void context_arrived(struct context *here);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the compiler calls before each access of the model's: ThreadSanitizer's interface
 * (compiler-rt, lib/tsan/rtl).
 */
#include <string.h>

#include "cells_inside.h"

static inline void accessed_range(uintptr_t at, size_t size, bool write)
{
	uintptr_t end = at + size;

	if (!cw.on || !size)
		return;
	for (at &= ~(WORD - 1); at < end; at += WORD)
		accessed(at, write);
}

#define ACCESS(name, size)                                        \
	void __tsan_read##name(void *at);                         \
	void __tsan_read##name(void *at)                          \
	{                                                         \
		if (!cw.on)                                       \
			return;                                   \
		accessed((uintptr_t)at, false);                   \
		if ((size) > WORD)                                \
			accessed((uintptr_t)at + WORD, false);    \
	}                                                         \
	void __tsan_write##name(void *at);                        \
	void __tsan_write##name(void *at)                         \
	{                                                         \
		if (!cw.on)                                       \
			return;                                   \
		accessed((uintptr_t)at, true);                    \
		if ((size) > WORD)                                \
			accessed((uintptr_t)at + WORD, true);     \
	}
#define UNALIGNED(size)                                           \
	void __tsan_unaligned_read##size(void *at);               \
	void __tsan_unaligned_read##size(void *at)                \
	{                                                         \
		accessed_range((uintptr_t)at, (size), false);     \
	}                                                         \
	void __tsan_unaligned_write##size(void *at);              \
	void __tsan_unaligned_write##size(void *at)               \
	{                                                         \
		accessed_range((uintptr_t)at, (size), true);      \
	}
ACCESS(1, 1)
ACCESS(2, 2)
ACCESS(4, 4)
ACCESS(8, 8)
ACCESS(16, 16)
UNALIGNED(2)
UNALIGNED(4)
UNALIGNED(8)
UNALIGNED(16)

void __tsan_read_range(void *at, size_t size);
void __tsan_read_range(void *at, size_t size)
{
	accessed_range((uintptr_t)at, size, false);
}

void __tsan_write_range(void *at, size_t size);
void __tsan_write_range(void *at, size_t size)
{
	accessed_range((uintptr_t)at, size, true);
}

void __tsan_func_entry(void *caller);
void __tsan_func_entry(void *caller)
{
	(void)caller;
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}

/* From a constructor in each file that has such calls. */
void __tsan_init(void);
void __tsan_init(void)
{
	cw.instrumented = true;
}

/* And where it makes a call of a copy. */
void *__tsan_memcpy(void *to, const void *from, size_t size);
void *__tsan_memcpy(void *to, const void *from, size_t size)
{
	accessed_range((uintptr_t)from, size, false);
	accessed_range((uintptr_t)to, size, true);
	return memcpy(to, from, size);
}

void *__tsan_memmove(void *to, const void *from, size_t size);
void *__tsan_memmove(void *to, const void *from, size_t size)
{
	accessed_range((uintptr_t)from, size, false);
	accessed_range((uintptr_t)to, size, true);
	return memmove(to, from, size);
}

void *__tsan_memset(void *to, int value, size_t size);
void *__tsan_memset(void *to, int value, size_t size)
{
	accessed_range((uintptr_t)to, size, true);
	return memset(to, value, size);
}

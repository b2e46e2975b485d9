/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before each file of the model where it is compiled to be explored: functions of libc
 * that read or write its memory tell so (cells.h).
 */
#ifndef GMEMDIFF_EXPLORED_H
#define GMEMDIFF_EXPLORED_H

#include <stdio.h>
#include <string.h>

void *__tsan_memcpy(void *to, const void *from, size_t size);
void *__tsan_memmove(void *to, const void *from, size_t size);
void *__tsan_memset(void *to, int value, size_t size);
void __tsan_write_range(void *at, size_t size);

#undef memcpy
#undef memmove
#undef memset
#define memcpy __tsan_memcpy
#define memmove __tsan_memmove
#define memset __tsan_memset
#define snprintf(to, size, ...) \
	(__tsan_write_range((to), (size)), (snprintf)((to), (size), __VA_ARGS__))

#endif

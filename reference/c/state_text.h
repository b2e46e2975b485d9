/* SPDX-License-Identifier: GPL-2.0-only */
/* Text that grows, and the canonical text of a model's state. */
#ifndef GMEMDIFF_STATE_TEXT_H
#define GMEMDIFF_STATE_TEXT_H

#include "kvm_host.h"

/* All zero is empty.  The memory is kept: n = 0 starts a new text.  at[n] is 0. */
struct text {
	char *at;
	size_t n, cap;
};

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Add the state in words, to the byte what fuzz/digest.py gives; takes nothing of the arena. */
void state_text(struct kvm *kvm, struct text *out);

#endif

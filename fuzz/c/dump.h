/* SPDX-License-Identifier: GPL-2.0-only */
/* The whole state as lines of numbers, for Python to build it up again. */
#ifndef GMEMDIFF_DUMP_H
#define GMEMDIFF_DUMP_H

#include "kvm_host.h"
#include "state_text.h"

void dump_state(struct kvm *kvm, struct text *out);

#endif

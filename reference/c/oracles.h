/* SPDX-License-Identifier: GPL-2.0-only */
/* The rules that are checked while the port runs; what they listen to is in observer.h. */
#ifndef GMEMDIFF_ORACLES_H
#define GMEMDIFF_ORACLES_H

#include <stdbool.h>

struct kvm;

/*
 * Listen to a new run.  survival_promised: whether the patch under test promises that leaves of
 * gmem-only slots stay when the user mapping goes.
 */
void oracles_attach(struct kvm *kvm, bool survival_promised);

#endif

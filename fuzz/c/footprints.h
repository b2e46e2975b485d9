/* SPDX-License-Identifier: GPL-2.0-only */
/* Footprints that are kept, each once: many states have the same. */
#ifndef GMEMDIFF_FOOTPRINTS_H
#define GMEMDIFF_FOOTPRINTS_H

#include "cells.h"

#define FOOTPRINT_ALL 0 /* the number of the one that conflicts with every other */
#define FOOTPRINT_NONE 1 /* and of the one that conflicts with none */

/* Forget all.  False: no memory. */
bool footprints_begin(void);
/* The number of a footprint; that of a larger one when there is no room for more. */
u32 footprint_number(const struct footprint *footprint);
const struct footprint *footprint_of(u32 number);

#endif

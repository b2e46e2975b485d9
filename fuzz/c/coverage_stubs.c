/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What code with coverage calls, for a library that is loaded outside of a fuzzer.
 *
 * Weak and visible: libFuzzer's own functions of these names come first where there are any.  Only
 * built with coverage; without, nothing calls them.
 */
#include <stdint.h>

#define STUB __attribute__((weak, visibility("default"))) void

STUB __sanitizer_cov_8bit_counters_init(uint8_t *start, uint8_t *stop)
{
}

STUB __sanitizer_cov_pcs_init(const uintptr_t *start, const uintptr_t *stop)
{
}

STUB __sanitizer_cov_trace_cmp1(uint8_t a, uint8_t b)
{
}

STUB __sanitizer_cov_trace_cmp2(uint16_t a, uint16_t b)
{
}

STUB __sanitizer_cov_trace_cmp4(uint32_t a, uint32_t b)
{
}

STUB __sanitizer_cov_trace_cmp8(uint64_t a, uint64_t b)
{
}

STUB __sanitizer_cov_trace_const_cmp1(uint8_t a, uint8_t b)
{
}

STUB __sanitizer_cov_trace_const_cmp2(uint16_t a, uint16_t b)
{
}

STUB __sanitizer_cov_trace_const_cmp4(uint32_t a, uint32_t b)
{
}

STUB __sanitizer_cov_trace_const_cmp8(uint64_t a, uint64_t b)
{
}

STUB __sanitizer_cov_trace_switch(uint64_t value, const uint64_t *cases)
{
}

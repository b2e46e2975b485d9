"""Counters in memory, for libFuzzer to read as if a compiler had put them there."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Region:
    """Counters in memory: where, how many bytes, and the table of what they count (0: none)."""

    start: int
    size: int
    pcs: int


def register(core: ctypes.CDLL, region: Region) -> object:
    """Let libFuzzer read counters; returns what must be kept alive."""
    table: ctypes.Array[ctypes.c_uint64] | None = None
    pcs = region.pcs
    if not pcs:  # it wants as many program counters; these are only numbers
        table = (ctypes.c_uint64 * (2 * region.size))()
        for number in range(region.size):
            table[2 * number] = number + 1
        pcs = ctypes.addressof(table)
    core.__sanitizer_cov_8bit_counters_init(
        ctypes.c_void_p(region.start), ctypes.c_void_p(region.start + region.size)
    )
    core.__sanitizer_cov_pcs_init(ctypes.c_void_p(pcs), ctypes.c_void_p(pcs + 16 * region.size))
    return table

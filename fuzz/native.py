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


_REGISTERED: list[object] = []  # what libFuzzer points into must not be freed


def expose(counters: bytearray) -> None:
    """Let libFuzzer read these bytes."""
    bytes_ = (ctypes.c_ubyte * len(counters)).from_buffer(counters)
    _REGISTERED.append(bytes_)
    register(Region(ctypes.addressof(bytes_), len(counters), 0))


def register(region: Region) -> None:
    """Let libFuzzer read counters, which must stay where they are."""
    core, pcs = _libfuzzer(), region.pcs
    if not pcs:  # it wants as many program counters; these are only numbers
        table = (ctypes.c_uint64 * (2 * region.size))()
        for number in range(region.size):
            table[2 * number] = number + 1
        pcs = ctypes.addressof(table)
        _REGISTERED.append(table)
    core.__sanitizer_cov_8bit_counters_init(
        ctypes.c_void_p(region.start), ctypes.c_void_p(region.start + region.size)
    )
    core.__sanitizer_cov_pcs_init(ctypes.c_void_p(pcs), ctypes.c_void_p(pcs + 16 * region.size))


def _libfuzzer() -> ctypes.CDLL:
    """The libFuzzer that runs us: the one that was preloaded, as OSS-Fuzz does, or Atheris' own."""
    preloaded = ctypes.CDLL(None)
    if hasattr(preloaded, "LLVMFuzzerRunDriver"):
        return preloaded
    from atheris import core_with_libfuzzer

    return ctypes.CDLL(core_with_libfuzzer.__file__)

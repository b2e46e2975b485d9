"""The kernel with both repairs and without the seed patch: what to compare seed_closed with."""

from patched import gpc_seq, prefetch_gmem

SUMMARY = "the kernel, with prefetch and pfn caches repaired"
EDITS = (*prefetch_gmem.EDITS, *gpc_seq.EDITS)

"""The seed patch with what closes its findings: both repairs of the kernel come with it.

Prefetch passes over guest_memfd-only memslots (prefetch_gmem.py), and pfn caches watch a sequence
of their own (gpc_seq.py; 7.3 has it).  docs/verdict.md shows what is left then.
"""

from patched import gpc_seq, prefetch_gmem

SUMMARY = "the seed patch, with prefetch and pfn caches repaired"
BASE = "seed"
EDITS = (*prefetch_gmem.EDITS, *gpc_seq.EDITS)

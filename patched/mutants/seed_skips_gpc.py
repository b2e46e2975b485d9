"""The seed patch with a mistake: pfn caches of gmem-only slots are skipped as well.

They go through user page tables, whatever the guest's own pages come from.
"""

from reference.state import kvm_memslot_is_gmem_only

SUMMARY = "pfn caches of gmem-only slots are skipped as well"
GROUP = "patch"
PROFILE = "v7.2 x86-tdp"
BASE = "seed"
EDITS = (
    (
        "gfn_to_pfn_cache_invalidate_start",
        """\
        if not (gpc.valid and start <= gpc.uhva < end):
""",
        """\
        if gpc.memslot is not None and kvm_memslot_is_gmem_only(gpc.memslot):
            continue
        if not (gpc.valid and start <= gpc.uhva < end):
""",
    ),
)

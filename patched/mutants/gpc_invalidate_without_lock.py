"""A mistake in the reference: a pfn cache is invalidated without its lock.

A user that has checked it goes on while the page is freed.
"""

SUMMARY = "a pfn cache is invalidated without its lock"
GROUP = "gpc"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "gfn_to_pfn_cache_invalidate_start",
        """\
        yield WantLock(gpc.lock, "gfn_to_pfn_cache_invalidate_start.write")
        gpc.lock.write_lock()
""",
        """\
        yield "gfn_to_pfn_cache_invalidate_start.write"
""",
    ),
    (
        "gfn_to_pfn_cache_invalidate_start",
        """\
        gpc.lock.write_unlock()
""",
        "",
    ),
)

"""Ops that no reproducer can ask a kernel for, and why."""

from __future__ import annotations

from typing import Final

# Ops that nothing in user space can ask a kernel to do, or not so that it is this and nothing else.
REFUSED: Final[dict[str, str]] = {
    "kvm_read": "KVM reads guest memory of its own accord only in the course of other work",
    "kvm_write": "KVM writes guest memory of its own accord only in the course of other work",
    "numa_scan": "nothing makes automatic NUMA balancing scan a given range now",
    "compact": "compaction cannot be asked for a given page",
    "reclaim": "reclaim that asks the young hooks first cannot be asked for a given page",
    "clear_young": "page_idle answers for a page of the LRU only, and later",
    "test_young": "nothing asks the test_young hook without clearing",
    "clear_flush_young": "nothing but reclaim asks the clear_flush_young hook",
    "oom_reap": "the OOM reaper takes a process that is being killed, and that is this one",
    "exit_mm": "the address space that goes away is the reproducer's own",
    "fail_next": "an allocation of a distribution's kernel cannot be made to fail",
}

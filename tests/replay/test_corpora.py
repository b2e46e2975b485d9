"""Every program of corpora/ does what it says, and the tables that they follow have no gap.

The plugin runs the same files with reports made for people; this needs nothing but the library.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import pytest

from fuzz.judge import Judgement, judge
from fuzz.overlay import load_model
from fuzz.text import format_program, load, parse
from fuzz.timeline import trace_text
from fuzz.vocabulary import Program

CORPORA: Final = Path(__file__).parents[2] / "corpora"
FILES: Final = sorted(path.relative_to(CORPORA).as_posix() for path in CORPORA.rglob("*.prog"))

COLUMNS: Final = {"g": "gmem_mapping", "a": "anon_mapping", "o": "ordinary_slot"}

# Events of the primary MMU: row -> stem of its files, and the columns that make sense.  A column
# is left out where the guest cannot have touched the page at all, or where its answer is that of
# another column.  Rows about large pages are missing: the model has none.
ROWS: Final = {
    "munmap": ("munmap", "gao"),
    "munmap, nested stage 2 of arm64": ("munmap_arm64_nested", "go"),
    "munmap, SMM": ("munmap_smm", "go"),
    "munmap, flushes": ("munmap_flushes", "go"),
    "MAP_FIXED over": ("map_fixed", "gao"),
    "mremap shrink": ("mremap_shrink", "gao"),
    "mremap move": ("mremap_move", "gao"),
    "mprotect": ("mprotect", "gao"),
    "mprotect to PROT_NONE": ("mprotect_none", "go"),
    "mprotect, PUD empty": ("mprotect_empty", "ga"),
    "mprotect, first PUD empty": ("mprotect_partly_empty", "g"),
    "uffd-wp": ("uffd_wp", "gao"),
    "uffd-wp, PUD empty": ("uffd_wp_empty", "a"),
    "uffd-wp, first PUD empty": ("uffd_wp_partly_empty", "g"),
    "NUMA scan": ("numa_scan", "gao"),
    "NUMA scan, bind policy": ("numa_scan_bind", "gao"),
    "NUMA scan, bind policy with balancing": ("numa_scan_bind_balancing", "g"),
    "NUMA scan, PROT_NONE": ("numa_scan_prot_none", "ga"),
    "NUMA scan, read-only": ("numa_scan_readonly", "gao"),
    "NUMA scan, PUD empty": ("numa_scan_empty", "a"),
    "NUMA hint fault, hot-remove": ("migrate", "gao"),
    "move_pages": ("move_pages", "gao"),
    "soft-offline": ("soft_offline", "gao"),
    "compaction": ("compact", "gao"),
    "MADV_DONTNEED": ("dontneed", "gao"),
    "MADV_DONTNEED_LOCKED": ("dontneed_locked", "gao"),
    "MADV_FREE": ("free", "gao"),
    "MADV_REMOVE": ("remove", "gao"),
    "fallocate punch": ("fallocate_punch", "gao"),
    "fallocate punch, not mapped": ("fallocate_punch_unmapped", "g"),
    "fallocate punch, two views": ("fallocate_punch_two_views", "o"),
    "MADV_PAGEOUT": ("pageout", "gao"),
    "reclaim": ("reclaim", "gao"),
    "reclaim of a page in use": ("reclaim_used", "a"),
    "MADV_COLD": ("cold", "gao"),
    "MADV_GUARD_INSTALL": ("guard_install", "gao"),
    "MADV_GUARD_INSTALL, nothing populated": ("guard_install_empty", "gao"),
    "fork": ("fork", "gao"),
    "fork, no anon_vma": ("fork_untouched", "a"),
    "fork, page of zeroes": ("fork_zero_page", "a"),
    "fork, page of zeroes replaced": ("fork_written_later", "a"),
    "COW break": ("cow_break", "gao"),
    "write fault on shared PTE": ("write_fault", "go"),
    "KSM merge": ("ksm", "gao"),
    "memory_failure": ("memory_failure", "gao"),
    "memory_failure, not mapped": ("memory_failure_unmapped", "g"),
    "MADV_HWPOISON": ("madv_hwpoison", "gao"),
    "clear_refs": ("clear_refs", "gao"),
    "clear_refs, no VMA": ("clear_refs_hole", "g"),
    "PAGEMAP_SCAN": ("pagemap_scan", "gao"),
    "PAGEMAP_SCAN, no VMA": ("pagemap_scan_hole", "ga"),
    "OOM reaper": ("oom_reap", "gao"),
    "OOM reaper, mlocked": ("oom_reap_locked", "a"),
    "page_idle, DAMON: clear_young": ("clear_young", "gao"),
    "page_idle, DAMON: test_young": ("test_young", "gao"),
    "page_idle, nested stage 2 of arm64": ("clear_young_arm64_nested", "o"),
    "page_idle, PTE not present": ("clear_young_absent", "g"),
    "folio_referenced": ("folio_referenced", "gao"),
    "exit_mmap": ("exit_mmap", "gao"),
    "page fault-in": ("page_fault", "gao"),
    "GUP": ("gup", "gao"),
    "mlock": ("mlock", "gao"),
    "msync": ("msync", "gao"),
}
# Kinds of slots and ranges that are no column.
OTHER_SLOTS: Final = ("mixed_slots", "gmem_not_only", "gmem_private", "no_vma")

# Errno of an ioctl or system call -> the program that gets it.
ERRNOS: Final = {
    "set region 1: EFAULT": "region_copy_efault",
    "set region 1: EINVAL": "region_v1_flags_einval",
    "set region 2, x86: EINVAL": "region_slot_number_x86_einval",
    "set region 2, arm64: EINVAL": "region_slot_number_arm64_einval",
    "set region 3: EINVAL": "region_flags_einval",
    "set region 4: EINVAL": "region_alignment_einval",
    "set region 4, delete: EINVAL": "region_delete_alignment_einval",
    "set region 5: EINVAL": "region_gmem_offset_einval",
    "set region 6: EINVAL": "region_as_id_einval",
    "set region 6, private memory: EINVAL": "region_as_id_private_einval",
    "set region 7: EINVAL": "region_gpa_wraps_einval",
    "set region 8: EINVAL": "region_npages_einval",
    "set region 9: EINVAL": "region_delete_nothing_einval",
    "set region 11: EINVAL": "region_modify_einval",
    "set region 11, gmem: EINVAL": "region_gmem_modify_einval",
    "set region 11, to gmem: EINVAL": "region_become_gmem_einval",
    "set region 12: EEXIST": "region_gfn_overlap_eexist",
    "set region 13: ENOMEM": "region_alloc_enomem",
    "set region 13, delete: ENOMEM": "region_delete_enomem",
    "set region 14: EBADF": "region_gmem_fd_ebadf",
    "set region 14: EINVAL": "region_gmem_fd_einval",
    "set region 14, size: EINVAL": "region_gmem_size_einval",
    "set region 14, overlap, 6.18: EINVAL": "region_gmem_overlap_v618_einval",
    "set region 14, overlap, 7.2: EEXIST": "region_gmem_overlap_v72_eexist",
    "set region 14, overlap, 7.3: EEXIST": "region_gmem_overlap_v73_eexist",
    "set region 14, order, 7.3: ENOMEM": "region_gmem_overlap_order_v73_enomem",
    "set region 14, order, 7.3: EINVAL": "region_gmem_overlap_order_v73_einval",
    "set region 14, order, 7.2: EEXIST": "region_gmem_overlap_order_v72_eexist",
    "set region 14, store, 7.3: ENOMEM": "region_gmem_xarray_v73_enomem",
    "set memslot, bitmap: ENOMEM": "region_bitmap_enomem",
    "set memslot, metadata, 6.18: ENOMEM": "region_metadata_enomem_v618",
    "set memslot, metadata, 7.2: ENOMEM": "region_metadata_enomem_v72",
    "set memslot, metadata, 7.3: ENOMEM": "region_metadata_enomem_v73",
    "set memslot, move back: ENOMEM": "region_move_rollback_enomem",
    "set memslot, x86: EINVAL": "region_x86_gfn_einval",
    "set memslot, arm64: EFAULT": "region_arm64_ipa_efault",
    "set memslot, arm64 gmem: EINVAL": "region_arm64_gmem_only_einval",
    "create: EFAULT": "gmem_create_efault",
    "create, flags: EINVAL": "gmem_create_flags_einval",
    "create, INIT_SHARED: EINVAL": "gmem_create_private_einval",
    "create, size: EINVAL": "gmem_create_size_einval",
    "create: ENOMEM": "gmem_create_enomem",
    "mmap: ENODEV": "gmem_mmap_enodev",
    "mmap: EINVAL": "gmem_mmap_einval",
    "mmap: EPERM": "gmem_mmap_eperm",
    "mmap: EBADF": "gmem_mmap_ebadf",
    "user fault, size: SIGBUS": "gmem_fault_sigbus_size",
    "user fault, private: SIGBUS": "gmem_fault_sigbus_private",
    "user fault, poisoned: SIGBUS": "gmem_fault_sigbus_poisoned",
    "user fault: OOM": "gmem_fault_oom",
    "fallocate: EINVAL": "fallocate_einval",
    "fallocate: EOPNOTSUPP": "fallocate_eopnotsupp",
    "fallocate: EFBIG": "fallocate_efbig",
    "fallocate: EBADF": "fallocate_ebadf",
    "fallocate: EINTR": "fallocate_eintr",
    "fallocate: ENOMEM": "fallocate_enomem",
    "get_pfn: EFAULT": "get_pfn_efault",
    "get_pfn: EIO": "get_pfn_eio",
    "get_pfn: EHWPOISON": "get_pfn_ehwpoison",
    "get_pfn: ENOMEM": "get_pfn_enomem",
    "get_pfn, no memory left: ENOMEM": "get_pfn_enomem_frames",
    "fault: MMIO": "fault_mmio",
    "fault, hva: EFAULT": "fault_hva_efault",
    "fault, private: EFAULT": "fault_private_efault",
    "pre-fault: EINVAL": "pre_fault_einval",
    "pre-fault: EOPNOTSUPP": "pre_fault_eopnotsupp",
    "pre-fault, arm64: EINVAL": "pre_fault_arm64_einval",
    "pre-fault: EINTR": "pre_fault_eintr",
    "pre-fault: ENOENT": "pre_fault_enoent",
    "pre-fault: EFAULT": "pre_fault_errors",
    "pre-fault: ENOMEM": "pre_fault_enomem",
    "pre-fault: EHWPOISON": "pre_fault_ehwpoison",
    "pfn cache: EFAULT": "gpc_efault",
    "pfn cache, gmem-only: EFAULT": "gpc_gmem_hva_efault",
    "pfn cache: EINVAL": "gpc_einval",
    "pfn cache, INVALID_GPA: EINVAL": "gpc_invalid_gpa_einval",
    "kvm_read, kvm_write: EFAULT": "kvm_access_efault",
    "dirty log: EINVAL": "dirty_log_einval",
    "dirty log: ENOENT": "dirty_log_enoent",
    "dirty log: EFAULT": "dirty_log_efault",
    "clear dirty log: EFAULT": "clear_dirty_log_efault",
    "attributes: EINVAL": "attributes_einval",
    "attributes, no private memory: EINVAL": "attributes_default_einval",
    "attributes: ENOMEM": "attributes_enomem",
    "attributes, clear, 7.2: ENOMEM": "attributes_clear_v72_enomem",
    "attributes, arm64: EINVAL": "attributes_arm64_einval",
    "mm calls: EINVAL": "mm_einval",
    "mm calls: ENOMEM": "mm_enomem",
}


def program_of(name: str) -> Program:
    return load(CORPORA / name)


@cache
def judgement_of(name: str) -> Judgement:
    program = program_of(name)
    return judge(program, load_model(program.reference), load_model(program.patched))


def expected_results(program: Program) -> list[str]:
    """What follows ``=>``, over all ops."""
    ops = [op for actor in program.actors for op in actor.ops]
    return [op.expect for op in (*program.setup, *ops) if op.expect]


def test_there_are_programs_to_run() -> None:
    assert len(FILES) > 200


@pytest.mark.parametrize("name", FILES)
def test_a_program_says_why_it_exists_and_what_it_expects(name: str) -> None:
    program = program_of(name)
    assert " ".join(program.title).count(" ") > 4, "no comment at the top"
    assert program.expect, "no 'expect:' header; write 'expect: agree' or the verdict lines"


@pytest.mark.parametrize("name", FILES)
def test_the_verdict_is_the_one_expected(name: str) -> None:
    assert judgement_of(name).lines == tuple(sorted(program_of(name).expect))


@pytest.mark.parametrize("name", FILES)
def test_the_results_are_the_ones_expected(name: str) -> None:
    assert judgement_of(name).expectation == []


@pytest.mark.parametrize("name", FILES)
def test_every_preemption_is_reached_and_goes_where_it_says(name: str) -> None:
    judgement = judgement_of(name)
    assert judgement.stale == []
    assert judgement.reference.void == []


@pytest.mark.parametrize("name", FILES)
def test_the_canonical_text_reads_back_as_the_same_program(name: str) -> None:
    program = program_of(name)
    assert parse(format_program(program)) == program


@pytest.mark.parametrize("name", FILES)
def test_the_same_program_runs_the_same_way_twice(name: str) -> None:
    program = program_of(name)
    for side in (program.reference, program.patched):
        assert trace_text(program, load_model(side)) == trace_text(program, load_model(side))


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_event_table_has_its_programs(row: str) -> None:
    stem, columns = ROWS[row]
    for column in columns:
        name = f"table_e/{stem}__{COLUMNS[column]}.prog"
        assert name in FILES
        assert expected_results(program_of(name))


def test_every_program_of_the_event_table_belongs_to_a_row() -> None:
    stems = {stem for stem, _ in ROWS.values()}
    columns = {*COLUMNS.values(), *OTHER_SLOTS}
    for name in FILES:
        if name.startswith("table_e/"):
            stem, _, column = Path(name).stem.partition("__")
            assert stem in stems, name
            assert column in columns, name


@pytest.mark.parametrize("what", ERRNOS)
def test_every_errno_has_its_program(what: str) -> None:
    errno = what.split()[-1]
    results = expected_results(program_of(f"errno/{ERRNOS[what]}.prog"))
    assert any(errno in result.split(" | ") for result in results)

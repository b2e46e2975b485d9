"""The table of windows: each opens and closes where it says, and somebody can get in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from fuzz.execution import Execution, Plan
from fuzz.feedback import Feature, Feedback
from fuzz.labels import STEP_LABELS
from fuzz.overlay import load_model
from fuzz.search import Boundary, boundaries
from fuzz.text import parse
from fuzz.vocabulary import OPS, Preemption, Program
from fuzz.windows import BIT, WINDOWS, names

STOCK = load_model("stock")

# Setups, with what can be made of them.
PLAIN = """\
  mmap hva=A len=8p share=private
  set_region slot=0 size=8p hva=A
  user_write hva=A value=1
"""
FILE = "  create_gmem fd=gmem0 size=8p\n"
MAPPED = FILE + "  mmap hva=A len=8p fd=gmem0 share=shared\n"
GMEM = MAPPED + "  set_region slot=0 size=8p hva=A flags=GUEST_MEMFD fd=gmem0\n"
LOGGED = """\
  mmap hva=A len=8p share=private
  set_region slot=0 size=8p hva=A flags=LOG_DIRTY
"""
UNUSED = FILE + "  mmap hva=A len=8p share=private\n"
PRIVATE = """\
  create_gmem fd=gmem0 size=8p flags=0
  mmap hva=A len=8p share=private
  set_region slot=0 size=8p hva=A flags=GUEST_MEMFD fd=gmem0
"""

PUNCH = "vmm0: fallocate fd=gmem0 mode=KEEP_SIZE|PUNCH_HOLE offset=0p len=1p"
BIND = "vmm0: set_region slot=0 size=8p hva=A flags=GUEST_MEMFD fd=gmem0"
ATTRIBUTES = "vmm0: set_attributes gpa=0p size=1p attrs=PRIVATE"


@dataclass(frozen=True)
class Case:
    """An op that opens a window, and the first and last step before which one is inside.

    before: an op of vcpu0 that runs first, so that there is something to zap or to use.
    """

    window: str
    setup: str
    before: str
    opener: str  # "actor: op"
    first: str
    last: str


# fmt: off
CASES = (
    Case("hva start..end", PLAIN, "read gfn=0", "vmm0: munmap hva=A len=8p",
         "kvm_handle_hva_range.srcu#1", "kvm_mmu_notifier_invalidate_range_end.count#1"),
    Case("hva start..zap", PLAIN, "read gfn=0", "vmm0: munmap hva=A len=8p",
         "kvm_handle_hva_range.srcu#1", "kvm_handle_hva_range.mmu_lock#1"),
    Case("hva zap..flush", PLAIN, "read gfn=0", "vmm0: munmap hva=A len=8p",
         "kvm_handle_hva_range.flush#1", "kvm_handle_hva_range.flush#1"),
    Case("pte change..hva end", PLAIN, "read gfn=0", "vmm0: munmap hva=A len=8p",
         "kvm_handle_hva_range.srcu#2", "kvm_mmu_notifier_invalidate_range_end.count#1"),
    Case("unmap..free", PLAIN, "read gfn=0", "vmm0: munmap hva=A len=8p",
         "kvm_handle_hva_range.srcu#2", "tlb_finish_mmu.free#1"),
    Case("gmem start..end", GMEM, "read gfn=0", PUNCH,
         "kvm_gmem_invalidate_start.flush#1", "kvm_gmem_invalidate_end.mmu_lock#1"),
    Case("gmem truncate..end", GMEM, "read gfn=0", PUNCH,
         "kvm_gmem_invalidate_end.mmu_lock#1", "kvm_gmem_invalidate_end.mmu_lock#1"),
    Case("gmem release..evict", FILE, "nop", "vmm0: close fd=gmem0",
         "kvm_gmem_release.invalidate_lock#1", "kvm_gmem_release.evict#1"),
    Case("bind..swap", UNUSED, "nop", BIND,
         "kvm_set_memslot.slots_arch_lock#1", "kvm_swap_active_memslots.mn_invalidate_lock#1"),
    Case("swap..srcu", UNUSED, "nop", "vmm0: set_region slot=0 size=8p hva=A",
         "kvm_swap_active_memslots.synchronize_srcu#1",
         "kvm_swap_active_memslots.synchronize_srcu#1"),
    Case("slot invalid..zap", PLAIN, "read gfn=0", "vmm0: set_region slot=0 size=0p",
         "kvm_mmu_zap_all_fast.mmu_lock#1", "kvm_mmu_zap_all_fast.mmu_lock#1"),
    Case("roots obsolete..zap", PLAIN, "read gfn=0", "vmm0: set_region slot=0 size=0p",
         "kvm_zap_obsolete_pages.zap#1", "kvm_tdp_mmu_zap_invalidated_roots.mmu_lock#1"),
    Case("slot zap..slot gone", PLAIN, "read gfn=0", "vmm0: set_region slot=0 size=0p",
         "kvm_zap_obsolete_pages.zap#1", "kvm_swap_active_memslots.mn_invalidate_lock#2"),
    Case("slot gone..unbind", GMEM, "read gfn=0", "vmm0: set_region slot=0 size=0p",
         "kvm_swap_active_memslots.synchronize_srcu#2", "kvm_gmem_unbind.invalidate_lock#1"),
    Case("fault slot..seq", PLAIN, "nop", "vcpu1: read gfn=0",
         "fast_page_fault.walk#1", "kvm_mmu_faultin_pfn.mmu_seq#1"),
    Case("fault seq..pfn", PLAIN, "nop", "vcpu1: read gfn=0",
         "hva_to_pfn.fast#1", "hva_to_pfn.fast#1"),
    Case("fault pfn..install", PLAIN, "nop", "vcpu1: read gfn=0",
         "kvm_mmu_faultin_pfn.recheck#1", "kvm_tdp_mmu_map.install#1"),
    Case("fault recheck..install", PLAIN, "nop", "vcpu1: read gfn=0",
         "kvm_tdp_mmu_page_fault.mmu_lock#1", "kvm_tdp_mmu_map.install#1"),
    Case("tlb fill..access", PLAIN, "read gfn=0", "vcpu1: read gfn=0",
         "guest.access#1", "guest.access#1"),
    Case("user fault page..pte", GMEM, "nop", "vmm0: user_write hva=A value=3",
         "kvm_gmem_fault_user_mapping.install#1", "kvm_gmem_fault_user_mapping.install#1"),
    Case("gpc snapshot..lookup", PLAIN, "nop", "vcpu1: gpc_activate gpc=0 gpa=0p",
         "hva_to_pfn_retry.lookup#1", "hva_to_pfn.fast#1"),
    Case("gpc lookup..recheck", PLAIN, "nop", "vcpu1: gpc_activate gpc=0 gpa=0p",
         "hva_to_pfn_retry.map#1", "hva_to_pfn_retry.lock#1"),
    Case("gpc check..use", PLAIN, "gpc_activate gpc=0 gpa=0p", "vcpu1: gpc_read gpc=0",
         "kvm_gpc_check.use#1", "kvm_gpc_check.use#1"),
    Case("migration", PLAIN, "read gfn=0", "kthread1: migrate hva=A",
         "kvm_handle_hva_range.srcu#2", "move_to_new_folio.copy#1"),
    Case("reclaim unmap..out", PLAIN, "nop", "kthread1: reclaim hva=A",
         "kvm_handle_hva_range.srcu#3", "shrink_folio_list.pageout#1"),
    Case("dirty protect..flush", LOGGED, "write gfn=0 value=1", "vmm0: get_dirty_log slot=0",
         "kvm_get_dirty_log_protect.flush#1", "kvm_get_dirty_log_protect.flush#1"),
    Case("attributes start..end", PRIVATE, "read gfn=0", ATTRIBUTES,
         "kvm_handle_gfn_range.flush#1", "kvm_handle_gfn_range.post_mmu_lock#1"),
    Case("poisoning", PLAIN, "read gfn=0", "kthread1: memory_failure hva=A",
         "kvm_mmu_notifier_invalidate_range_start.count#1",
         "kvm_mmu_notifier_invalidate_range_end.count#1"),
    Case("kvm access slot..memory", PLAIN, "nop", "vmm0: kvm_read gfn=0",
         "user_access.mmu#1", "user_access.mmu#1"),
    Case("exit release..unmap", PLAIN, "read gfn=0", "kthread1: exit_mm",
         "exit_mmap.unmap#1", "exit_mmap.unmap#1"),
)
# fmt: on


def program(setup: str, before: str, opener: str, profile: str = "v7.2 x86-tdp") -> Program:
    """One op of vcpu0, then the opener, then a visitor, unless it was let in before."""
    actor, op = opener.split(": ")
    vm = "sw-protected" if setup is PRIVATE else "default"
    return parse(
        f"gmemdiff 1\nprofile: {profile}\nvm: {vm}\ngeometry: vcpus=2\nsetup:\n{setup}"
        f"vcpu0:\n  {before}\n{actor}:\n  {op}\nkthread0:\n  nop\n"
    )


def entered(program: Program) -> set[tuple[str, str]]:
    """Every window and op that entered it."""
    features: set[Feature] = set()
    plan = Plan.of(program)
    watch = Feedback(False, program, features)
    watch.execution = Execution(STOCK.kvm, plan, watch, recorder=watch)
    watch.execution.run()
    return set(watch.windows)


def visits(program: Program, window: str, actor: str) -> list[tuple[Boundary, bool]]:
    """Each step of an actor, and whether a visitor before it is inside the window."""
    steps = [step for step in boundaries(program, STOCK) if step[0] == actor]
    visit = [replace(program, schedule=(Preemption(*step, "kthread0"),)) for step in steps]
    return [
        (step, (window, "nop") in entered(each)) for step, each in zip(steps, visit, strict=True)
    ]


def inside(setup: str, before: str, opener: str, window: str, profile: str) -> list[str]:
    """The steps before which a visitor is inside the window."""
    made = program(setup, before, opener, profile)
    found = visits(made, window, opener.split(":")[0])
    return [f"{step[2]}#{step[3]}" for step, yes in found if yes]


def test_windows_have_names_of_their_own_and_bits_of_their_own() -> None:
    assert len({window.name for window in WINDOWS}) == len(WINDOWS)
    assert len(set(BIT.values())) == len(WINDOWS)
    assert names(sum(BIT.values())) == [window.name for window in WINDOWS]
    assert names(BIT["migration"]) == ["migration"]


def test_every_label_of_the_table_is_a_step_of_some_op() -> None:
    steps = {label for labels in STEP_LABELS.values() for label in labels}
    for window in WINDOWS:
        assert {*window.opens, *window.closes} <= steps, window.name


def test_ops_and_earlier_windows_that_the_table_names_exist() -> None:
    for window in WINDOWS:
        assert window.ops <= set(OPS), window.name
        assert not window.after or window.after in BIT, window.name


def test_every_window_has_a_case_here() -> None:
    assert {case.window for case in CASES} == set(BIT)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.window)
def test_one_is_inside_from_the_step_that_opens_to_the_step_that_closes(case: Case) -> None:
    actor = case.opener.split(":")[0]
    found = visits(program(case.setup, case.before, case.opener), case.window, actor)
    at = [f"{step[2]}#{step[3]}" for step, _ in found]
    first, last = at.index(case.first), at.index(case.last)
    assert [yes for _, yes in found] == [first <= n <= last for n in range(len(at))], at


def test_aging_opens_no_window_between_zap_and_flush() -> None:
    opener = "kthread1: clear_flush_young hva=A"
    assert inside(PLAIN, "read gfn=0", opener, "hva zap..flush", "v7.2 arm64") == []


def test_a_change_of_flags_makes_no_slot_invalid() -> None:
    opener = "vmm0: set_region slot=0 size=8p hva=A flags=LOG_DIRTY"
    profile = "v7.2 x86-tdp"
    assert inside(PLAIN, "write gfn=0 value=1", opener, "slot invalid..zap", profile) == []
    flush = ["kvm_mmu_slot_apply_flags.flush#1"]
    assert inside(PLAIN, "write gfn=0 value=1", opener, "dirty protect..flush", profile) == flush


def test_a_window_of_some_ops_is_not_opened_by_others() -> None:
    """The same page lookup is a fault's in one op and KVM's own access in another."""
    opener = "vmm0: user_write hva=A value=3"
    assert inside(GMEM, "nop", opener, "fault pfn..install", "v7.2 x86-tdp") == []


def test_an_actor_is_not_inside_its_own_window() -> None:
    alone = program(PLAIN, "read gfn=0", "vmm0: munmap hva=A len=8p")
    assert entered(alone) == set()


def test_a_window_that_the_op_left_open_ends_with_the_op() -> None:
    case = next(case for case in CASES if case.window == "poisoning")
    later = program(case.setup, case.before, case.opener)
    assert entered(later) == set()  # the visitor comes after the op

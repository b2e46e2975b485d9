"""What is read from a kernel's console.  The logs are written by hand in the kernel's forms."""

from __future__ import annotations

from tools.lab.console import reports, tail

WARN = """\
[   12.1] ------------[ cut here ]------------
[   12.1] WARNING: arch/x86/kvm/mmu/mmu.c:3129 at mmu_set_spte+0x497/0x4c0 [kvm], CPU#0: init/112
[   12.1] Modules linked in: kvm_amd kvm irqbypass
[   12.1] RIP: 0010:mmu_set_spte+0x497/0x4c0 [kvm]
[   12.1] Call Trace:
[   12.1]  <TASK>
[   12.1]  direct_page_fault+0x10/0x20 [kvm]
[   12.1]  ? some_guess+0x10/0x20
[   12.1]  kvm_mmu_do_page_fault+0x10/0x20 [kvm]
[   12.1]  </TASK>
[   12.1] ---[ end trace 0000000000000000 ]---
[   12.2] all is well again
"""
PANIC = """\
[    3.0] BUG: kernel NULL pointer dereference, address: 0000000000000008
[    3.0] Oops: Oops: 0000 [#1] SMP NOPTI
[    3.0] RIP: 0010:kvm_unmap_gfn_range+0x2a/0x140 [kvm]
[    3.0] Call Trace:
[    3.0]  kvm_mmu_notifier_invalidate_range_start+0x1b0/0x3a0 [kvm]
[    3.0]  unmap_vmas+0xd0/0x180
[    3.0] Kernel panic - not syncing: Fatal exception
"""
ARM64 = """\
[    2.0] Unable to handle kernel paging request at virtual address dead000000000108
[    2.0] Internal error: Oops: 0000000096000044 [#1]  SMP
[    2.0] pc : stage2_unmap_walker+0x30/0x120
[    2.0] Call trace:
[    2.0]  stage2_unmap_walker+0x30/0x120 (P)
[    2.0]  kvm_pgtable_walk+0x90/0x140
[    2.0] ---[ end trace 0000000000000000 ]---
"""


def test_a_warning_is_told_with_its_place_and_trace() -> None:
    (report,) = reports(WARN.splitlines())
    assert report.headline.startswith("WARNING: arch/x86/kvm/mmu/mmu.c:3129 at mmu_set_spte")
    assert report.where == "mmu_set_spte"
    assert report.trace == ("direct_page_fault", "kvm_mmu_do_page_fault")
    assert not report.fatal
    assert "well again" not in "\n".join(report.text)
    assert "<- direct_page_fault <- kvm_mmu_do_page_fault" in str(report)


def test_an_oops_that_panics_is_one_fatal_report() -> None:
    (report,) = reports(PANIC.splitlines())
    assert report.fatal
    assert report.headline == "BUG: kernel NULL pointer dereference, address: 0000000000000008"
    assert report.where == "kvm_unmap_gfn_range"
    assert report.trace[0] == "kvm_mmu_notifier_invalidate_range_start"


def test_arm64_has_forms_of_its_own() -> None:
    (report,) = reports(ARM64.splitlines())
    assert report.fatal
    assert report.where == "stage2_unmap_walker"
    assert report.trace == ("stage2_unmap_walker", "kvm_pgtable_walk")


def test_two_warnings_are_two_reports() -> None:
    assert len(reports((WARN + WARN).splitlines())) == 2


def test_what_a_slow_host_or_a_poisoned_page_brings_is_no_report() -> None:
    lines = [
        "[   40.0] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [init:1]",
        "[   41.0] Memory failure: 0x2f1: recovery action for dirty LRU page: Recovered",
        "[   42.0] clocksource: Long readout interval",
    ]
    assert reports(lines) == []


def test_a_quiet_console_has_no_report() -> None:
    assert reports(["[    1.0] Linux version 7.2.12", "", "[    2.0] random: crng init done"]) == []


def test_the_tail_is_the_last_lines_that_say_something() -> None:
    assert tail(["one", "two\r", "", "three"], 2) == "two\nthree"
    assert tail([]) == "(the console is empty)"

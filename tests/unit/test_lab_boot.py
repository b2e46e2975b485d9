"""Boots that go well and boots that do not, played by a stand-in for QEMU."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fuzz.text import parse
from tools.lab import express
from tools.lab.boot import CASES, END, LOAD, START, Machine, run_boot
from tools.lab.case import DONE, OOPS, TIMEOUT, Case
from tools.lab.emulator import Emulator
from tools.lab.errors import LabError
from tools.lab.initrd import cases_archive
from tools.lab.kernels import AMD64, Kernel
from tools.lab.lab import Lab, results_of

FAKE = Path(__file__).parents[1] / "fake_qemu.py"
QUICK = {START: 20.0, LOAD: 20.0, CASES: 1.0, END: 20.0}


class FakeLab(Lab):
    """A lab whose machine needs neither modules nor an executor."""

    @property
    def base(self) -> bytes:
        return b""


def lab(script: str) -> FakeLab:
    emulator = Emulator(AMD64, (sys.executable, str(FAKE), script), "7.2")
    made = FakeLab(Kernel("7.2.0", AMD64, FAKE, ()), "tdp", emulator, deadline_ms=100)
    made.machine = replace(made.machine, deadlines=QUICK)
    return made


def cases(count: int) -> list[Case]:
    program = parse("gmemdiff 1\nprofile: v7.2 x86-tdp\nvmm0:\n  nop\n  nop\n")
    return [express.serial_cases(f"case {i}", program)[0] for i in range(count)]


@pytest.fixture
def once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong goes wrong in the first boot only."""
    monkeypatch.setenv("FAKE_QEMU_ONCE", str(tmp_path / "done"))


def test_a_good_boot_has_a_result_for_every_case_and_its_times() -> None:
    (boot,) = lab("good,noise").run(cases(3))
    assert [(r.name, r.status) for r in boot.results] == [
        ("case 0", DONE), ("case 1", DONE), ("case 2", DONE),
    ]  # fmt: skip
    assert [o.result for o in boot.results[0].attempts[0]] == ["0", "0"]
    assert boot.kernel == "7.2.0-fake"
    assert boot.capabilities == {"GUEST_MEMFD": 1}
    assert boot.boot_seconds > 0
    assert boot.run_seconds >= 0


@pytest.mark.usefixtures("once")
def test_a_panic_is_the_result_of_its_case_and_the_others_run_in_a_new_boot() -> None:
    seen: list[str] = []
    boots = lab("panic=1").run(cases(4), lambda result: seen.append(result.name))
    results = list(results_of(boots))
    assert len(boots) == 2
    assert [r.status for r in results] == [DONE, OOPS, DONE, DONE]
    assert "kvm_tdp_mmu_map" in results[1].log
    assert "kvm_tdp_mmu_page_fault" in results[1].log
    assert seen == ["case 0", "case 1", "case 2", "case 3"]


@pytest.mark.usefixtures("once")
def test_what_the_emulation_broke_is_no_result_and_runs_again() -> None:
    results = list(results_of(lab("int3=1").run(cases(3))))
    assert [(r.name, r.status) for r in results] == [
        ("case 0", DONE), ("case 1", DONE), ("case 2", DONE),
    ]  # fmt: skip


def test_an_emulation_that_breaks_every_time_is_an_error() -> None:
    with pytest.raises(LabError, match="2 boots in a row ran no case"):
        lab("int3=0").run(cases(1))


@pytest.mark.slow
@pytest.mark.usefixtures("once")
def test_a_hang_costs_its_case_and_tells_the_end_of_the_console() -> None:
    results = list(results_of(lab("hang=0").run(cases(2))))
    assert [r.status for r in results] == [TIMEOUT, DONE]
    assert "the last line before silence" in results[0].log


def test_a_warning_marks_its_case_and_the_boot_goes_on() -> None:
    (boot,) = lab("warn=1").run(cases(3))
    assert [r.status for r in boot.results] == [DONE, OOPS, DONE]
    assert "kvm_handle_hva_range" in boot.results[1].log
    assert len(boot.results[1].attempts[0]) == 2


def test_a_case_that_the_executor_ended_says_in_which_op() -> None:
    (boot,) = lab("killed=0").run(cases(2))
    assert [r.status for r in boot.results] == [TIMEOUT, DONE]
    assert "vmm0[0] nop" in boot.results[0].log


@pytest.mark.usefixtures("once")
def test_an_executor_that_gives_up_costs_the_case_it_was_at() -> None:
    results = list(results_of(lab("giveup=1").run(cases(3))))
    assert [r.status for r in results] == [DONE, TIMEOUT, DONE]
    assert "no more memory" in results[1].log


def test_a_machine_that_never_gets_to_kvm_is_an_error_with_its_console() -> None:
    with pytest.raises(LabError, match=r"(?s)stage 'load' failed.*Failed to execute /init"):
        lab("early").run(cases(1))


@pytest.mark.slow
def test_a_machine_that_says_nothing_is_an_error_of_the_first_stage() -> None:
    machine = lab("silent")
    machine.machine = replace(machine.machine, deadlines=QUICK | {START: 1.0})
    with pytest.raises(LabError, match="stage 'start' failed: nothing came for 1 s"):
        machine.run(cases(1))


def test_qemus_own_complaint_is_told() -> None:
    with pytest.raises(LabError, match="QEMU does not start: qemu: -nonsense: invalid option"):
        lab("refuse").run(cases(1))


def test_a_qemu_that_is_not_there_is_told() -> None:
    machine = Machine(("no-such-qemu",), {}, ())
    with pytest.raises(LabError, match="no-such-qemu cannot be started"):
        run_boot(machine, cases_archive(b"case 0 \n"))

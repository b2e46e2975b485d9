"""The lab: a batch of cases on one kernel, over as many boots as it takes.

A panic or a hang costs the case it happened in; the cases behind it run in the next boot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from tools.lab import console, wire
from tools.lab.boot import CASES, END, OVER, Boot, Machine, run_boot
from tools.lab.case import DIED, DONE, OOPS, SKIPPED, TIMEOUT, BootResult, Case, CaseResult
from tools.lab.emulator import Emulator, find_emulator
from tools.lab.errors import LabError
from tools.lab.initrd import base_archive, cases_archive
from tools.lab.kernels import Kernel
from tools.lab.machines import TCG, machine_for, module_order
from tools.lab.static import build_executor

BATCH_MAX: Final = 2000  # cases in one boot
EMPTY_BOOTS_MAX: Final = 2  # boots in a row that run no case at all
_STATUS: Final = {"done": DONE, "timeout": TIMEOUT, "stuck": TIMEOUT, "died": DIED}
Seen = Callable[[CaseResult], None]


@dataclass(slots=True)
class _Running:
    """The results of one boot as they come; case IDs are places in `cases`."""

    cases: Sequence[Case]
    results: dict[int, CaseResult] = field(default_factory=dict)
    begun: int | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)
    seen: Seen | None = None

    def message(self, data: dict[str, Any]) -> None:
        """Take what the executor sent."""
        if "begin" in data:
            self.close()
            self.begun = int(data["begin"])
        elif "case" in data:
            self.attempts.append(data)
        elif "end" in data:
            self.close()

    def close(self, failure: str = "", log: str = "") -> None:
        """The case that is open is over; failure: a status that outweighs the executor's."""
        if self.begun is None:
            return
        case = self.cases[self.begun]
        result = case_result(case, self.attempts, failure, log)
        self.results[self.begun] = result
        self.begun, self.attempts = None, []
        if self.seen is not None:
            self.seen(result)


def case_result(
    case: Case, attempts: Sequence[dict[str, Any]], failure: str = "", log: str = ""
) -> CaseResult:
    """One result of all attempts that the executor told of: the worst status counts."""
    status, told = DONE, [log] if log else []
    observed = []
    for data in attempts:
        observed.append(wire.observations(case, data["ops"]))
        word = str(data["status"])
        if word == "skipped":
            return CaseResult(case.name, SKIPPED, (), str(data["trouble"]))
        if word != "done" and status == DONE:
            status = _STATUS.get(word, DIED)
            told.append(_what_happened(case, data))
        found = console.reports(data.get("kmsg", ()))
        if found and status != OOPS:
            status = OOPS
        told += ["\n".join((str(report), *report.text)) for report in found]
    return CaseResult(case.name, failure or status, tuple(observed), "\n".join(told))


def _what_happened(case: Case, data: dict[str, Any]) -> str:
    at = int(data["at"])
    turn = (*case.order, *wire.probe_turns(case))[at]
    where = f"{turn.actor}[{turn.index}] {turn.op.name}"
    word = "killed after its deadline" if data["status"] == "timeout" else str(data["status"])
    return f"{word} in {where}: {data['trouble'] or 'it did not come back'}"


class Lab:
    """One kernel and MMU flavour, ready to run cases."""

    def __init__(
        self,
        kernel: Kernel,
        mmu: str,
        emulator: Emulator | None = None,
        accel: str = TCG,
        cpus: int = 1,
        deadline_ms: int = wire.DEADLINE_MS,
    ) -> None:
        """Raises LabError when kernel and MMU do not fit, MissingError when something lacks."""
        self.kernel = kernel
        self.mmu = mmu
        self.deadline_ms = deadline_ms
        self.last_words = ""  # of the last boot, for errors
        self.machine = machine_for(kernel, emulator or find_emulator(kernel.arch), mmu, accel, cpus)

    @cached_property
    def base(self) -> bytes:
        """The archive that is the same for all boots."""
        init = build_executor(self.kernel.arch).read_bytes()
        modules = {path.name: path.read_bytes() for path in self.kernel.modules}
        return base_archive(init, modules, module_order(self.kernel, self.mmu))

    def run(self, cases: Sequence[Case], seen: Seen | None = None) -> list[BootResult]:
        """Run all cases; each has exactly one result, in the order of the cases over all boots.

        seen: told of each result as it comes.  Raises LabError when the machine does not get so
        far as to run cases: that is no result of any of them.
        """
        boots: list[BootResult] = []
        left = list(cases)
        empty = 0
        while left:
            batch = left[:BATCH_MAX]
            done = self._boot(batch, seen)
            boots.append(done)
            empty = 0 if done.results else empty + 1
            if empty == EMPTY_BOOTS_MAX:
                raise LabError(
                    f"{self.kernel.name}, {self.mmu}: {empty} boots in a row ran no case; the last "
                    f"one ended so: {self.last_words}"
                )
            left = left[len(done.results) :]
        return boots

    def _boot(self, batch: Sequence[Case], seen: Seen | None) -> BootResult:
        running = _Running(batch, seen=seen)
        initrd = self.base + cases_archive(wire.encode(batch, self.deadline_ms))
        boot = run_boot(self._patient(batch), initrd, running.message)
        if boot.stage not in (CASES, END):
            raise LabError(self._no_start(boot))
        self.last_words = boot.error or console.tail(boot.console)
        broke = any(report.is_emulators for report in console.reports(boot.console))
        # What the emulation broke is no result: the case runs again in the next boot.
        if boot.ended != "end" and not broke:
            running.close(*_failure(boot))
        ready = boot.seconds[CASES]
        hello: dict[str, Any] = next(m for m in boot.messages if "capabilities" in m)
        return BootResult(
            kernel=str(hello["kernel"]),
            patched=self.kernel.patched,
            mmu=self.mmu,
            boot_seconds=ready,
            run_seconds=boot.seconds.get(END, boot.seconds[OVER]) - ready,
            results=tuple(running.results[i] for i in sorted(running.results)),
            capabilities=dict(hello["capabilities"]),
        )

    def _patient(self, batch: Sequence[Case]) -> Machine:
        """The executor ends a hung case itself; the host waits a little longer than that."""
        deadlines = dict(self.machine.deadlines)
        deadlines[CASES] += self.deadline_ms / 1000
        return replace(self.machine, deadlines=deadlines)

    def _no_start(self, boot: Boot) -> str:
        why = boot.error or {
            "deadline": f"nothing came for {self.machine.deadlines[boot.stage]:.0f} s",
            "gone": "the machine stopped",
        }.get(boot.ended, boot.ended)
        found = console.reports(boot.console)
        what = f": {found[0]}" if found else ""
        return (
            f"{self.kernel.name}, {self.mmu}: stage '{boot.stage}' failed: {why}{what}; "
            f"the console ends:\n{console.tail(boot.console)}"
        )


def _failure(boot: Boot) -> tuple[str, str]:
    """Status and log of the case that a boot ended in."""
    found = [report for report in console.reports(boot.console) if report.fatal]
    if found:
        return OOPS, "\n".join((str(found[0]), *found[0].text))
    if boot.ended == "error":
        return TIMEOUT, f"the executor gave up: {boot.error}"
    what = "the machine hangs" if boot.ended == "deadline" else "the machine stopped"
    return TIMEOUT, f"{what}; the console ends:\n{console.tail(boot.console)}"


def results_of(boots: Sequence[BootResult]) -> Iterator[CaseResult]:
    """The results of all boots, in the order of the cases."""
    for boot in boots:
        yield from boot.results

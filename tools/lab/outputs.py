"""From what a reproducer printed on a real kernel to what that says.

The output is KTAP with comment lines; tools/lab/export/templates write it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from fuzz.judge import STUCK_RULES
from tools.lab.confirmation import KernelRun
from tools.lab.export.checks import LOG
from tools.lab.export.plan import Plan
from tools.lab.export.render import expected_output
from tools.lab.programs import Output

_TEST: Final = re.compile(r"^(not ok|ok) (\d+) (.*?)(?: # (.*))?$")
_BROKEN: Final = re.compile(r"broken in (\d+) of (\d+) attempts")
_STEP: Final = re.compile(r"^# (setup|vmm\d+|vcpu\d+|kthread\d+) \S.* => ")
_SKIP: Final = "1..0 # SKIP "
_TOTALS: Final = "# Totals:"
# Lines that show what was seen, beside the tests.
_TELLING: Final = re.compile(r"^# (?:guest reads|guest writes|KVM writes|\d+ leaves, and|log: )")
_TELLING_MAX: Final = 4
_OUTPUT_LINES_MAX: Final = 400
DIED: Final = ("oops", "hang")


@dataclass(slots=True)
class Printed:
    """An output, taken apart.  broken: attempts in which a test (numbered from 1) did not hold."""

    skipped: str = ""
    whole: bool = False
    broken: dict[int, int] = field(default_factory=dict)
    unseen: set[int] = field(default_factory=set)  # tests that could not be made
    steps: list[str] = field(default_factory=list)
    telling: list[str] = field(default_factory=list)


def read(lines: Sequence[str]) -> Printed:
    """Take an output apart."""
    printed = Printed()
    for line in lines:
        test = _TEST.match(line)
        if line.startswith(_SKIP):
            printed.skipped = line.removeprefix(_SKIP)
        elif line.startswith(_TOTALS):
            printed.whole = True
        elif test is not None:
            count = _BROKEN.match(test[4] or "")
            if test[1] == "not ok":
                printed.broken[int(test[2])] = int(count[1]) if count else 1
            elif (test[4] or "").startswith("SKIP"):
                printed.unseen.add(int(test[2]))
        elif _STEP.match(line):
            printed.steps.append(line)
        elif _TELLING.match(line):
            printed.telling.append(line.removeprefix("# "))
    return printed


def kernel_run(
    plan: Plan, output: Output, release: str, patched: bool, mmu: str, attempts: int
) -> KernelRun:
    """What one kernel said of a finding."""
    printed = read(output.lines)
    trouble = _trouble(printed, output)
    numbers = {check: at for at, check in enumerate(plan.checks, start=1)}
    hits = 0
    evidence: list[str] = []
    for check in plan.deciding:
        times = printed.broken.get(numbers[check], 0)
        if check.kind == LOG and not _names(printed, plan.kind.site):
            times = 0  # a warning, but not this one
        hits = max(hits, times)
        if times:
            evidence.append(f"broken in {times} of {attempts}: {check.holds}")
    if output.ended in DIED and plan.kind.rule in (*STUCK_RULES, "warn", "bug"):
        hits = max(hits, 1)
        evidence.append(f"the machine's end ({output.ended}) is what the rule is about")
    if evidence:
        evidence += list(dict.fromkeys(printed.telling))[:_TELLING_MAX]
    return KernelRun(
        release=release,
        patched=patched,
        mmu=mmu,
        attempts=attempts if printed.whole or hits else 0,
        hits=hits,
        evidence=tuple(evidence),
        trace=_trace(plan, printed, patched),
        output=output.lines[:_OUTPUT_LINES_MAX],
        trouble=trouble,
    )


def _names(printed: Printed, site: str) -> bool:
    """Whether the kernel's log names the function of a WARN or BUG."""
    function = site.split(":")[0]
    return any(function in line for line in printed.telling if line.startswith("log: "))


def _trouble(printed: Printed, output: Output) -> str:
    if printed.skipped:
        return f"skipped: {printed.skipped}"
    if output.ended in DIED:
        return f"{output.ended}: {output.log.splitlines()[0] if output.log else 'no message'}"
    if not printed.whole:
        bail = next((line for line in output.lines if line.startswith("Bail out!")), "")
        return bail or f"it did not come to its end ({output.ended})"
    return ""


def _trace(plan: Plan, printed: Printed, patched: bool) -> tuple[int, int]:
    """(steps that came out as the model of this side says, all steps), over all attempts."""
    text = expected_output(plan, "", int(patched))
    expected = [line for line in text.splitlines() if _STEP.match(line)]
    if not expected:
        return 0, 0
    equal = sum(line == expected[at % len(expected)] for at, line in enumerate(printed.steps))
    return equal, len(printed.steps)

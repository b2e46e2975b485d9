"""The C file: what the templates need, gathered from a plan."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import jinja2

from fuzz.judge import Broken
from fuzz.rules import EXPLAINED
from fuzz.text import format_program
from fuzz.vocabulary import area_base
from tools.lab.export import checks as kinds
from tools.lab.export.checks import Check
from tools.lab.export.emitter import Emitter
from tools.lab.export.plan import ATTEMPTS_THREADS, Plan
from tools.lab.export.source import (
    Function,
    Writer,
    serial_functions,
    step_texts,
    thread_functions,
)

TEMPLATES: Final = Path(__file__).parent / "templates"
_COMMENT_WIDTH: Final = 95
_WHERE: Final = re.compile(r"step [0-9]+, ([a-z]+[0-9]*)\[([0-9]+)\] at")
_MMU_WORDS: Final = {
    "x86-tdp": "the TDP MMU",
    "x86-direct": "the legacy direct MMU",
    "x86-shadow": "shadow paging",
}


def symbols_of(checks: Sequence[Check]) -> dict[Check, str]:
    """A name for each test, in the order of the KTAP lines."""
    names: dict[Check, str] = {}
    for check in checks:
        name = f"TEST_{check.kind.upper()}"
        taken = sum(1 for other in names if other.kind == check.kind)
        names[check] = f"{name}_{taken + 1}" if taken else name
    return names


def told_steps(plan: Plan, broken: Sequence[Broken]) -> dict[tuple[str, int], str]:
    """What happens in a step that breaks the finding's rule, by (actor, index)."""
    told: dict[tuple[str, int], str] = {}
    for each in broken:
        match = _WHERE.match(each.where)
        if match and each.rule == plan.kind.rule:
            told[match[1], int(match[2])] = f"{_side_words(each)}: {each.text}."
    return told


def _side_words(each: Broken) -> str:
    return {"patched-only": "With the patch", "reference-only": "Without the patch"}.get(
        each.side, "Here"
    )


def environment() -> jinja2.Environment:
    """How the templates are read: C keeps its blanks, and a name that is not there is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals["area_base"] = area_base
    return made


def source(plan: Plan, headline: str, broken: Sequence[Broken], name: str) -> str:
    """The C file of a plan.  Raises NotExpressibleError for an op that nobody can ask for."""
    program = plan.program
    emitter = Emitter(program)
    symbols = symbols_of(plan.checks)
    writer = Writer(emitter, program, told_steps(plan, broken))
    if plan.threads:
        functions = thread_functions(writer, program, plan.groups, plan.checks, symbols)
    else:
        functions = serial_functions(
            writer, program, plan.order, plan.expected, plan.checks, symbols
        )
    if program.vm != "default":
        emitter.need("sw_protected")
    _complete(emitter.needs, functions, plan.threads)
    context = _context(plan, emitter, functions, symbols)
    context["headline"] = _c_text(headline)
    context["about"] = _about(plan, headline, broken, name)
    text = environment().get_template("reproducer.c.j2").render(context)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"


def _complete(needs: set[str], functions: Sequence[Function], threads: bool) -> None:
    """What helpers need in turn."""
    body = "\n".join(line for function in functions for line in function.lines)
    users = {
        "sys_result", "gmem_close", "mbind", "pre_fault", "clear_dirty_log", "manual_dirty_log",
        "hwpoison",
    }  # fmt: skip
    if "sys_result(" in body or needs & users:
        needs.add("sys_result")
    if not threads or "limit" in needs or "leaves(" in body:
        needs.add("leaves")
    if needs & {"leaves", "vcpu_stats"} or "stat_of(" in body:
        needs.add("stats")
    if not threads or needs & {"stranger", "backing", "poison"}:
        needs.add("result_name")


def _context(
    plan: Plan, emitter: Emitter, functions: Sequence[Function], symbols: dict[Check, str]
) -> dict[str, Any]:
    program, needs = plan.program, emitter.needs
    every = [*program.setup, *(turn.op for turn in plan.order)]
    return {
        "needs": needs,
        "constants": sorted(emitter.constants.items()),
        "areas": sorted(emitter.areas),
        "gmems": emitter.gmems,
        "gpcs": emitter.gpcs,
        "vcpus": program.vcpus,
        "children": max(1, sum(1 for op in every if op.name == "fork")),
        "shadow": program.profile.mmu == "x86-shadow",
        "direct": program.profile.mmu == "x86-direct",
        "mmu_words": _MMU_WORDS[program.profile.mmu],
        "threads": plan.threads,
        "attempts": ATTEMPTS_THREADS if plan.threads else 1,
        "checks": [
            {"symbol": symbols[check], "holds": _c_text(check.holds)} for check in plan.checks
        ],
        "functions": functions,
        "headers": _headers(needs, plan.threads),
    }


def _headers(needs: set[str], threads: bool) -> list[str]:
    system = {
        "errno.h", "fcntl.h", "sched.h", "setjmp.h", "signal.h", "stdbool.h", "stdio.h",
        "stdarg.h", "stdlib.h", "string.h", "sys/ioctl.h", "sys/mman.h", "sys/utsname.h",
        "unistd.h",
    }  # fmt: skip
    kernel = {"linux/kvm.h"}
    if threads:
        system.add("pthread.h")
    if needs & {"fork", "stranger"}:
        system |= {"sys/types.h", "sys/wait.h"}
    if "stranger" in needs:
        system.add("sys/prctl.h")
    if needs & {"mbind", "migrate", "uffd"}:
        system.add("sys/syscall.h")
    if needs & {"mbind", "migrate"}:
        kernel.add("linux/mempolicy.h")
    if "uffd" in needs:
        kernel.add("linux/userfaultfd.h")
    if "pagemap_scan" in needs:
        kernel.add("linux/fs.h")
    return [*sorted(system), *sorted(kernel)]


def _c_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _paragraph(text: str) -> list[str]:
    return textwrap.wrap(text, _COMMENT_WIDTH)


def _about(plan: Plan, headline: str, broken: Sequence[Broken], name: str) -> list[str]:
    """The comment at the top of the file."""
    lines = [*_paragraph(headline), ""]
    kind, program = plan.kind, plan.program
    prose = [line for line in program.title if "; finding " not in line]
    if prose:
        lines += [*_paragraph(" ".join(prose)), ""]
    rule = EXPLAINED.get(kind.rule)
    if rule is not None:
        lines += [*_paragraph(f"What must hold: {rule.holds}"), ""]
    for each in broken:
        if each.rule == kind.rule:
            lines += _paragraph(f"What the model says: {each.text}.")
    if broken:
        lines.append("")
    lines += _paragraph(f"Order: {plan.why}.")
    if plan.cut:
        lines += _paragraph(
            f"The last {plan.cut} steps of the program are left out: they undo what is to be seen."
        )
    lines += ["", "The program:", ""]
    text = format_program(program).replace("*/", "* /")
    lines += [f"  {line}" for line in text.splitlines() if not line.startswith("#")]
    lines += [
        "",
        "Build:  cc -O2 -Wall -static -pthread -o reproducer \\",
        f"                {name}.c",
        f"Run:    ./reproducer [ATTEMPTS], as root, with {_MMU_WORDS[program.profile.mmu]}",
        "Exit:   0 every test holds, 1 one does not, 4 skipped (kselftest)",
        "Written by gmemdiff.",
    ]
    return [line.rstrip() for line in lines]


def expected_output(plan: Plan, headline: str, side: int) -> str:
    """The KTAP that the models say: side 0 is the reference, 1 the patched one."""
    lines = ["TAP version 13", f"# {headline}"]
    lines.append(f"1..{len(plan.checks)}")
    texts = step_texts(plan.program)
    observed = plan.sides[side]
    if not plan.threads:
        setup = [
            (("setup", index), op, seen)
            for index, (op, seen) in enumerate(zip(plan.program.setup, observed.setup, strict=True))
        ]
        every = setup + [
            ((turn.actor, turn.index), turn.op, seen)
            for turn, seen in zip(plan.order, observed.turns, strict=True)
        ]
        for key, op, seen in every:
            if op.name != "nop":
                result = kinds.result_words(seen.result)
                count = "" if seen.dead else f"; leaves {seen.pages_4k}"
                lines.append(f"# {texts[key]} => {result}{count}")
    failed = 0
    for number, check in enumerate(plan.checks, start=1):
        fails = check.fails[side]
        failed += fails
        many = "" if not plan.threads else " in some of the attempts"
        note = f" # broken{many}" if fails else ""
        lines.append(f"{'not ok' if fails else 'ok'} {number} {check.holds}{note}")
    total = len(plan.checks)
    lines.append(f"# Totals: pass:{total - failed} fail:{failed} xfail:0 xpass:0 skip:0 error:0")
    return "\n".join(lines) + "\n"

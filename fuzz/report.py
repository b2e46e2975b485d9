"""From a Finding, or a Judgement that found nothing, to text that lets the reader act.

The order is the order of a reader's questions: what is it, where, what happened, why care, is it
the patch, how small, how do I see it again.  Tests pin the text; programs read finding.json.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from fuzz.counted import counted
from fuzz.judge import BOTH, PATCHED_ONLY, REFERENCE_ONLY, UNSETTLED, Judgement, Verdict
from fuzz.rules import EXPLAINED, HANG
from fuzz.text import format_program
from fuzz.vocabulary import Program
from reference.features import PROFILES

if TYPE_CHECKING:
    from fuzz.finding import Finding

WIDTH: Final = 100
INDENT: Final = 11
_WHERE: Final = re.compile(r"(step [0-9]+), ([a-z]+[0-9]*)\[([0-9]+)\] at (.*)")
SIDES: Final[Mapping[str, str]] = {
    PATCHED_ONLY: "the patch does this; the reference was not seen to",
    REFERENCE_ONLY: "the reference does this; the patch was not seen to",
    BOTH: "both sides do this: the kernel before the patch does it too",
    UNSETTLED: "one side did this; whether the other can is open",
}


def op_lines(program: Program) -> dict[tuple[str, int], str]:
    """Every op as the program's text writes it, by (actor, index)."""
    lines: dict[tuple[str, int], str] = {}
    section, count = "", 0
    for line in format_program(program).splitlines():
        if line.endswith(":") and not line.startswith((" ", "#")):
            section, count = line[:-1], 0
        elif line.startswith("  ") and section != "schedule":
            lines[section, count] = line.strip()
            count += 1
    return lines


def place(where: str, program: Program) -> str:
    """Where something happened, with the op spelt out."""
    match = _WHERE.fullmatch(where)
    if not match:
        return where
    step, actor, op, label = match.groups()
    text = op_lines(program).get((actor, int(op)), "")
    return f"{step}, {actor}[{op}] {text}, at {label}"


def benefit_text(benefit: Mapping[str, tuple[int, int]]) -> str:
    """``benefit: leaves zapped by notifiers 1 -> 0, ...``; empty when there is none."""
    if not benefit:
        return ""
    pairs = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in sorted(benefit.items()))
    return f"benefit: {pairs}"


def agreement(name: str, judgement: Judgement) -> str:
    """One line about a program in which nothing was found."""
    parts = [f"{name}: {judgement.verdict.name.lower()}"]
    if judgement.verdict is Verdict.INCONCLUSIVE and judgement.differing:
        parts.append(f"differs, and the search ran out: {judgement.differing[0]}")
    if judgement.evidence:
        parts.append(judgement.evidence)
    if judgement.benefit:
        parts.append(benefit_text(judgement.benefit))
    return "; ".join(parts)


def compact(finding: Finding, path: str) -> str:
    """One line about a finding, for those that do not speak against the patch."""
    return f"{finding.headline}   finding {finding.fingerprint}, {path}"


def report(finding: Finding, path: str) -> str:
    """The whole report; `path` is where the program is kept."""
    kind = finding.kind
    lines = [f"{finding.verdict} {kind.side} {kind.rule}   finding {finding.fingerprint}"]
    for name, text in entries(finding, path):
        lines += textwrap.wrap(
            f"{name + ':':<{INDENT}}{text}",
            WIDTH,
            subsequent_indent=" " * INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines) + "\n\n" + format_program(finding.program)


def entries(finding: Finding, path: str) -> Iterator[tuple[str, str]]:
    """What a report says below its headline, as (name, text), in order."""
    yield from _what(finding)
    for each in finding.broken[1:]:
        told = f"{each.side} {each.rule} at {each.site}: {each.text}"
        yield "also", f"{told} ({place(each.where, finding.program)})"
    yield "reference", finding.sides[0]
    yield "patched", finding.sides[1]
    for told in finding.results:
        yield "result", told
    yield from _essentials(finding)
    if finding.benefit:
        yield "benefit", benefit_text(finding.benefit).removeprefix("benefit: ")
    for command in replay(finding, path):
        yield "replay", command


def _what(finding: Finding) -> Iterator[tuple[str, str]]:
    kind, rule = finding.kind, EXPLAINED.get(finding.kind.rule)
    if finding.broken:
        first = finding.broken[0]
        yield "where", place(first.where, finding.program)
        yield "what", f"{first.text} (site: {kind.site})"
    else:
        for difference in finding.differing:
            yield "differs", str(difference)
    if rule is not None:
        yield "matters", rule.otherwise
        yield "rule", f"{rule.holds} [{rule.claim}]"
    yield "side", SIDES[kind.side]
    evidence = (finding.broken[0].evidence if finding.broken else "") or finding.evidence
    if evidence:
        other = "patched" if kind.side == REFERENCE_ONLY else "reference"
        if finding.broken and not finding.broken[0].patched:
            other = "patched"
        yield "search", f"the same on the {other} side: {evidence}"


def _essentials(finding: Finding) -> Iterator[tuple[str, str]]:
    """Size of the program, and what of its schedule matters."""
    program = finding.program
    ops = sum(len(actor.ops) for actor in program.actors)
    before = f" (was {finding.ops_before})" if finding.ops_before else ""
    total = ops + len(program.setup)
    yield (
        "program",
        f"{total} ops{before}, of them {len(program.setup)} setup; "
        f"schedule: {counted(len(program.schedule), 'preemption')}",
    )
    if finding.kind.rule == HANG.slug:
        pass  # nobody tried without
    elif not program.schedule:
        yield "needed", "no preemption: it happens when actors take turns op by op"
    else:
        names = [str(at + 1) for at, needed in enumerate(finding.needed) if needed]
        told = f"preemptions {', '.join(names)}" if names else "no single preemption"
        yield "needed", f"{told} of {len(program.schedule)}"
    if finding.shows_on:
        on = ", ".join(finding.shows_on)
        everywhere = len(finding.shows_on) == len(PROFILES)
        yield "shows on", f"all {len(PROFILES)} profiles" if everywhere else on
    if finding.replayed:
        yield "replayed", f"{finding.replayed}, from its text"
    for point in finding.drift:
        yield "drift", f"one side alone passes {point}"


def replay(finding: Finding, path: str) -> list[str]:
    """Commands that show the finding again."""
    program = finding.program
    options = ""
    for name, wanted, written in (
        ("reference", finding.models[0], program.reference),
        ("patched", finding.models[1], program.patched),
    ):
        if wanted != written:
            options += f" --{name} {shlex.quote(wanted)}"
    bounded = "timeout 60 " if finding.kind.rule == HANG.slug else ""
    return [
        f"{bounded}gmemdiff {command} {shlex.quote(path)}{options}" for command in ("run", "show")
    ]

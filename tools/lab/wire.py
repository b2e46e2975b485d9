"""Between the host and the executor: cases go in as words, results come out as lines.

In (tools/lab/executor/cases.c reads it)::

    case ID MODE REPEAT VM VCPUS DEADLINE_MS SETUP_NR NAME
    op ACTOR INDEX NAME ARG...
    end

Out: KTAP, where comment lines hold JSON::

    # {"init": 1}                                   the executor runs
    # {"kernel": "7.2.12", "capabilities": {...}}   KVM is there
    # {"begin": ID}                                 a case starts
    # {"case": ID, "attempt": 0, "status": "done", "ops": [[result, statistics...], null, ...]}
    # {"end": COUNT}                                all are done
    # {"error": "..."}                              the executor gave up
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from fuzz.actors import result_text
from tools.lab.case import LAB, STATS, THREADS, Case, Observation, Turn

DEADLINE_MS: Final = 30_000  # a shared host may keep a machine waiting for seconds
NAME_MAX: Final = 95
_U64: Final = 1 << 64


def encode(cases: Sequence[Case], deadline_ms: int = DEADLINE_MS) -> bytes:
    """The cases as the executor reads them; a case's ID is its number here."""
    lines: list[str] = []
    for number, case in enumerate(cases):
        program = case.program
        mode = THREADS if case.mode == THREADS else "serial"
        name = " ".join(case.name.split())[-NAME_MAX:] or "unnamed"
        lines.append(
            f"case {number} {mode} {case.repeat} {program.vm} {program.vcpus} {deadline_ms} "
            f"{len(program.setup)} {name.encode('ascii', 'replace').decode()}"
        )
        for turn in (*case.order, *probe_turns(case)):
            args = " ".join(_number(value) for value in turn.op.args)
            lines.append(f"op {turn.actor} {turn.index} {turn.op.name} {args}".rstrip())
        lines.append("end")
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def probe_turns(case: Case) -> tuple[Turn, ...]:
    """The probes as turns of the lab's own actor, behind those of the program."""
    return tuple(Turn(LAB, index, op) for index, op in enumerate(case.probes))


def _number(value: int) -> str:
    return str(value % _U64) if value >= 0 else str(value)


def message(line: str) -> dict[str, Any] | None:
    """The message in a line of the executor, or None when it has none."""
    if not line.startswith("# {"):
        return None
    try:
        data = json.loads(line[2:])
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def observations(case: Case, ops: Sequence[Any]) -> tuple[Observation, ...]:
    """What the ops of one attempt came to, as far as they got."""
    seen: list[Observation] = []
    for turn, data in zip((*case.order, *probe_turns(case)), ops, strict=False):
        if data is None:
            continue
        result, *counters = data
        stats = {
            name: value
            for name, value in zip(STATS, counters, strict=False)
            if value is not None
        }  # fmt: skip
        text = result_text(result)
        seen.append(Observation(turn.actor, turn.index, text, stats))
    return tuple(seen)

"""Both sides of one program, step by step, with the steps that correspond next to each other.

The sides may take different steps, so they are aligned as two texts are: by longest matching
runs of (actor, op, label).  Two things are worth a mark of their own: the first step that only
one side takes, and the first common step after which the states differ.

Plain data; tools/commands/show.py draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from difflib import SequenceMatcher
from typing import Any, Final

from fuzz.digest import held_locks, state_digest, state_text
from fuzz.execution import Run
from fuzz.overlay import Model
from fuzz.search import execute
from fuzz.vocabulary import Program
from reference.kvm import Kvm

SAME: Final = "same"
REFERENCE: Final = "reference"
PATCHED: Final = "patched"
TRACE_FORMAT: Final = 1
# Aligning costs up to the product of the lengths; a livelock's steps are not worth minutes.
ALIGNED_MAX: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Taken:
    """One step of one side, and what the model looked like after it."""

    number: int
    actor: str
    op: int
    label: str
    locks: tuple[str, ...]
    in_progress: int
    seq: int
    active: int
    digest: str
    broken: tuple[str, ...] = ()  # rules first broken in this step, as ``rule at site``
    result: str = ""  # the op's result, when this is its last step

    @property
    def key(self) -> tuple[str, int, str]:
        """What steps of the two sides are compared by."""
        return self.actor, self.op, self.label


@dataclass(frozen=True, slots=True)
class Side:
    """One side's run."""

    model: str
    steps: tuple[Taken, ...]
    end: str
    stuck: tuple[str, ...]
    broken_at_end: tuple[str, ...]  # rules that only the end of the run broke


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the timeline.  mark: SAME, or the only side that takes this step."""

    mark: str
    reference: Taken | None
    patched: Taken | None

    @property
    def step(self) -> Taken:
        """The step, of the reference if it takes it."""
        step = self.reference or self.patched
        assert step is not None
        return step

    @property
    def state_differs(self) -> bool:
        """Whether both sides take this step and end up in different states."""
        ours, theirs = self.reference, self.patched
        return ours is not None and theirs is not None and ours.digest != theirs.digest


@dataclass(frozen=True, slots=True)
class Timeline:
    """Both sides, aligned."""

    reference: Side
    patched: Side
    rows: tuple[Row, ...]
    first_difference: int | None  # index of the first row that only one side has
    first_state: int | None  # index of the first row in which the states differ

    def to_json(self) -> dict[str, Any]:
        """The timeline as JSON can write it."""
        return {
            "reference": _side_json(self.reference),
            "patched": _side_json(self.patched),
            "first_difference": self.first_difference,
            "first_state_difference": self.first_state,
            "rows": [
                {
                    "mark": row.mark,
                    "state_differs": row.state_differs,
                    "reference": asdict(row.reference) if row.reference else None,
                    "patched": asdict(row.patched) if row.patched else None,
                }
                for row in self.rows
            ],
        }


def _side_json(side: Side) -> dict[str, Any]:
    data = asdict(side)
    del data["steps"]  # they stand in the rows
    return data


class _Watcher:
    """A recorder that keeps what each step left behind."""

    def __init__(self) -> None:
        self.steps: list[Taken] = []
        self.known: list[tuple[str, str]] = []

    def step(self, kvm: Kvm, actor: str, op: int, label: str) -> None:
        self.steps.append(
            Taken(
                number=len(self.steps) + 1,
                actor=actor,
                op=op,
                label=label,
                locks=tuple(held_locks(kvm)),
                in_progress=kvm.mmu_invalidate_in_progress,
                seq=kvm.mmu_invalidate_seq,
                active=kvm.mn_active_invalidate_count,
                digest=state_digest(kvm).hex(),
                broken=self.news(kvm),
            )
        )

    def news(self, kvm: Kvm) -> tuple[str, ...]:
        """Rules broken since last asked."""
        new = [key for key in kvm.violations if key not in self.known]
        self.known += new
        return tuple(f"{rule} at {site}" for rule, site in new)


def watch(program: Program, model: Model) -> tuple[Side, Run]:
    """Run a program on one model and keep every step."""
    watcher = _Watcher()
    run = execute(model, program, recorder=watcher)
    last = {(step.actor, step.op): at for at, step in enumerate(watcher.steps)}
    steps = list(watcher.steps)
    for key, result in run.results.items():
        steps[last[key]] = replace(steps[last[key]], result=result)
    side = Side(model.name, tuple(steps), run.end.value, run.stuck, watcher.news(run.kvm))
    return side, run


def timeline(program: Program, reference: Model, patched: Model) -> Timeline:
    """Run a program on both sides and align their steps."""
    ours, _ = watch(program, reference)
    theirs, _ = watch(program, patched)
    rows = tuple(align(ours.steps, theirs.steps))
    first = next((at for at, row in enumerate(rows) if row.mark != SAME), None)
    state = next((at for at, row in enumerate(rows) if row.state_differs), None)
    return Timeline(ours, theirs, rows, first, state)


def align(ours: Sequence[Taken], theirs: Sequence[Taken]) -> list[Row]:
    """Rows of two step lists; steps of one side alone keep their order between common ones."""
    start = _common(ours, theirs)
    tail = _common(ours[start:][::-1], theirs[start:][::-1])
    middle = ours[start : len(ours) - tail], theirs[start : len(theirs) - tail]
    rows = [Row(SAME, a, b) for a, b in zip(ours[:start], theirs[:start], strict=True)]
    rows += _align_middle(*middle)
    if tail:
        rows += [Row(SAME, a, b) for a, b in zip(ours[-tail:], theirs[-tail:], strict=True)]
    return rows


def _common(ours: Sequence[Taken], theirs: Sequence[Taken]) -> int:
    """How many steps two lists begin with in common."""
    count = 0
    for a, b in zip(ours, theirs, strict=False):
        if a.key != b.key:
            break
        count += 1
    return count


def _align_middle(ours: Sequence[Taken], theirs: Sequence[Taken]) -> list[Row]:
    rows: list[Row] = []
    if len(ours) * len(theirs) > ALIGNED_MAX:
        return [*(Row(REFERENCE, a, None) for a in ours), *(Row(PATCHED, None, b) for b in theirs)]
    matcher = SequenceMatcher(None, [a.key for a in ours], [b.key for b in theirs], autojunk=False)
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        if tag == "equal":
            pairs = zip(ours[i:i_end], theirs[j:j_end], strict=True)
            rows += [Row(SAME, a, b) for a, b in pairs]
            continue
        rows += [Row(REFERENCE, a, None) for a in ours[i:i_end]]
        rows += [Row(PATCHED, None, b) for b in theirs[j:j_end]]
    return rows


def trace_text(program: Program, model: Model) -> str:
    """One side's run as canonical text: equal runs have equal bytes, and the other way round."""
    side, run = watch(program, model)
    lines = [f"gmemdiff-trace {TRACE_FORMAT}"]
    for step in side.steps:
        lines.append(f"{step.number} {step.actor}[{step.op}] {step.label} {step.digest}")
        lines += [f"! {rule}" for rule in step.broken]
    lines += [f"result {actor}[{op}] {text}" for (actor, op), text in run.results.items()]
    lines.append(f"end {side.end}")
    lines += [f"stuck {who}" for who in side.stuck]
    lines += [f"! {rule}" for rule in side.broken_at_end]
    return "\n".join(lines) + "\n" + state_text(run.kvm) + "\n"

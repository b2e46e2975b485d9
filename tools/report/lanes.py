"""A two-sided timeline as it is drawn: lanes of actors left and right, the steps between them.

Time goes down.  Each side has one lane per actor; a step is a dot in its actor's lane on the
sides that take it, so what one side does alone is a dot without a partner.  Consecutive steps of
one op form a turn, with the op's text above them.

The reader's eye must find what matters: dull stretches are folded, and of a very long timeline
only the surroundings of what matters are drawn.  `gmemdiff show` prints all of it.

Plain data, with no HTML in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from fuzz.report import op_lines
from fuzz.timeline import PATCHED, REFERENCE, SAME, Row, Side, Taken, Timeline
from fuzz.vocabulary import SETUP, Preemption, Program
from tools.cases import point_text

DRAWN_MAX: Final = 240  # rows; of longer timelines only the surroundings of marks are drawn
AROUND: Final = 12  # rows drawn before and after a mark of a long timeline
DULL_MIN: Final = 5  # a shorter run of dull rows is not worth a fold
DULL_ALONE_MIN: Final = 12  # the same for rows of one side only, which tell more
SIDES: Final = (REFERENCE, PATCHED)


@dataclass(frozen=True, slots=True)
class Lane:
    """One actor's lane; index counts from 0 and decides place and colour."""

    name: str
    index: int


@dataclass(frozen=True, slots=True)
class Tag:
    """A change that a step made: to a counter, a lock, or the op's result.

    side: SAME when both sides show it.
    """

    side: str
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """One row with dots.  A number is 0 on a side that does not take the step."""

    lane: Lane
    label: str
    mark: str  # SAME, REFERENCE or PATCHED
    reference: int
    patched: int
    differs: bool  # both take it, and their states differ afterwards
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """The heading of consecutive steps of one op."""

    lane: Lane
    op: int
    text: str
    again: bool  # the op was begun in an earlier turn


@dataclass(frozen=True, slots=True)
class Band:
    """A line across: kind is difference, state, broken, preempted or end."""

    kind: str
    side: str
    text: str


@dataclass(frozen=True, slots=True)
class Fold:
    """Dull steps, to be opened by who wants to see them."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Steps of a long timeline that are not drawn."""

    count: int


Item: TypeAlias = Turn | Step | Band | Fold | Gap


@dataclass(frozen=True, slots=True)
class Drawing:
    """A whole timeline, drawn."""

    lanes: tuple[Lane, ...]
    items: tuple[Item, ...]
    total: int  # rows of the timeline
    left_out: int  # of them not drawn


def draw(
    program: Program,
    lines: Timeline,
    needed: Sequence[bool] = (),
    drawn_max: int = DRAWN_MAX,
) -> Drawing:
    """Lay a program's timeline out.  `needed` says which preemptions the finding needs."""
    return _Drafter(program, lines, needed, drawn_max).drawing()


class _Drafter:
    """Works through the rows once, in order."""

    def __init__(
        self, program: Program, lines: Timeline, needed: Sequence[bool], drawn_max: int
    ) -> None:
        self.lines = lines
        self.drawn_max = drawn_max
        names = [SETUP] if program.setup else []
        names += [actor.name for actor in program.actors]
        self.lanes = {name: Lane(name, at) for at, name in enumerate(names)}
        self.texts = op_lines(program)
        self.bands = _bands(program, lines, needed)
        self.tags = _all_tags(lines.rows)
        self.begun: set[tuple[str, int]] = set()

    def drawing(self) -> Drawing:
        """All items, with gaps and folds."""
        rows = self.lines.rows
        drawn = self._drawn()
        items: list[Item] = []
        at, left_out = 0, 0
        while at < len(rows):
            end = at
            while end < len(rows) and (end in drawn) == (at in drawn):
                end += 1
            if at in drawn:
                items += self._stretch(at, end)
            else:
                items.append(Gap(end - at))
                self.begun |= {row.step.key[:2] for row in rows[at:end]}
                left_out += end - at
            at = end
        items += self.bands.get(len(rows), ())
        return Drawing(tuple(self.lanes.values()), tuple(items), len(rows), left_out)

    def _drawn(self) -> set[int]:
        """Indexes of the rows to draw: all, or those around marks, around the first ones first."""
        count = len(self.lines.rows)
        if count <= self.drawn_max:
            return set(range(count))
        marks = sorted({*self.bands, 0, count - 1}, key=self._weight)
        chosen: set[int] = set()
        for mark in marks:
            near = set(range(max(0, mark - AROUND), min(count, mark + AROUND + 1)))
            if len(chosen | near) <= self.drawn_max:
                chosen |= near
        return chosen

    def _weight(self, at: int) -> tuple[int, int]:
        """What to keep first when not all marks can be kept."""
        order = ("broken", "difference", "preempted", "state", "end")
        kinds = [order.index(band.kind) for band in self.bands.get(at, ())]
        return min(kinds, default=len(order)), at

    def _stretch(self, start: int, end: int) -> Iterator[Item]:
        """Rows start to end, cut into turns."""
        at = start
        while at < end:
            key = self._key(at)
            stop = at + 1
            while stop < end and self._key(stop) == key:
                stop += 1
            yield from self._before(at)
            yield Turn(self._lane(key[0]), key[1], self.texts.get(key, ""), key in self.begun)
            self.begun.add(key)
            yield from self._turn(at, stop)
            at = stop

    def _before(self, at: int) -> tuple[Band, ...]:
        """Bands that stand above a row; what a step broke stands below it, see _turn()."""
        return tuple(band for band in self.bands.get(at, ()) if band.kind != "broken")

    def _turn(self, start: int, end: int) -> Iterator[Item]:
        """The steps of one turn; runs of dull ones as folds."""
        at = start
        while at < end:
            stop, mark = at, self.lines.rows[at].mark
            while stop < end and self._dull(stop, mark, first=start, last=end - 1):
                stop += 1
            if stop - at >= (DULL_MIN if mark == SAME else DULL_ALONE_MIN):
                yield Fold(tuple(self._step(i) for i in range(at, stop)))
                at = stop
                continue
            for i in range(at, max(stop, at + 1)):
                if i > start:
                    yield from self._before(i)
                yield self._step(i)
                yield from (band for band in self.bands.get(i, ()) if band.kind == "broken")
            at = max(stop, at + 1)

    def _dull(self, at: int, mark: str, first: int, last: int) -> bool:
        """Whether a row may be folded away with others of the same mark."""
        row = self.lines.rows[at]
        tagged = any(tag.text.startswith(("inv ", "⇒")) for tag in self.tags[at])
        return row.mark == mark and at not in self.bands and not tagged and first < at < last

    def _step(self, at: int) -> Step:
        row = self.lines.rows[at]
        return Step(
            lane=self._lane(row.step.actor),
            label=row.step.label,
            mark=row.mark,
            reference=row.reference.number if row.reference else 0,
            patched=row.patched.number if row.patched else 0,
            differs=row.state_differs,
            tags=self.tags[at],
        )

    def _lane(self, name: str) -> Lane:
        return self.lanes.setdefault(name, Lane(name, len(self.lanes)))

    def _key(self, at: int) -> tuple[str, int]:
        step = self.lines.rows[at].step
        return step.actor, step.op


def _bands(
    program: Program, lines: Timeline, needed: Sequence[bool]
) -> dict[int, tuple[Band, ...]]:
    """Bands by the row that they belong to; those of the end by the number of rows."""
    found: dict[int, list[Band]] = {}
    if lines.first_state is not None:
        text = "the states differ from here on"
        found.setdefault(lines.first_state, []).append(Band("state", SAME, text))
    if lines.first_difference is not None:
        mark = lines.rows[lines.first_difference].mark
        text = f"first difference: a step that only the {mark} side takes"
        found.setdefault(lines.first_difference, []).append(Band("difference", mark, text))
    for at, preemption in enumerate(program.schedule):
        why = "" if at >= len(needed) else " (needed)" if needed[at] else " (not needed by itself)"
        text = f"preemption {at + 1}{why}: {point_text(preemption)}"
        places = [_preempted(lines.rows, side, preemption) for side in SIDES]
        sides = SIDES if places[0] != places[1] else (SAME,)
        for side, place in zip(sides, places, strict=False):
            if place is not None:
                found.setdefault(place, []).append(Band("preempted", side, text))
    for at, row in enumerate(lines.rows):
        found.setdefault(at, []).extend(_broken(row))
    found[len(lines.rows)] = [
        *_ending(lines.reference, REFERENCE),
        *_ending(lines.patched, PATCHED),
    ]
    return {at: tuple(bands) for at, bands in found.items() if bands}


def _broken(row: Row) -> Iterator[Band]:
    ours, theirs = (step.broken if step else () for step in (row.reference, row.patched))
    for rule in ours:
        both = rule in theirs
        side = SAME if both else REFERENCE
        yield Band("broken", side, f"{'both sides break' if both else 'reference breaks'} {rule}")
    for rule in theirs:
        if rule not in ours:
            yield Band("broken", PATCHED, f"patched breaks {rule}")


def _ending(side: Side, name: str) -> Iterator[Band]:
    for rule in side.broken_at_end:
        yield Band("broken", name, f"the end of {name} breaks {rule}")
    stuck = "".join(f"; {who}" for who in side.stuck)
    yield Band(
        "end", name, f"{name} ({side.model}) {side.end} after {len(side.steps)} steps{stuck}"
    )


def _taken(row: Row, side: str) -> Taken | None:
    return row.reference if side == REFERENCE else row.patched


def _preempted(rows: Sequence[Row], side: str, p: Preemption) -> int | None:
    """The row above which a side's actor is preempted: the next one after its last step before.

    None when the side never takes the step that the actor was about to take.
    """
    seen, after = 0, 0
    for at, row in enumerate(rows):
        step = _taken(row, side)
        if step is None or step.actor != p.actor:
            continue
        if step.op == p.op and step.label == p.label:
            seen += 1
            if seen == p.occurrence:
                return _next(rows, side, after)
        after = at + 1
    return None


def _next(rows: Sequence[Row], side: str, start: int) -> int:
    return next((i for i in range(start, len(rows)) if _taken(rows[i], side)), start)


def _all_tags(rows: Sequence[Row]) -> list[tuple[Tag, ...]]:
    """For each row what its step changed, on each side compared with that side's step before."""
    last: dict[str, Taken | None] = {REFERENCE: None, PATCHED: None}
    found: list[tuple[Tag, ...]] = []
    for row in rows:
        told: dict[str, list[str]] = {}
        for side in SIDES:
            step = _taken(row, side)
            if step is not None:
                told[side] = list(_changes(last[side], step))
                last[side] = step
        common = [text for text in told.get(REFERENCE, ()) if text in told.get(PATCHED, ())]
        tags = [Tag(SAME, text) for text in common]
        for side, texts in told.items():
            tags += [Tag(side, text) for text in texts if text not in common]
        found.append(tuple(tags))
    return found


def _changes(before: Taken | None, step: Taken) -> Iterator[str]:
    if step.result:
        yield f"⇒ {step.result}"
    if before is None:
        return
    for name, old, new in (
        ("inv", before.in_progress, step.in_progress),
        ("seq", before.seq, step.seq),
        ("act", before.active, step.active),
    ):
        if old != new:
            yield f"{name} {old}→{new}"
    for sign, locks, others in (("+", step.locks, before.locks), ("−", before.locks, step.locks)):
        for lock in locks:
            if lock not in others:  # ``mmap_lock=vmm0(w)``: its own name tells the reader nothing
                yield sign + lock.replace(f"={step.actor}", "")

"""Timelines as lanes: what stands where, what is folded, what of a long one is drawn."""

from __future__ import annotations

from dataclasses import replace

from fuzz.overlay import load_model
from fuzz.text import parse
from fuzz.timeline import PATCHED, REFERENCE, SAME, Row, Side, Taken, Timeline, timeline
from fuzz.vocabulary import Program
from tests.unit import campaigns, samples
from tools.report.lanes import AROUND, DRAWN_MAX, Band, Drawing, Fold, Gap, Step, Turn, draw

MODELS = load_model("stock"), load_model("seed")

PREEMPTED = """\
gmemdiff 1
profile: v7.2 x86-shadow
geometry: vcpus=2 frames=64
setup:
  create_gmem fd=gmem0 size=3p
  mmap hva=A+508p len=3p share=private
  set_region slot=0 size=3p hva=A+508p flags=GUEST_MEMFD fd=gmem0
vcpu1:
  gpc_activate gpc=0 gpa=2p
vmm0:
  mmap hva=A+510p len=1p share=private
schedule:
  vcpu1[0] at hva_to_pfn_retry.map#1 -> vmm0
"""


def steps(drawing: Drawing) -> list[Step]:
    """All steps of a drawing, folded ones too."""
    found: list[Step] = []
    for item in drawing.items:
        found += [item] if isinstance(item, Step) else item.steps if isinstance(item, Fold) else []
    return found


def bands(drawing: Drawing, kind: str) -> list[Band]:
    """The bands of one kind."""
    return [item for item in drawing.items if isinstance(item, Band) and item.kind == kind]


def taken(number: int, actor: str = "vmm0", label: str = "x.y") -> Taken:
    """A step that changes nothing."""
    return Taken(number, actor, 0, label, (), 0, 0, 0, "")


def made_up(rows: list[Row]) -> Timeline:
    """A timeline of rows that nobody ran."""
    ours = tuple(row.reference for row in rows if row.reference)
    theirs = tuple(row.patched for row in rows if row.patched)
    first = next((at for at, row in enumerate(rows) if row.mark != SAME), None)
    return Timeline(
        Side("stock", ours, "finished", (), ()),
        Side("seed", theirs, "finished", (), ()),
        tuple(rows),
        first,
        None,
    )


def program(text: str = samples.STALE) -> Program:
    """A program of the samples."""
    return parse(text)


def test_every_step_of_both_sides_is_drawn_once_and_in_order() -> None:
    finding = campaigns.stale()
    lines = timeline(finding.program, *MODELS)
    drawing = draw(finding.program, lines)
    assert [s.reference for s in steps(drawing) if s.reference] == [
        step.number for step in lines.reference.steps
    ]
    assert [s.patched for s in steps(drawing) if s.patched] == [
        step.number for step in lines.patched.steps
    ]
    assert [lane.name for lane in drawing.lanes] == ["setup", "vcpu0", "vmm0"]
    assert drawing.left_out == 0


def test_a_turn_names_its_op_once_and_says_when_it_goes_on() -> None:
    drawing = draw(program(PREEMPTED), timeline(program(PREEMPTED), *MODELS))
    turns = [item for item in drawing.items if isinstance(item, Turn)]
    told = [(turn.lane.name, turn.text.split()[0], turn.again) for turn in turns]
    assert told[-3:] == [
        ("vcpu1", "gpc_activate", False),
        ("vmm0", "mmap", False),
        ("vcpu1", "gpc_activate", True),
    ]


def test_the_first_difference_and_the_broken_rule_stand_at_their_steps() -> None:
    drawing = draw(program(), timeline(program(), *MODELS))
    kinds = [item for item in drawing.items if isinstance(item, Band)]
    assert [band.kind for band in kinds] == [
        "broken", "state", "difference", "broken", "end", "end",
    ]  # fmt: skip
    assert kinds[0].text == "both sides break gmem-backing at prefetched leaf"
    assert kinds[3].text == "patched breaks stale-spte at gmem-only prefetched leaf"
    difference = drawing.items.index(kinds[2])
    after = drawing.items[difference + 1]
    assert isinstance(after, Step)
    assert after.mark == REFERENCE
    assert after.patched == 0


def test_a_preemption_stands_before_the_first_step_of_the_other_actor() -> None:
    drawing = draw(program(PREEMPTED), timeline(program(PREEMPTED), *MODELS), (True,))
    (band,) = bands(drawing, "preempted")
    assert band.side == SAME
    assert band.text.startswith("preemption 1 (needed): vcpu1[0] at hva_to_pfn_retry.map#1")
    after = drawing.items[drawing.items.index(band) + 1]
    assert isinstance(after, Turn)
    assert after.lane.name == "vmm0"


def test_a_tag_tells_what_a_step_changed_and_on_which_side() -> None:
    drawing = draw(program(PREEMPTED), timeline(program(PREEMPTED), *MODELS))
    tags = {(tag.side, tag.text) for step in steps(drawing) for tag in step.tags}
    assert (REFERENCE, "inv 0→1") in tags
    assert (PATCHED, "inv 0→1") not in tags
    assert (SAME, "+mmap_lock(w)") in tags  # the holder is the lane


def test_dull_steps_are_folded_and_the_ends_of_a_turn_are_not() -> None:
    rows = [Row(SAME, taken(at + 1), taken(at + 1)) for at in range(20)]
    drawing = draw(program(), made_up(rows))
    (fold,) = [item for item in drawing.items if isinstance(item, Fold)]
    assert [step.reference for step in fold.steps] == list(range(2, 20))


def test_steps_of_one_side_are_not_folded_together_with_common_ones() -> None:
    rows = [Row(SAME, taken(at + 1), taken(at + 1)) for at in range(10)]
    rows += [Row(REFERENCE, taken(at + 11), None) for at in range(30)]
    rows += [Row(SAME, taken(at + 41), taken(at + 11)) for at in range(10)]
    folds = [f for f in draw(program(), made_up(rows)).items if isinstance(f, Fold)]
    assert [{step.mark for step in fold.steps} for fold in folds] == [
        {SAME}, {REFERENCE}, {SAME},
    ]  # fmt: skip


def test_of_a_long_timeline_the_surroundings_of_what_matters_are_drawn() -> None:
    rows = [Row(SAME, taken(at + 1), taken(at + 1)) for at in range(5000)]
    bad = replace(taken(4001), broken=("warn at x",))
    rows[4000] = Row(SAME, taken(4001), bad)
    drawing = draw(program(), made_up(rows))
    drawn = [step.reference for step in steps(drawing)]
    assert len(drawn) <= DRAWN_MAX
    assert set(range(4001 - AROUND, 4001 + AROUND)) <= set(drawn)
    assert {1, 5000} <= set(drawn)
    gaps = [item.count for item in drawing.items if isinstance(item, Gap)]
    assert sum(gaps) == drawing.left_out == 5000 - len(drawn)


def test_too_many_marks_do_not_make_the_drawing_longer_than_allowed() -> None:
    rows = [
        Row(
            SAME,
            taken(at + 1),
            replace(taken(at + 1), broken=("warn at x",) if at % 9 == 0 else ()),
        )
        for at in range(3000)
    ]
    drawing = draw(program(), made_up(rows), drawn_max=60)
    assert 0 < len(steps(drawing)) <= 60


def test_a_timeline_without_steps_is_drawn() -> None:
    drawing = draw(program(), made_up([]))
    assert [band.kind for band in drawing.items if isinstance(band, Band)] == ["end", "end"]

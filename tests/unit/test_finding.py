"""Findings are kept once, read back equal, and only replaced by smaller ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fuzz import edit
from fuzz.finding import Finding, Kind, kind_of
from fuzz.folder import FindingError, count_seen, findings_in, load, save
from fuzz.judge import judge
from fuzz.overlay import load_model
from fuzz.text import parse
from fuzz.vocabulary import Op
from tests.unit import samples


def finding_of(text: str, kind: Kind | None = None) -> Finding:
    """The finding in a program, on the usual models."""
    models = load_model("stock"), load_model("seed")
    return Finding.of(judge(parse(text), *models), *models, kind)


@pytest.fixture(name="finding", scope="module")
def _finding() -> Finding:
    return finding_of(samples.STALE)


def test_a_finding_reads_back_as_it_was(finding: Finding, tmp_path: Path) -> None:
    path = save(finding, tmp_path / "findings")
    assert path == tmp_path / "findings" / "69a427fe" / "program.prog"
    assert load(path.parent) == finding
    assert list(findings_in(tmp_path / "findings")) == [path.parent]


def test_the_kept_program_says_what_it_is_and_what_to_expect(
    finding: Finding, tmp_path: Path
) -> None:
    program = parse(save(finding, tmp_path).read_text())
    assert program.title[0].startswith("INVARIANT patched-only stale-spte at ")
    assert program.expect == finding.lines == ("both gmem-backing", "patched-only stale-spte")
    data = json.loads((tmp_path / "69a427fe" / "finding.json").read_text())
    assert data["counts"]["seen"] == 1
    assert data["counts"]["benefit"]["leaves zapped by notifiers"] == [2, 0]


def test_saving_again_annotates_only_once(finding: Finding) -> None:
    models = load_model("stock"), load_model("seed")
    again = Finding.of(judge(finding.program, *models), *models)
    assert again.program == finding.program


def test_a_kept_finding_gives_way_to_a_smaller_one_only(finding: Finding, tmp_path: Path) -> None:
    larger = replace(finding, program=edit.with_op(finding.program, "vmm0", 0, Op("fork")))
    larger = replace(larger, program=replace(larger.program, frames=128))
    path = save(larger, tmp_path)
    before = path.read_text()
    save(finding, tmp_path)
    assert path.read_text() != before
    assert load(path.parent) == finding
    save(larger, tmp_path)
    assert load(path.parent) == finding
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "finding.json",
        "program.prog",
        "report.txt",
    ]


def test_how_often_it_was_seen_is_counted_on(finding: Finding, tmp_path: Path) -> None:
    folder = save(finding, tmp_path).parent
    count_seen(folder, 4)
    assert load(folder) == replace(finding, seen=5)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1}', "\0"])
def test_a_folder_that_holds_no_finding_is_told(
    finding: Finding, tmp_path: Path, text: str
) -> None:
    (tmp_path / finding.fingerprint).mkdir()
    (tmp_path / finding.fingerprint / "finding.json").write_text(text)
    with pytest.raises(FindingError, match="move the folder away"):
        save(finding, tmp_path)


def test_each_broken_rule_can_name_a_finding(finding: Finding) -> None:
    other = next(b for b in finding.broken if b.rule == "gmem-backing")
    named = finding_of(samples.STALE, kind_of(other))
    assert named.kind.rule == "gmem-backing"
    assert named.fingerprint != finding.fingerprint
    assert named.lines == finding.lines


def test_a_model_whose_path_has_a_space_is_named_in_the_replay_command_only(
    finding: Finding, tmp_path: Path
) -> None:
    overlay = samples.write(tmp_path, "my overlay.py", samples.WRONG_STAT)
    models = load_model("stock"), load_model(overlay)
    judgement = judge(parse(samples.CHILD_EXIT), *models)
    made = Finding.of(judgement, *models)
    assert made.verdict == "DIVERGE"
    assert made.program.patched == "seed"
    path = save(made, tmp_path / "f")
    assert f"--patched '{overlay}'" in (path.parent / "report.txt").read_text()


def test_needed_preemptions_are_found_by_leaving_each_out() -> None:
    spare = "schedule:\n  vmm0[0] at begin#1 -> vcpu0\n"
    assert finding_of(samples.STALE + spare).needed == (False,)

"""Reading a campaign directory for a report, in whatever state it is."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from tests.unit import campaigns
from tests.unit.campaigns import NOW
from tools.campaign.accept import Acceptance, Accepted
from tools.campaign.layout import Layout
from tools.campaign.settings import CampaignError, Settings
from tools.report.gather import Campaign, gather
from tools.report.samples import POINTS, WHOLE_MAX, Sample, read_samples
from tools.report.windows import windows


def read(root: Path, accepted: Accepted | None = None) -> Campaign:
    """What a report would be made of."""
    return gather(root, accepted or Accepted(), NOW)


def test_a_finding_comes_with_its_history_and_the_larger_count(tmp_path: Path) -> None:
    layout = campaigns.make(tmp_path, campaigns.stale())
    (entry,) = read(layout.root).entries
    assert entry.finding == campaigns.stale()
    assert entry.count == 11  # workers counted more than history.json says
    assert entry.history.found_after == 190.5
    assert entry.history.members == (f"{'0' * 40}.prog",)
    assert entry.fails


def test_accepted_findings_stay_in_the_list_and_fail_nothing(tmp_path: Path) -> None:
    layout = campaigns.make(tmp_path, campaigns.stale())
    accepted = Accepted("a.toml", {campaigns.STALE: Acceptance(campaigns.STALE, "known")})
    campaign = read(layout.root, accepted)
    assert len(campaign.findings) == 1
    assert campaign.failing == ()
    assert campaign.remarks == ()


def test_findings_against_the_patch_come_first_and_accepted_ones_after_new_ones(
    tmp_path: Path,
) -> None:
    both, unsettled = campaigns.another("a"), campaigns.another("b", "unsettled")
    layout = campaigns.make(tmp_path, both, unsettled, campaigns.stale())
    accepted = Accepted("a.toml", {campaigns.STALE: Acceptance(campaigns.STALE, "known")})
    campaign = read(layout.root, accepted)
    names = [entry.fingerprint for entry in campaign.entries]
    assert names == [unsettled.fingerprint, both.fingerprint, campaigns.STALE]
    assert campaign.by_side() == {"patched-only": 1, "unsettled": 1, "both": 1}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("finding.json", '{"format": 1, "rule"'),
        ("finding.json", "[]"),
        ("finding.json", '{"format": 1}'),
        ("finding.json", '{"format": 99}'),
        ("other.txt", "x"),
    ],
)
def test_a_broken_folder_is_told_of_and_hides_no_other(
    tmp_path: Path, name: str, text: str
) -> None:
    layout = campaigns.make(tmp_path, campaigns.stale())
    (layout.findings / "00000000").mkdir()
    (layout.findings / "00000000" / name).write_text(text, encoding="utf-8")
    campaign = read(layout.root)
    assert [entry.fingerprint for entry in campaign.findings] == [campaigns.STALE]
    (broken,) = [entry for entry in campaign.entries if entry.broken]
    assert broken.fingerprint == "00000000"
    assert str(layout.findings / "00000000") in broken.broken


def test_a_folder_under_a_wrong_name_is_broken(tmp_path: Path) -> None:
    layout = campaigns.make(tmp_path, campaigns.stale())
    (layout.findings / campaigns.STALE).rename(layout.findings / "00000000")
    (entry,) = read(layout.root).entries
    assert entry.broken.endswith("holds finding 69a427fe; rename or remove the folder")


@pytest.mark.parametrize("text", ["", "[]", '{"count": "x", "members": 3, "shows_on": 1}', "{"])
def test_a_torn_history_takes_nothing_from_a_finding(tmp_path: Path, text: str) -> None:
    layout = campaigns.make(tmp_path, campaigns.stale())
    path = layout.findings / campaigns.STALE / "history.json"
    path.write_text(text, encoding="utf-8")
    (entry,) = read(layout.root).entries
    assert entry.finding is not None
    assert entry.count == 1
    assert entry.history.shows_on == ()


def test_a_campaign_that_has_just_begun_has_nothing_yet(tmp_path: Path) -> None:
    layout = campaigns.make(tmp_path)
    layout.stats.unlink()
    (layout.worker(0) / "stats.json").unlink()
    campaign = read(layout.root)
    assert campaign.entries == ()
    assert campaign.last == Sample()
    assert campaign.totals.executions == 0


def test_findings_without_readable_settings_are_still_reported(tmp_path: Path) -> None:
    layout = campaigns.make(tmp_path, campaigns.stale())
    layout.settings.write_text("{", encoding="utf-8")
    campaign = read(layout.root)
    assert len(campaign.findings) == 1
    assert campaign.settings == Settings()
    assert campaign.problems[0].startswith(f"{layout.settings}:1:2: is not JSON")


def test_a_folder_that_is_no_campaign_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="no campaign here"):
        read(tmp_path)


def test_files_that_are_still_being_written_are_not_counted(tmp_path: Path) -> None:
    layout = campaigns.make(tmp_path)
    before = read(layout.root).corpus
    (layout.corpus / ".young.x.1").write_text("half", encoding="utf-8")
    (layout.quarantine / "a.prog").write_text("x", encoding="utf-8")
    (layout.quarantine / "a.prog.why").write_text("torn", encoding="utf-8")
    campaign = read(layout.root)
    assert campaign.corpus == before == len(campaigns.CORPUS)
    assert campaign.quarantine == ("a.prog",)


def write_lines(path: Path, count: int, padding: int = 0) -> None:
    """A stats.jsonl of so many seconds."""
    lines = [
        json.dumps({"run_time": at, "execs_done": at, "x": " " * padding}) for at in range(count)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_long_file_of_statistics_is_thinned_from_its_first_to_its_last_line(
    tmp_path: Path,
) -> None:
    path = tmp_path / "stats.jsonl"
    write_lines(path, 5000)
    samples = read_samples(path)
    assert len(samples) == POINTS
    assert (samples[0].run_time, samples[-1].run_time) == (0, 4999)


def test_a_file_that_is_too_long_to_read_is_probed_evenly(tmp_path: Path) -> None:
    path = tmp_path / "stats.jsonl"
    write_lines(path, 3000, padding=2000)
    assert path.stat().st_size > WHOLE_MAX
    samples = read_samples(path)
    times = [sample.run_time for sample in samples]
    assert len(samples) <= POINTS
    assert (times[0], times[-1]) == (0, 2999)
    assert times == sorted(times)
    assert max(b - a for a, b in pairwise(times)) < 40


def test_torn_and_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "stats.jsonl"
    path.write_bytes(b'{"run_time": 1}\n[]\n\xff\xfe\n{"run_time": "x"}\n{"run_time": 2}\n{"run_ti')
    assert [sample.run_time for sample in read_samples(path)] == [1, 2]
    assert read_samples(tmp_path / "none") == ()


def test_windows_never_entered_stand_in_the_list_as_such() -> None:
    rows = windows(
        {"b": {"read": 2, "write": 5, "nop": 0}, "z": {"read": 1}}, {"a": "A.", "b": "B."}
    )
    assert [(row.name, row.sentence, row.entered) for row in rows] == [
        ("a", "A.", ()),
        ("b", "B.", (("write", 5), ("read", 2))),
        ("z", "", (("read", 1),)),
    ]


def test_an_empty_folder_of_findings_is_a_campaign_in_ruins(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.findings.mkdir()
    assert read(tmp_path).problems

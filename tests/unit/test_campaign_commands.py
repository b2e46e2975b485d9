"""The commands of a campaign from outside, as far as they need no running processes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit import samples
from tests.unit.samples import write
from tools import cli, exits
from tools.campaign.layout import Layout, content_name
from tools.campaign.session import Outcome
from tools.campaign.settings import CampaignError, Settings, load_settings, save_settings
from tools.campaign.start import Wanted, make_root, open_settings
from tools.campaign.supervise.hook import split_command
from tools.campaign.supervise.lock import Lock, holder
from tools.campaign.views.lines import LinesView
from tools.campaign.views.snapshot import ENDED, FOUND, Event, FindingView, Snapshot
from tools.campaign.views.words import ago, duration, line, summary

FINDING = FindingView(
    "69a427fe", "INVARIANT patched-only stale-spte at leaf", "stale-spte", "leaf", "patched-only",
    7, "2026-01-02T03:04:05+00:00", 1.5, "c/findings/69a427fe/program.prog",
)  # fmt: skip


def gmemdiff(*arguments: object) -> int:
    """Run one command in this process."""
    return cli.main([str(each) for each in arguments])


def campaign(tmp_path: Path, settings: Settings | None = None) -> Path:
    """A campaign directory in which nothing has run."""
    root = tmp_path / "c"
    layout = make_root(root)
    layout.make()
    save_settings(layout, settings or Settings())
    return root


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """What was said on stderr, which must be one line."""
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    return text


@pytest.mark.parametrize("command", ["resume", "status", "stop", "cmin", "triage"])
def test_without_a_campaign_every_command_says_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert gmemdiff(command, "-w", tmp_path / "none") == exits.BAD_INPUT
    assert "no campaign here" in (text := one_line(capsys))
    assert f"gmemdiff fuzz -w {tmp_path / 'none'}" in text
    assert not (tmp_path / "none").exists()


def test_a_directory_with_other_things_in_it_is_not_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "thesis.tex", "")
    assert gmemdiff("fuzz", "-w", tmp_path) == exits.BAD_INPUT
    assert "thesis.tex" in one_line(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seed", "5"], "has --seed 0, not 5"),
        (["--ops", "2..9"], "has --ops 2..10, not 2..9"),
        (["--profile", "v7.2 arm64"], "has --profile for all, not v7.2 arm64"),
        (["--patched", "stock"], "has --patched seed, not stock"),
    ],
)
def test_other_settings_than_those_of_the_campaign_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    root = campaign(tmp_path)
    assert gmemdiff("fuzz", "-w", root, *options) == exits.BAD_INPUT
    text = one_line(capsys)
    assert said in text
    assert "leave" in text


@pytest.mark.parametrize("command", ["fuzz", "resume", "cmin", "triage"])
def test_a_second_process_on_a_directory_is_told_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    root = campaign(tmp_path)
    with Lock(Layout(root), "test") as lock:
        (root / "lock").write_text("4711\n")
        assert gmemdiff(command, "-w", root) == exits.BAD_INPUT
        assert "process 4711 is using this directory" in one_line(capsys)
        assert holder(Layout(root)) == 4711
        assert lock.handle >= 0
    assert holder(Layout(root)) is None
    with Lock(Layout(root), "test"):  # the file of a dead process is no obstacle
        pass


def test_status_needs_no_lock_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = campaign(tmp_path)
    before = sorted(root.rglob("*"))
    assert gmemdiff("status", "-w", root) == exits.CLEAN
    assert capsys.readouterr().out.startswith("state:      not running\ncampaign:   ")
    assert gmemdiff("status", "-w", root, "--json") == exits.CLEAN
    data = json.loads(capsys.readouterr().out)
    assert (data["state"], data["pid"], data["new_findings"]) == ("ended", None, 0)
    assert sorted(root.rglob("*")) == before


def test_stop_of_a_campaign_that_is_not_running_leaves_no_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = campaign(tmp_path)
    assert gmemdiff("stop", "-w", root) == exits.CLEAN
    assert capsys.readouterr().out == f"{root}: is not running\n"
    assert not (root / "stop").exists()


def test_stop_that_is_not_obeyed_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = campaign(tmp_path)
    with Lock(Layout(root), "test"):
        assert gmemdiff("stop", "-w", root, "--timeout", 0) == exits.INCONCLUSIVE
    assert "was asked to end, and still runs" in capsys.readouterr().err


def test_an_overlay_is_copied_and_the_copy_is_what_counts(tmp_path: Path) -> None:
    patch = Path(write(tmp_path, "patch.py", samples.WRONG_STAT))
    layout = make_root(tmp_path / "c")
    wanted = Wanted(patched=str(patch), reference=str(patch))
    made = open_settings(layout, wanted)
    assert made.patched == "models/patched_patch.py"
    assert (layout.root / made.patched).read_text() == samples.WRONG_STAT
    assert made.reference == "models/reference_patch.py"
    assert open_settings(layout, wanted) == made
    assert open_settings(layout, Wanted()) == made
    patch.write_text(samples.WRONG_STAT.replace("7", "8"))
    with pytest.raises(CampaignError, match="its copy of then differs from the file of now"):
        open_settings(layout, Wanted(patched=str(patch)))


def test_a_wrong_model_makes_no_campaign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gmemdiff("fuzz", "-w", tmp_path / "c", "--patched", "sed") == exits.BAD_INPUT
    assert "did you mean 'seed'" in one_line(capsys)
    assert not (tmp_path / "c" / "campaign.json").exists()


def test_settings_that_were_given_are_kept(tmp_path: Path) -> None:
    layout = make_root(tmp_path / "c")
    wanted = Wanted(profiles=("v7.2 arm64",), seed=3, ops=(4, 8), budget=100)
    made = open_settings(layout, wanted)
    assert load_settings(layout.root) == made
    assert (made.profiles, made.seed, made.ops_min, made.ops_max, made.budget) == (
        ("v7.2 arm64",), 3, 4, 8, 100,
    )  # fmt: skip
    assert made.created.endswith("+00:00")


def test_cmin_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = campaign(tmp_path)
    assert gmemdiff("cmin", "-w", root) == exits.NOTHING
    capsys.readouterr()
    data = samples.AGREE.encode()
    (root / "corpus" / content_name(data)).write_bytes(data)
    (root / "corpus" / "torn").write_bytes(b"gmem")
    assert gmemdiff("cmin", "-w", root) == exits.CLEAN
    out, err = capsys.readouterr()
    assert "1 programs before, 1 after" in out
    assert "repaired: corpus/torn: is torn" in err


@pytest.mark.parametrize("text", ["", "  ", "mail 'me"])
def test_a_hook_that_is_no_command_is_bad_input(text: str) -> None:
    with pytest.raises(CampaignError, match="--on-finding"):
        split_command(text)


def outcome(findings: int = 0, accepted: str = "", queue: int = 0, **more: object) -> Outcome:
    """How a session of ten executions ended."""
    found = (replace(FINDING, accepted=accepted),) * findings
    snapshot = Snapshot("c", Settings(), ENDED, findings=found, queue=queue)
    plain = Outcome(snapshot, executions=10, errors=0, gave_up=(), interrupted=False)
    return replace(plain, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (outcome(), exits.CLEAN),
        (outcome(findings=1), exits.FINDING),
        (outcome(findings=1, accepted="known"), exits.CLEAN),
        (outcome(findings=1, interrupted=True, errors=1), exits.FINDING),
        (outcome(interrupted=True), exits.INTERRUPTED),
        (outcome(executions=0), exits.NOTHING),
        (outcome(errors=1), exits.INTERNAL),
        (outcome(findings=1, gave_up=("worker 0",)), exits.INTERNAL),
        (outcome(gave_up=("worker 0",), refused=True), exits.BAD_INPUT),
        (outcome(queue=1), exits.INCONCLUSIVE),
    ],
)
def test_the_exit_code_says_what_a_build_must_know(ended: Outcome, code: int) -> None:
    assert ended.code == code


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (59.4, "59 s"), (60, "1 min"), (3599, "59 min 59 s"), (3600, "1 h"),
        (90061, "1 d 1 h"), (86400, "1 d"), (3605, "1 h"),
    ],
)  # fmt: skip
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_never_is_no_duration() -> None:
    assert ago(100.0, 0.0) == "never"
    assert ago(100.0, 40.0) == "1 min ago"


def test_the_summary_tells_how_to_replay_and_what_waits() -> None:
    found = (FINDING, replace(FINDING, accepted="known since v6.18"))
    text = "\n".join(summary(Snapshot("c", Settings(), ENDED, findings=found, queue=2), 10))
    assert "findings:   2 patched-only (1 of them accepted)" in text
    assert "gmemdiff run c/findings/69a427fe/program.prog" in text
    assert "accepted: known since v6.18" in text
    assert "2 programs wait for triage: gmemdiff resume -w c" in text
    assert "errors:" not in text


def test_plain_lines_tell_events_at_once_and_the_rest_now_and_then() -> None:
    class Stream:
        text = ""

        def write(self, text: str) -> None:
            self.text += text

        def flush(self) -> None:
            pass

    stream = Stream()
    view = LinesView(stream)  # type: ignore[arg-type]
    events = (Event(0.0, FOUND, "69a427fe x"),)
    for second in range(21):
        at = Snapshot("c", Settings(), session_time=float(second))
        view.show(replace(at, events=events if second == 5 else ()))
    lines = stream.text.splitlines()
    assert [text.partition(":")[0] for text in lines] == ["0 s", "1970-01-01 00", "10 s", "20 s"]
    assert "found: 69a427fe x" in lines[1]
    assert line(Snapshot("c", Settings(), waiting="disk full")).endswith("waiting: disk full")

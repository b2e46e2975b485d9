"""Files that processes of a campaign share: written whole, read whatever they hold."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.features import Profile
from tools.campaign.child.pulse import INPUT_MAX, SIZE, Pulse, read_pulse
from tools.campaign.layout import Layout, content_name, write_whole
from tools.campaign.settings import CampaignError, Settings, load_settings, save_settings

ROOT = Path(__file__).parents[2]


class FullFile(io.BytesIO):
    """A file on a disk without room."""

    def write(self, data: Any, /) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def no_room(*args: object, **named: object) -> object:
    """A system call on a disk without room."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def killed_while(code: str, path: Path, check: Callable[[], None], times: int = 3) -> None:
    """Start a process that writes for ever, kill it at some moment, and check; several times."""
    for number in range(times):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(path)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        assert child.stdout.read(1) == b"+"
        time.sleep(0.01 + 0.007 * number)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        check()


# Writing whole.


def test_a_file_is_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"\x00bytes")
    assert (tmp_path / "file").read_bytes() == b"\x00bytes"
    write_whole(tmp_path / "file", "text é\n")
    assert (tmp_path / "file").read_bytes() == b"text \xc3\xa9\n"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("call", ["open", "write", "replace"])
@pytest.mark.parametrize("before", [b"old", None])
def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, before: bytes | None
) -> None:
    path = tmp_path / "file"
    if before is not None:
        path.write_bytes(before)
    with monkeypatch.context() as patch:
        if call == "write":
            patch.setattr(Path, "open", lambda path, mode: (path.touch(), FullFile())[1])
        else:
            patch.setattr(Path, call, no_room)
        with pytest.raises(OSError, match="No space"):
            write_whole(path, b"new")
    assert (path.read_bytes() if path.exists() else None) == before
    assert [each.name for each in tmp_path.iterdir()] == (["file"] if before else [])


def test_text_that_cannot_be_encoded_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_whole(tmp_path / "file", "\ud800")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_kill_while_writing_leaves_one_of_the_two_contents(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tools.campaign.layout import write_whole\n"
        "path, n = Path(sys.argv[1]), 0\n"
        "while True:\n"
        "    write_whole(path, b'ab'[n % 2:n % 2 + 1] * 300_000)\n"
        "    n += 1\n"
        "    if n == 2: print('+', end='', flush=True)\n"
    )
    path = tmp_path / "file"
    killed_while(code, path, lambda: check_content(path))


def check_content(path: Path) -> None:
    """The file is one of the two."""
    assert path.read_bytes() in (b"a" * 300_000, b"b" * 300_000)


def test_names_are_those_that_libfuzzer_gives() -> None:
    assert content_name(b"") == "da39a3ee5e6b4b0d3255bfef95601890afd80709"


def test_making_the_folders_twice_does_no_harm(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "deep" / "campaign")
    layout.make()
    layout.make()
    assert layout.queue.is_dir()
    assert layout.worker(3) == layout.workers / "3"


# The pulse.


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_the_pulse_shows_the_input_in_hand(tmp_path_factory: Any, inputs: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("pulse") / "pulse"
    pulse = Pulse(path)
    assert read_pulse(path) == (0, b"")
    for number, data in enumerate(inputs, start=1):
        pulse.begin(data)
        assert read_pulse(path) == (number, data)
        pulse.idle()
        assert read_pulse(path) == (number, b"")


def test_an_input_too_large_for_the_pulse_is_not_shown_but_counted(tmp_path: Path) -> None:
    pulse = Pulse(tmp_path / "pulse")
    pulse.begin(b"x" * INPUT_MAX)
    assert read_pulse(tmp_path / "pulse") == (1, b"x" * INPUT_MAX)
    pulse.begin(b"y" * (INPUT_MAX + 1))
    assert read_pulse(tmp_path / "pulse") == (2, b"")


def test_the_pulse_has_its_room_from_the_start_so_that_a_full_disk_cannot_kill(
    tmp_path: Path,
) -> None:
    Pulse(tmp_path / "pulse")
    info = (tmp_path / "pulse").stat()
    assert info.st_size == SIZE
    assert info.st_blocks * 512 >= SIZE


@pytest.mark.parametrize("data", [None, b"", b"short", struct.pack("QI", 7, 0xFFFFFFFF)])
def test_a_pulse_that_is_missing_torn_or_hostile_is_read_all_the_same(
    tmp_path: Path, data: bytes | None
) -> None:
    if data is not None:
        (tmp_path / "pulse").write_bytes(data)
    executions, inhand = read_pulse(tmp_path / "pulse")
    assert (executions, inhand) in ((0, b""), (7, b""))


@pytest.mark.slow
def test_a_kill_while_the_pulse_is_written_leaves_a_whole_input_or_none(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tools.campaign.child.pulse import Pulse\n"
        "pulse, n = Pulse(Path(sys.argv[1])), 0\n"
        "while True:\n"
        "    n += 1\n"
        "    pulse.begin(b'%06d' % n * (1 + n * 997 % 9000))\n"
        "    if n == 9: print('+', end='', flush=True)\n"
    )
    path = tmp_path / "pulse"

    def check() -> None:
        executions, data = read_pulse(path)
        assert executions >= 9
        length = 1 + executions * 997 % 9000
        assert data in (b"", b"%06d" % executions * length)

    killed_while(code, path, check, times=8)


# Settings.


def test_settings_read_back(tmp_path: Path) -> None:
    settings = Settings(
        patched="models/mine.py", profiles=("v7.2 x86-tdp", "v7.3 arm64"), seed=-4, hang_seconds=5
    )
    save_settings(Layout(tmp_path), settings)
    assert load_settings(tmp_path) == settings
    assert settings.parsed_profiles() == (Profile("v7.2", "x86-tdp"), Profile("v7.3", "arm64"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n  "seed": 1,\n}', ":3:1: is not JSON: "),
        ("", ":1:1: is not JSON: "),
        ("[" * 100_000, ":1:1: is not JSON: "),
        ('{"format": 1, "seed": ' + "1" * 5000 + "}", ":1:1: is not JSON: "),
        ("[]", ":1:1: is not format 1"),
        ('{"seed": 1}', ":1:1: is not format 1"),
        ('{"format": 2}', ":1:1: is not format 1"),
        ('{"format": 1, "sed": 1}', ":1:1: unknown setting 'sed'"),
        ('{"format": 1, "seed": "1"}', ":1:1: seed is '1'; want int"),
        ('{"format": 1, "seed": true}', ":1:1: seed is True; want int"),
        ('{"format": 1, "patched": null}', ":1:1: patched is None; want str"),
        ('{"format": 1, "profiles": "v7.2 arm64"}', ":1:1: profiles is 'v7.2 arm64'"),
        ('{"format": 1, "profiles": ["v7.2"]}', ":1:1: 'v7.2' is no profile"),
        ('{"format": 1, "profiles": [7]}', ":1:1: 7 is no profile"),
        ('{"format": 1, "ops_min": 0}', ":1:1: ops_min is 0; want 1 or more"),
        ('{"format": 1, "ops_min": 9, "ops_max": 3}', ":1:1: ops_min to ops_max is 9 to 3"),
        ('{"format": 1, "hang_seconds": Infinity}', ":1:1: hang_seconds is inf; want 0.1"),
        ('{"format": 1, "hang_seconds": NaN}', ":1:1: hang_seconds is nan; want 0.1"),
        ('{"format": 1, "memory_mb": -5}', ":1:1: memory_mb is -5; want 1 or more"),
    ],
)
def test_wrong_settings_are_one_line_with_a_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "campaign.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CampaignError) as caught:
        load_settings(tmp_path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)


def test_settings_that_are_not_there_or_no_text_say_so(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"no campaign here.*gmemdiff fuzz -w"):
        load_settings(tmp_path)
    (tmp_path / "campaign.json").write_bytes(b"\xff\xfe")
    with pytest.raises(CampaignError, match=r"campaign\.json: cannot be read"):
        load_settings(tmp_path)


def test_settings_are_written_sorted_so_that_two_campaigns_compare(tmp_path: Path) -> None:
    save_settings(Layout(tmp_path), Settings())
    text = (tmp_path / "campaign.json").read_text(encoding="utf-8")
    assert list(json.loads(text)) == sorted(json.loads(text))

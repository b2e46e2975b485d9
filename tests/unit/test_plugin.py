"""The pytest plugin: program files as tests, without getting in anybody's way."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.unit import samples

pytest_plugins = ("pytester",)
ROOT = Path(__file__).resolve().parents[2]
INSTALLED = any(
    point.name == "gmemdiff" and point.group == "pytest11"
    for point in metadata.entry_points(group="pytest11")
)
PLUGIN = () if INSTALLED else ("-p", "tools.pytest_plugin")


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest in the test's own folder, with the plugin."""
    return pytester.runpytest_inprocess(*PLUGIN, *arguments)


def write(pytester: pytest.Pytester, **files: str) -> None:
    """Write program files by name."""
    for name, text in files.items():
        samples.write(pytester.path, f"{name}.prog", text)


def test_programs_that_do_as_they_say_pass(pytester: pytest.Pytester) -> None:
    write(
        pytester,
        agree=samples.with_header(samples.AGREE, "expect: agree\n"),
        stale="# why\n\n" + samples.with_header(samples.STALE, samples.STALE_LINES),
        result=samples.AGREE.replace("value=1", "value=1 => 0"),
    )
    run(pytester).assert_outcomes(passed=3)


def test_a_failure_shows_what_was_expected_and_the_report(pytester: pytest.Pytester) -> None:
    write(pytester, stale=samples.with_header(samples.STALE, "expect: agree\n"))
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "stale.prog: expected agree; got both gmem-backing, patched-only stale-spte",
            "INVARIANT patched-only stale-spte   finding 69a427fe",
            "replay: *gmemdiff show stale.prog",
        ]
    )


def test_a_wrong_result_fails(pytester: pytest.Pytester) -> None:
    write(pytester, a=samples.AGREE.replace("value=1", "value=1 => 5"))
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["a.prog: unexpected result: vmm0?2? user_write: expected 5*"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (samples.AGREE, "a.prog: has no expectation; *"),
        (samples.AGREE.replace("nop", "nopp"), "a.prog:4:3: unknown op 'nopp'*"),
        (
            samples.with_header(samples.AGREE, "expect: agree\n")
            + "schedule:\n  vmm0[0] at no.such_step#1 -> vcpu0\n",
            "a.prog:11:3: neither side reaches *",
        ),
        (samples.with_header(samples.AGREE, "patched: sed\n"), "a.prog:3:10: unknown model*"),
    ],
)
def test_a_program_that_cannot_be_a_test_fails_by_one_line(
    pytester: pytest.Pytester, text: str, told: str
) -> None:
    write(pytester, a=text)
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([told])


def test_other_files_of_that_suffix_are_left_alone(pytester: pytest.Pytester) -> None:
    write(pytester, other="$pi = 3;\n", empty="", comment="# gmemdiff 1\n")
    result = run(pytester)
    result.assert_outcomes()
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize("how", ["option", "ini"])
def test_the_models_can_be_chosen(pytester: pytest.Pytester, how: str) -> None:
    overlay = samples.write(pytester.path, "wrong.py", samples.WRONG_STAT)
    write(pytester, a=samples.with_header(samples.CHILD_EXIT, "expect: agree\n"))
    run(pytester).assert_outcomes(passed=1)
    if how == "option":
        result = run(pytester, "--gmemdiff-patched", overlay)
    else:
        pytester.makeini(f"[pytest]\ngmemdiff_patched = {overlay}\n")
        result = run(pytester)
    result.assert_outcomes(failed=1)


def test_loading_the_plugin_imports_nothing_of_ours() -> None:
    code = (
        "import sys, tools.pytest_plugin\n"
        "print([m for m in sys.modules if m.split('.')[0] in"
        " ('fuzz', 'reference', 'patched', 'atheris', 'rich', 'click')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"

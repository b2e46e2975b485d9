"""The command line from outside: what it prints where, and each exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.random_run import Hunt
from fuzz.text import parse
from reference.kvm import Kvm
from tests.unit import samples
from tests.unit.samples import with_header, write
from tools import cli, exits
from tools.commands import run

ROOT = Path(__file__).resolve().parents[2]


def gmemdiff(*arguments: object) -> int:
    """Run one command in this process."""
    return cli.main([str(each) for each in arguments])


def test_agreement_is_one_line_and_exit_code_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "a.prog", samples.AGREE)
    assert gmemdiff("run", path) == exits.CLEAN
    assert capsys.readouterr().out == f"{path}: agree\n"


def test_a_finding_is_reported_with_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "a.prog", samples.STALE)
    assert gmemdiff("run", path) == exits.FINDING
    out = capsys.readouterr().out
    assert out.startswith("INVARIANT patched-only stale-spte   finding 69a427fe\n")
    assert f"replay:    gmemdiff show {path}\n" in out


def test_the_options_override_the_models_of_the_header(tmp_path: Path) -> None:
    path = write(tmp_path, "a.prog", samples.STALE)
    assert gmemdiff("run", path, "--reference", "seed", "--check") == exits.FINDING
    assert gmemdiff("run", path, "--patched", "stock") == exits.FINDING  # both gmem-backing
    quiet = write(tmp_path, "b.prog", samples.CHILD_EXIT)
    overlay = write(tmp_path, "wrong.py", samples.WRONG_STAT)
    assert gmemdiff("run", quiet) == exits.CLEAN
    assert gmemdiff("run", quiet, "--patched", overlay) == exits.FINDING


def test_a_program_finds_an_overlay_beside_it(tmp_path: Path) -> None:
    write(tmp_path, "wrong.py", samples.WRONG_STAT)
    text = with_header(samples.CHILD_EXIT, "patched: wrong.py\n")
    assert gmemdiff("run", write(tmp_path, "a.prog", text)) == exits.FINDING


def test_check_compares_with_the_expect_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path, "good.prog", with_header(samples.STALE, samples.STALE_LINES))
    bad = write(tmp_path, "bad.prog", samples.STALE)
    assert gmemdiff("run", "--check", good) == exits.CLEAN
    assert "as expected: both gmem-backing, patched-only stale-spte" in capsys.readouterr().out
    assert gmemdiff("run", "--check", bad) == exits.FINDING
    assert "expected agree; got both gmem-backing, patched-only" in capsys.readouterr().out


def test_an_unexpected_result_is_exit_code_1_with_and_without_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = samples.AGREE.replace("  user_write hva=A value=1", "  user_write hva=A value=1 => 5")
    path = write(tmp_path, "a.prog", text)
    assert gmemdiff("run", path) == exits.FINDING
    assert "unexpected result: vmm0[2] user_write: expected 5" in capsys.readouterr().out
    assert gmemdiff("run", "--check", path) == exits.FINDING


def test_a_bad_program_is_one_line_and_the_others_still_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = write(tmp_path, "a.prog", samples.AGREE.replace("nop", "nopp"))
    write(tmp_path, "sub/b.prog", samples.AGREE)
    assert gmemdiff("run", tmp_path) == exits.BAD_INPUT
    out, err = capsys.readouterr()
    assert err == f"{bad}:4:3: unknown op 'nopp'; did you mean 'nop'?\n"
    assert out.endswith("b.prog: agree\n2 programs: 1 agree, 1 bad input\n")


def test_a_preemption_that_neither_side_reaches_is_bad_input_unless_lenient(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = samples.AGREE + "schedule:\n# none\n\n  vmm0[0] at no.such_step#1 -> vcpu0\n"
    path = write(tmp_path, "a.prog", text)
    assert gmemdiff("run", path) == exits.BAD_INPUT
    place = f"{path}:12:3: neither side reaches vmm0[0] at no.such_step#1 -> vcpu0"
    assert place in capsys.readouterr().err
    assert gmemdiff("run", "--lenient", path) == exits.CLEAN
    assert "neither side reaches" in capsys.readouterr().out


def test_a_preemption_that_one_side_reaches_is_drift(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    point = "vmm0[1] at kvm_handle_hva_range.mmu_lock#1 -> vcpu0"
    path = write(tmp_path, "a.prog", samples.STALE + f"schedule:\n  {point}\n")
    assert gmemdiff("run", path) == exits.FINDING
    assert f"drift: only the reference reaches {point}" in capsys.readouterr().out


def test_models_are_bad_input_where_they_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "a.prog", with_header(samples.AGREE, "patched: sed\n"))
    assert gmemdiff("run", path) == exits.BAD_INPUT
    assert f"{path}:3:10: unknown model 'sed'; did you mean 'seed'?" in capsys.readouterr().err
    assert gmemdiff("run", path, "--patched", "sed") == exits.BAD_INPUT
    assert capsys.readouterr().err.startswith("unknown model 'sed'")


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["run"],
        ["run", "--no-such-option", "x"],
        ["run", "no/such/file.prog"],
        ["random", "--profile", "v7.2 x86-tpd"],
        ["random", "--ops", "9..4"],
        ["explain", "stale-spt"],
    ],
)
def test_wrong_arguments_are_exit_code_2(arguments: list[str]) -> None:
    assert gmemdiff(*arguments) == exits.BAD_INPUT


def injected(*_: object) -> int:
    raise RuntimeError("injected")


def test_a_failing_model_is_exit_code_3_and_the_others_still_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Kvm, "child_exit", injected)
    write(tmp_path, "a.prog", samples.CHILD_EXIT)
    write(tmp_path, "b.prog", samples.AGREE)
    assert gmemdiff("run", tmp_path) == exits.INTERNAL
    out, err = capsys.readouterr()
    assert "a.prog: internal error: RuntimeError in vmm0[0] at begin: injected" in err
    assert "b.prog: agree" in out


def test_an_error_of_ours_is_one_line_and_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, alone: bool) -> None:
        raise SystemExit(1)

    monkeypatch.setattr(run, "answer_for", fail)
    assert gmemdiff("run", write(tmp_path, "a.prog", samples.AGREE)) == exits.INTERNAL
    assert "internal error: SystemExit(1), please report with" in capsys.readouterr().err


def test_an_interrupt_is_exit_code_130(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    path = write(tmp_path, "a.prog", samples.AGREE)
    monkeypatch.setattr(run, "judge", interrupt)
    assert gmemdiff("run", path) == exits.INTERRUPTED
    monkeypatch.setattr(Hunt, "_one", interrupt)
    assert gmemdiff("random", "--count", 3, "--out", tmp_path / "f") == exits.INTERRUPTED


def test_a_folder_without_programs_is_exit_code_5(tmp_path: Path) -> None:
    assert gmemdiff("run", tmp_path) == exits.NOTHING
    assert gmemdiff("random", "--count", 0, "--out", tmp_path / "f") == exits.NOTHING


def test_a_search_without_budget_is_exit_code_6(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay = write(tmp_path, "wrong.py", samples.WRONG_STAT)
    path = write(tmp_path, "a.prog", samples.CHILD_EXIT)
    arguments = ("run", path, "--patched", overlay)
    assert gmemdiff(*arguments, "--budget", 0, "--settle", 0) == exits.INCONCLUSIVE
    assert "inconclusive" in capsys.readouterr().out
    assert gmemdiff(*arguments) == exits.FINDING


def test_run_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "a.prog", samples.STALE)
    write(tmp_path, "b.prog", "nonsense")
    assert gmemdiff("run", "--json", tmp_path) == exits.BAD_INPUT
    first, second = json.loads(capsys.readouterr().out)
    assert first["lines"] == ["both gmem-backing", "patched-only stale-spte"]
    assert first["finding"]["fingerprint"] == "69a427fe"
    assert "b.prog:1:1: not a gmemdiff program" in second["error"]


def test_minimize_writes_a_smaller_program_that_shows_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = write(tmp_path, "a.prog", samples.STALE), tmp_path / "b.prog"
    assert gmemdiff("minimize", path, "-o", out) == exits.CLEAN
    assert "attempts of drop_op_blocks" in capsys.readouterr().err
    assert gmemdiff("run", "--check", out) == exits.CLEAN
    assert len(parse(out.read_text()).actors[1].ops) == 1
    assert gmemdiff("minimize", path, "-o", out) == exits.BAD_INPUT
    assert gmemdiff("minimize", path, "-o", out, "--force") == exits.CLEAN


def test_minimize_leaves_agreement_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gmemdiff("minimize", write(tmp_path, "a.prog", samples.AGREE)) == exits.CLEAN
    out, err = capsys.readouterr()
    assert out == ""
    assert "nothing to minimise" in err


def test_random_runs_print_the_same_for_the_same_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    overlay = write(tmp_path, "wrong.py", samples.WRONG_STAT)
    limits = ("--count", 40, "--ops", "4..8", "--max-findings", 1, "--budget", 50)
    arguments = ("random", "--patched", overlay, *limits)
    code = gmemdiff(*arguments)
    first = capsys.readouterr().out
    assert gmemdiff(*arguments) == code
    assert capsys.readouterr().out == first
    assert first.startswith(("seed 0:", "INVARIANT", "DIVERGE"))


@pytest.mark.slow
def test_random_keeps_what_it_finds_so_that_check_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "findings"
    arguments = ("--profile", "v7.2 x86-direct", "--max-findings", 1, "--count", 2000)
    assert gmemdiff("random", *arguments, "--json", "--out", out) == exits.FINDING
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert Path(found["path"]) == out / found["fingerprint"] / "program.prog"
    assert gmemdiff("run", "--check", out) == exits.CLEAN


def test_an_internal_error_in_a_random_run_keeps_the_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Kvm, "kvm_gmem_create", injected)
    out = tmp_path / "f"
    assert gmemdiff("random", "--count", 50, "--out", out) == exits.INTERNAL
    (kept,) = out.glob("internal-error-*.prog")
    assert f"{kept}: internal error: RuntimeError in setup[0]" in capsys.readouterr().err


def test_explain_models_ops_and_doctor_answer(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, wanted in (
        (["explain"], "stale-spte"),
        (["explain", "stale-spte"], "J7:"),
        (["models"], "MMU notifiers ignore guest_memfd-only memslots"),
        (["ops"], "share=private or shared"),
        (["doctor"], "/dev/kvm"),
        (["--version"], "gmemdiff"),
        (["-h"], "minimize"),
    ):
        assert gmemdiff(*arguments) == exits.CLEAN
        assert wanted in capsys.readouterr().out


@pytest.mark.slow
def test_bench_prints_rates(capsys: pytest.CaptureFixture[str]) -> None:
    assert gmemdiff("bench", "--repeat", 1) == exits.CLEAN
    assert "both sides, oracles, judge" in capsys.readouterr().out


def test_the_module_runs_as_a_program_and_a_closed_pipe_is_no_finding(tmp_path: Path) -> None:
    path = write(tmp_path, "a.prog", samples.AGREE)
    command = [sys.executable, "-m", "tools.cli"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, "run", path], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{path}: agree\n", "")
    read, written = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*command, "ops"], env=environment, stdout=written, stderr=subprocess.PIPE, text=True
    )
    os.close(written)
    assert (done.returncode, done.stderr) == (exits.PIPE, "")

"""``gmemdiff check-patch``: what is told of a patch before, during and after it was fuzzed."""

from __future__ import annotations

import difflib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from fuzz.folder import PROGRAM, findings_in
from fuzz.folder import load as load_finding
from fuzz.judge import judge
from fuzz.overlay import load_model
from fuzz.port.build import sources_of
from fuzz.port.compiler import VARIABLE, find_compiler
from fuzz.port.models import patch_model
from fuzz.text import load
from tests.ports import edited, needs_compiler, sources
from tests.unit import samples
from tests.unit.samples import write
from tools import cli, exits
from tools.campaign.layout import Layout
from tools.commands.check_patch import executed

ROOT: Final = Path(__file__).parents[2]
SEED: Final = (ROOT / "patched" / "c" / "seed.patch").read_text(encoding="utf-8")
PLACE: Final = "\t\t\tslot = iter.slot;\n\n\t\t\tgfn_range = hva_range_to_gfn_range"
SECONDS: Final = 20
# A line is a line to gcc; clang has one coverage point for two of them.
EXECUTED: Final = re.compile(r"changed: +kvm_main.c: ([12]) of \1 new lines executed")
SAFE: Final = re.compile(r"\b(safe|correct|no bugs?|proven|verified|passed|ok)\b", re.IGNORECASE)


def diff_of(old: str, new: str, file: str = "kvm_main.c") -> str:
    """A patch file that makes one change to the stock port."""
    after = edited(file, old, new)[file]
    before = sources()[file].splitlines(keepends=True)
    return "".join(
        difflib.unified_diff(before, after.splitlines(keepends=True), f"a/{file}", f"b/{file}")
    )


COMMENT: Final = "\t\t\t/* What this slot maps goes. */\n"


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without a C compiler."""
    monkeypatch.setenv(VARIABLE, "/nonexistent")
    find_compiler.cache_clear()
    yield
    find_compiler.cache_clear()


def check(tmp_path: Path, text: str, *options: object) -> tuple[int, Path]:
    """Check a patch; the exit code, and the campaign's directory."""
    patch = write(tmp_path, "mine.patch", text)
    root = tmp_path / "c"
    arguments = ["check-patch", patch, "-w", root, "-j", 1, *options]
    return cli.main([str(each) for each in arguments]), root


def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> str:
    """What is said of a patch that cannot be used; nothing may be left on disk."""
    code, root = check(tmp_path, text)
    assert code == exits.BAD_INPUT
    assert not root.exists()
    return capsys.readouterr().err


# Patches that cannot be used.


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_it_skips_and_says_what_would_help(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, root = check(tmp_path, SEED)
    assert code == exits.SKIPPED
    assert capsys.readouterr().out.startswith(f"skipped: {VARIABLE}=/nonexistent")
    assert not root.exists()


def test_a_hunk_that_does_not_apply_names_the_function_and_shows_both_versions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_compiler()
    text = refused(tmp_path, capsys, SEED.replace("slot = iter.slot;", "slot = this->slot;"))
    assert "does not apply to kvm_handle_hva_range() in kvm_main.c" in text
    expects, _, has = text.partition("the port has")
    assert "slot = this->slot;" in expects
    assert "slot = iter.slot;" in has


def test_what_the_compiler_says_comes_with_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_compiler()
    text = refused(tmp_path, capsys, SEED.replace("+\t\t\t\tcontinue;", "+\t\t\t\tcontinua;"))
    at = sources_of(write(tmp_path, "good.patch", SEED)).sources["kvm_main.c"].splitlines()
    number = at.index("\t\t\t\tcontinue;", 620) + 1
    assert f"kvm_main.c:{number}:" in text
    assert "continua" in text


def test_a_file_that_is_no_patch_and_one_that_is_not_there_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_compiler()
    assert "no change in it" in refused(tmp_path, capsys, "Dear maintainers,\n")
    root = tmp_path / "c"
    missing = str(tmp_path / "none.patch")
    assert cli.main(["check-patch", missing, "-w", str(root)]) == exits.BAD_INPUT
    assert missing in capsys.readouterr().err
    assert not root.exists()


def test_a_rule_that_cannot_be_promised_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_compiler()
    text = refused(tmp_path, capsys, "Subject: x\nPromises: eternity\n\n" + SEED)
    assert "mine.patch:2:1: 'eternity' cannot be promised; known: gmem-survival" in text


def test_a_patch_keeps_the_promises_that_it_makes(tmp_path: Path) -> None:
    needs_compiler()
    plain = patch_model(write(tmp_path, "plain.patch", SEED))
    promising = patch_model(write(tmp_path, "more.patch", "Promises: gmem-survival\n\n" + SEED))
    assert plain.promises == ()
    assert promising.promises == ("gmem-survival",)
    text = (
        "gmemdiff 1\nprofile: v7.2 x86-tdp\nsetup:\n  create_gmem fd=gmem0 size=1p flags=MMAP\n"
        "  mmap hva=A len=1p fd=gmem0 share=shared\n"
        "  set_region slot=0 size=1p hva=A flags=GUEST_MEMFD fd=gmem0\n"
        "vcpu0:\n  read gfn=0\nvmm0:\n  nop\n  mprotect hva=A len=1p prot=READ\n"
    )
    path = write(tmp_path, "a.prog", text)
    stock = load_model("stock")
    assert judge(load(path), stock, promising).lines == judge(load(path), stock, plain).lines


# What is told of the changed lines.


def needs_counts() -> None:
    """Skip where lines cannot be counted."""
    needs_compiler()
    if not find_compiler().covers and shutil.which("gcov") is None:
        pytest.skip("there is no gcov")


@pytest.mark.slow
def test_changed_lines_are_counted_by_whether_a_program_executes_them(tmp_path: Path) -> None:
    needs_counts()
    patched = sources_of(write(tmp_path, "seed.patch", SEED))
    reaching = Path(write(tmp_path, "stale.prog", samples.STALE))
    other = Path(write(tmp_path, "agree.prog", samples.CHILD_EXIT))
    (told,) = executed(patched, [reaching])
    assert EXECUTED.fullmatch(told)
    first, second = executed(patched, [other])
    assert re.fullmatch(r"changed: +kvm_main.c: 0 of [12] new lines executed", first)
    assert re.fullmatch(r" +never executed: \d+-\d+", second)


@pytest.mark.slow
def test_a_new_comment_is_no_line_with_code(tmp_path: Path) -> None:
    needs_counts()
    text = diff_of(PLACE, PLACE.replace("\n\n", "\n" + COMMENT, 1))
    patched = sources_of(write(tmp_path, "comment.patch", text))
    (told,) = executed(patched, [Path(write(tmp_path, "a.prog", samples.STALE))])
    assert told == "changed:    kvm_main.c: no new line with code of its own"


def test_of_a_patch_that_only_removes_lines_it_is_said_that_they_cannot_be_counted(
    tmp_path: Path,
) -> None:
    needs_compiler()
    text = diff_of("\tkvm->mmu_invalidate_seq++;\n", "")
    patched = sources_of(write(tmp_path, "less.patch", text))
    (told,) = executed(patched, [Path(write(tmp_path, "a.prog", samples.STALE))])
    assert told == "changed:    no line is new; what the patch removes cannot be counted"


def test_where_lines_cannot_be_counted_the_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_compiler()
    if find_compiler().covers:
        pytest.skip("clang's coverage points need no tool")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    patched = sources_of(write(tmp_path, "seed.patch", SEED))
    (told,) = executed(patched, [])
    assert told.startswith("changed:    lines executed are not known: ")
    assert "gcov" in told


# Whole sessions.


@pytest.mark.slow
def test_the_seeds_patch_is_found_to_break_what_the_reference_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_compiler()
    code, root = check(tmp_path, SEED, "--max-total-time", SECONDS, "--profile", "v7.2 x86-direct")
    told = capsys.readouterr()
    assert code == exits.FINDING, told.err
    assert "patched-only stale-spte" in told.out
    assert EXECUTED.search(told.out) or "are not known" in told.out
    assert "This says what was explored." in told.out
    assert not SAFE.search(told.out + told.err)
    folders = list(findings_in(Layout(root).findings))
    kinds = {(f.kind.side, f.kind.rule) for f in map(load_finding, folders)}
    assert ("patched-only", "stale-spte") in kinds
    assert not {rule for _, rule in kinds} & {"port-drift", "hang"}
    stock, seed = load_model("stock"), load_model("seed")
    for folder in folders:
        judgement = judge(load(folder / PROGRAM), stock, seed)
        finding = load_finding(folder)
        assert (finding.kind.rule, finding.kind.side) in {
            (b.rule, b.side) for b in judgement.broken
        }, folder
    assert cli.main(["report", "-w", str(root)]) == exits.CLEAN
    assert cli.main(["show", str(folders[0] / PROGRAM)]) in (exits.CLEAN, exits.FINDING)


@pytest.mark.slow
def test_a_comment_breaks_nothing_and_nothing_is_said_of_it_beyond_that(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_compiler()
    text = diff_of(PLACE, PLACE.replace("\n\n", "\n" + COMMENT, 1))
    code, root = check(tmp_path, text, "--max-total-time", 10)
    told = capsys.readouterr()
    assert code in (exits.CLEAN, exits.FINDING, exits.INCONCLUSIVE), told.err
    kinds = [load_finding(folder).kind for folder in findings_in(Layout(root).findings)]
    assert {kind.side for kind in kinds} <= {"both"}
    assert "no new line with code" in told.out or "are not known" in told.out
    assert "may be broken" in told.out
    assert not SAFE.search(told.out + told.err)
    settings = json.loads((root / "campaign.json").read_text(encoding="utf-8"))
    assert settings["engine"] == "c"
    code, _ = check(tmp_path, text, "--max-total-time", 1)  # goes on with it
    assert code in (exits.CLEAN, exits.FINDING, exits.INCONCLUSIVE)

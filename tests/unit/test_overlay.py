"""Overlays: what a file may change, and the one clear line when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.overlay import OverlayError, known_models, line_in_overlay, load_model, rewrite
from reference import mmu_notifier
from reference.kvm import Kvm
from tools.cli import main

GOOD = """
SUMMARY = "never young"

def young_leaves(kvm, gfn_range, clear):
    return False
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_replaces_the_functions_it_names(tmp_path: Path) -> None:
    model = load_model(str(write(tmp_path, GOOD)))
    assert model.replaced == ("young_leaves",)
    assert model.summary == "never young"
    assert issubclass(model.kvm, Kvm)
    assert model.kvm.kvm_age_gfn is Kvm.kvm_age_gfn


def test_the_seed_overlay_replaces_one_function_in_about_the_size_of_the_patch() -> None:
    seed = load_model("seed")
    assert seed.replaced == ("kvm_for_each_memslot_in_hva_range",)
    code = [
        line
        for line in known_models()["seed"].read_text().split("def ")[1].splitlines()
        if line.strip() and '"""' not in line
    ]
    assert len(code) <= 8


def test_a_file_may_change_another_model_further(tmp_path: Path) -> None:
    model = load_model(str(write(tmp_path, 'BASE = "seed"\n' + GOOD)))
    assert model.replaced == ("kvm_for_each_memslot_in_hva_range", "young_leaves")
    assert model.promises == load_model("seed").promises
    assert issubclass(model.kvm, load_model("seed").kvm)


def test_a_crash_in_a_users_overlay_names_its_line_and_is_no_internal_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "def young_leaves(kvm, gfn_range, clear):\n    return kvm.nothing_of_that_name\n"
    path = write(tmp_path, text)
    program = Path(__file__).parents[2] / "corpora" / "good_bad" / "good_young-lost.prog"
    assert main(["run", str(program), "--patched", str(path)]) == 2
    error = capsys.readouterr().err
    assert f"{path}:2:1: AttributeError" in error
    assert "kthread0[0]" in error


def test_two_files_of_one_name_are_two_models(tmp_path: Path) -> None:
    first = load_model(str(write(tmp_path, GOOD)))
    (tmp_path / "other").mkdir()
    second = load_model(str(write(tmp_path / "other", GOOD.replace("never", "always"))))
    assert first.summary != second.summary


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def kvm_handle_hva_rang(kvm, hva_range):\n    yield ''\n",
         ":1:1: 'kvm_handle_hva_rang' is no model function; did you mean 'kvm_handle_hva_range'"),
        ("\n\ndef young_leaves(kvm, clear):\n    return False\n",
         ":3:1: young_leaves takes (kvm, clear); the model calls it with (kvm, gfn_range, clear)"),
        ("def kvm_unmap_gfn_range(kvm, gfn_range):\n    return False\n",
         ":1:1: kvm_unmap_gfn_range must be a generator"),
        ("def young_leaves(kvm, gfn_range, clear):\n    yield False\n",
         ":1:1: young_leaves must not yield"),
        ("def young_leaves(kvm, gfn_range, clear:\n", ":1:17: is not Python"),
        ("import nothing_of_that_name\n", ":1:1: fails when loaded: ModuleNotFoundError"),
        ("x = 1\ny = 1 // 0\n", ":2:1: fails when loaded: ZeroDivisionError"),
        ("X = 1\n", ":1:1: replaces no model function"),
        ("EDITS = (('young_leaves', 'no such line', ''),)\n", "holds 'no such line' 0 times"),
        ("EDITS = ('young_leaves',)\n", "EDITS holds 'young_leaves'; want (function, old, new)"),
        ("BASE = 'sed'\n" + GOOD, "BASE is 'sed'; want the name of another known model"),
        ("EDITS = 7\n", "EDITS must be a tuple"),
        ("PURE = 'yes'\n" + GOOD, "PURE is 'yes'; write True or False"),
        ("PROMISES = ('gmem-survivl',)\n" + GOOD, "did you mean 'gmem-survival'"),
        ("\0", "is not Python"),
    ],
)  # fmt: skip
def test_a_wrong_file_gets_one_line_that_says_where_and_what(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(OverlayError) as caught:
        load_model(str(write(tmp_path, text)))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_missing_or_undecodable_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(OverlayError, match=r"gone\.py:1:1: cannot be read"):
        load_model(str(tmp_path / "gone.py"))
    (tmp_path / "bytes.py").write_bytes(b"x = '\xff'\n")
    with pytest.raises(OverlayError, match="UTF-8"):
        load_model(str(tmp_path / "bytes.py"))
    (tmp_path / "dir.py").mkdir()
    with pytest.raises(OverlayError, match="cannot be read"):
        load_model(str(tmp_path / "dir.py"))


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(OverlayError, match="did you mean 'seed'"):
        load_model("sed")


def test_rewrite_changes_one_place_and_keeps_the_original() -> None:
    changed = rewrite(
        mmu_notifier.mmu_invalidate_retry, "kvm.mmu_invalidate_in_progress > 0 or ", ""
    )
    assert changed is not mmu_notifier.mmu_invalidate_retry
    assert "in_progress > 0" not in changed.rewritten_source  # type: ignore[attr-defined]


def test_every_model_that_comes_with_the_project_loads_and_says_what_it_is() -> None:
    for name in known_models():
        model = load_model(name)
        assert model.summary, name
        assert model.replaced or name == "stock", name


def test_a_crash_is_the_users_also_when_the_file_was_named_without_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "def child_exit(kvm):\n    return 1 // 0\n")
    monkeypatch.chdir(tmp_path)
    model = load_model("mine.py")
    with pytest.raises(ZeroDivisionError) as caught:
        model.kvm.child_exit(None)  # type: ignore[arg-type]
    assert line_in_overlay(model.kvm, caught.value) == "mine.py:2"

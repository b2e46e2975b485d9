"""Each house rule finds what is planted for it, and lets the repaired tree through."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools import tidy


def plant(root: Path, name: str, text: str) -> None:
    """Write one file of a made-up tree."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def found(root: Path, *exceptions: tidy.Allowed) -> list[str]:
    """Complaints about a made-up tree as ``file:line: rule``."""
    return [f"{each.file}:{each.line}: {each.rule}" for each in tidy.check(root, exceptions)]


def test_a_long_file_is_found_at_its_first_line_too_many(tmp_path: Path) -> None:
    plant(tmp_path, "tests/fits.py", "x = 1\n" * 400)
    plant(tmp_path, "tests/long.py", "x = 1\n" * 401)
    plant(tmp_path, "reference/c/long.c", "int x;\n" * 401)
    plant(tmp_path, "corpora/long.prog", "vcpu0: read gfn=0\n" * 401)
    assert found(tmp_path) == [
        "reference/c/long.c:401: file-length",
        "tests/long.py:401: file-length",
    ]


def test_a_long_function_is_found_also_inside_a_class(tmp_path: Path) -> None:
    plant(tmp_path, "tests/fits.py", "def f():\n" + "    x = 1\n" * 69)
    plant(tmp_path, "tests/long.py", "class C:\n    def f(self):\n" + "        x = 1\n" * 70)
    assert found(tmp_path) == ["tests/long.py:2: function-length"]


def test_wide_c_and_blanks_at_the_end_of_its_lines_are_found(tmp_path: Path) -> None:
    text = "/* " + "x" * 98 + " */\n\tint fits;\nint blank; \n" + "\t" * 12 + "int x;\n"
    plant(tmp_path, "fuzz/c/a.c", text)
    plant(tmp_path, "fuzz/c/a.md", text)
    assert found(tmp_path) == [f"fuzz/c/a.c:{line}: c-lines" for line in (1, 3, 4)]


def test_a_c_function_of_the_model_without_a_comment_and_a_long_one_are_found(
    tmp_path: Path,
) -> None:
    good = "/* A. */\nstatic int\nf(void)\n{\n\treturn 0;\n}\n\nint g(void);\n"
    plant(tmp_path, "reference/c/a.c", good + "\nint h(int a,\n      int b)\n{\n\treturn a;\n}\n")
    plant(tmp_path, "fuzz/c/a.c", "int h(void)\n{\n" + "\tx();\n" * 68 + "}\n")
    assert found(tmp_path) == ["fuzz/c/a.c:1: c-function", "reference/c/a.c:10: c-function"]


def test_missing_docstrings_are_found_in_the_packages_only(tmp_path: Path) -> None:
    two = "\n        x = 1\n        return x\n"
    text = f"class C:\n    def f(self):{two}    def _f(self):{two}\ndef g(): ...\n"
    plant(tmp_path, "fuzz/a.py", text)
    plant(tmp_path, "tests/a.py", text)
    plant(tmp_path, "a.py", text)
    assert found(tmp_path) == [
        "fuzz/a.py:1: docstring",
        "fuzz/a.py:1: docstring",
        "fuzz/a.py:2: docstring",
        "fuzz/a.py:9: docstring",
    ]


def test_a_method_of_one_statement_needs_no_docstring(tmp_path: Path) -> None:
    plant(tmp_path, "fuzz/a.py", '"""A."""\nclass C:\n    """B."""\n    def f(self): ...\n')
    assert found(tmp_path) == []


@pytest.mark.parametrize("decorator", ["override", "typing.overload", "size.setter"])
def test_a_function_documented_elsewhere_needs_no_docstring(tmp_path: Path, decorator: str) -> None:
    plant(tmp_path, "fuzz/a.py", f'"""A."""\n@{decorator}\ndef size(): ...\n')
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    ["kvm_set_memslot", "__kvm_gmem_get_pfn", "gfn_to_memslot", "hva_to_pfn", "user_mem_abort"],
)
def test_a_kernel_function_without_its_file_is_found(tmp_path: Path, name: str) -> None:
    plant(tmp_path, "reference/bad.py", f'"""A."""\ndef {name}():\n    """Mirror, i.e. it."""\n')
    plant(
        tmp_path,
        "reference/good.py",
        f'"""A."""\ndef {name}():\n    """In arch/x86/kvm/x86.c."""\n',
    )
    plant(tmp_path, "patched/good.py", f'"""A."""\ndef {name}():\n    """Mirror."""\n')
    assert found(tmp_path) == ["reference/bad.py:2: kernel-file"]


def test_a_model_function_with_a_name_of_its_own_names_no_file(tmp_path: Path) -> None:
    text = '"""A."""\ndef user_mem_aborted():\n    """B."""\ndef take_lock():\n    """C."""\n'
    plant(tmp_path, "reference/a.py", text)
    assert found(tmp_path) == []


# In pieces, because the rule reads this file too.
@pytest.mark.parametrize("path", [["work", "x"], ["root", "x"], ["home", "me"], ["Users", "me"]])
def test_a_path_of_one_machine_is_found_in_any_text_file(tmp_path: Path, path: list[str]) -> None:
    plant(tmp_path, "docs/a.md", "fine\nsee /" + "/".join(path) + "\n")
    assert found(tmp_path) == ["docs/a.md:2: local-path"]


def test_paths_that_are_no_machines_own_are_let_through(tmp_path: Path) -> None:
    plant(tmp_path, "a.md", "net/work/x https://example.org/root/x ./home/x /dev/kvm\n")
    (tmp_path / "a.bin").write_bytes(b"\0 /" + b"work/x")
    assert found(tmp_path) == []


def test_an_exception_silences_one_rule_in_its_files(tmp_path: Path) -> None:
    plant(tmp_path, "tests/long.py", "x = 1\n" * 401)
    plant(tmp_path, "tests/other.py", "x = 1\n" * 401)
    allowed = tidy.Allowed("file-length", "tests/l*.py", "a test")
    assert found(tmp_path, allowed) == ["tests/other.py:401: file-length"]


def test_an_exception_that_excuses_nothing_is_found(tmp_path: Path) -> None:
    allowed = tidy.Allowed("file-length", "tests/gone.py", "a test")
    assert found(tmp_path, allowed) == ["tools/tidy.py:1: stale-exception"]


def test_files_that_git_ignores_are_not_read(tmp_path: Path) -> None:
    try:
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    except OSError:
        pytest.skip("git is not installed")
    plant(tmp_path, ".gitignore", "ignored/\n")
    plant(tmp_path, "ignored/long.py", "x = 1\n" * 401)
    plant(tmp_path, "new/long.py", "x = 1\n" * 401)
    assert found(tmp_path) == ["new/long.py:401: file-length"]


def test_build_results_are_not_read_without_git(tmp_path: Path) -> None:
    plant(tmp_path, ".venv/lib/long.py", "x = 1\n" * 401)
    assert found(tmp_path) == []


def test_the_command_prints_complaints_and_exits_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tidy, "EXCEPTIONS", ())
    assert tidy.main([str(tmp_path)]) == 0
    plant(tmp_path, "tools/a.py", "x = 1\n")
    assert tidy.main([str(tmp_path)]) == 1
    assert capsys.readouterr().out == "tools/a.py:1: docstring: the module has none\n"

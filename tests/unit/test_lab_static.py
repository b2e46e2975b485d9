"""Static programs for the machine under test."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.port.compiler import NoCompilerError
from tools.lab.errors import LabError
from tools.lab.shelf import Shelf
from tools.lab.static import build_runner, build_static

GOOD = {
    "main.c": '#include "one.h"\nint main(void) { return one(); }\n',
    "one.h": "int one(void);\n",
}


def built(files: dict[str, str], shelf: Shelf) -> Path:
    try:
        return build_static("the reproducer", files, shelf=shelf)
    except NoCompilerError as error:
        pytest.skip(str(error))


def test_what_the_compiler_refuses_is_told_by_its_name_with_the_first_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"^the reproducer cannot be built with .*main\.c:1:.*error"):
        built({"main.c": "int main(void) { return nothing; }\n"}, Shelf(tmp_path))


def test_a_header_counts_and_what_is_the_same_is_built_once(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    files = {**GOOD, "one.c": "int one(void) { return 1; }\n"}
    first = built(files, shelf)
    stamp = first.stat().st_mtime_ns
    assert built(files, shelf) == first
    assert first.stat().st_mtime_ns == stamp
    assert built({**files, "one.h": "int one(void); /* 2 */\n"}, shelf) != first


def test_the_runner_builds_from_its_own_file_and_the_executors(tmp_path: Path) -> None:
    try:
        runner = build_runner(Shelf(tmp_path))
    except NoCompilerError as error:
        pytest.skip(str(error))
    assert runner.read_bytes().startswith(b"\x7fELF")


def test_a_program_that_will_not_do_is_not_kept(tmp_path: Path) -> None:
    def refuse(program: Path) -> None:
        raise LabError(f"{program.name} is no good")

    shelf = Shelf(tmp_path)
    files = {"main.c": "int main(void) { return 0; }\n"}
    try:
        with pytest.raises(LabError, match="no good"):
            build_static("the executor", files, shelf=shelf, check=refuse)
    except NoCompilerError as error:
        pytest.skip(str(error))
    assert shelf.names("static") == []

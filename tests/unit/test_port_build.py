"""Building the C port: what is built again, what is said when it cannot be built, and by whom."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from fuzz.codec import random_program
from fuzz.overlay import load_model
from fuzz.port import build, compiler
from fuzz.port.build import BuildError, Options, build_library, build_program, model_sources
from fuzz.port.compiler import NoCompilerError, find_compiler
from fuzz.port.lockstep import lockstep
from tests.ports import built, needs_compiler
from tools import cli, exits

ROOT: Final = Path(__file__).parents[2]

# Writes down what it was asked to compile, and makes a file that says so.
FAKE: Final = """#!/bin/sh
if [ "$1" = --version ]; then echo "%(version)s"; exit 0; fi
while [ $# -gt 0 ]; do
  case $1 in -o) out=$2 ;; *.c) echo "$1" >> "%(log)s" ;; esac
  last=$1
  shift
done
echo made > "$out"
"""


class Fake:
    """A compiler that compiles nothing, and remembers."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "fake cc"
        self.log = folder / "log"
        self.install("cc 1.0")

    def install(self, version: str) -> None:
        """Become another version."""
        self.path.write_text(FAKE % {"version": version, "log": self.log}, encoding="utf-8")
        self.path.chmod(0o755)
        find_compiler.cache_clear()

    def compiled(self) -> list[str]:
        """Files compiled since the last time."""
        names = self.log.read_text(encoding="utf-8").split() if self.log.exists() else []
        self.log.write_text("", encoding="utf-8")
        return sorted(names)


@pytest.fixture(autouse=True)
def _no_compiler_is_remembered() -> Iterator[None]:
    find_compiler.cache_clear()
    yield
    find_compiler.cache_clear()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake compiler, and an empty cache."""
    made = Fake(tmp_path)
    monkeypatch.setenv(compiler.VARIABLE, f"'{made.path}'")
    monkeypatch.setenv(build.CACHE_VARIABLE, str(tmp_path / "cache"))
    return made


def every_unit() -> list[str]:
    """All files of the library."""
    engine = {path.name for path in build.ENGINE_SOURCES.glob("*.c")}
    own = {name for name in engine if not name.endswith("_main.c")} - {"coverage_stubs.c"}
    own.add("patch_marks.c")
    return sorted(own | {name for name in model_sources() if name.endswith(".c")})


def test_a_library_is_built_once(fake: Fake) -> None:
    path = build_library(model_sources())
    assert fake.compiled() == every_unit()
    assert build_library(model_sources()) == path
    assert fake.compiled() == []


def test_what_was_not_used_for_a_month_is_removed_when_something_is_built(fake: Fake) -> None:
    path = build_library(model_sources())
    folder = path.parent
    before = set(folder.iterdir())
    long_ago = time.time() - 31 * 24 * 3600
    for each in before:
        os.utime(each, (long_ago, long_ago))
    assert build_library(model_sources()) == path  # used again: all but nothing is old
    changed = {**model_sources(), "pfncache.c": "/* other */\n"}
    old = folder / "0123-libport.so"
    old.write_text("", encoding="utf-8")
    os.utime(old, (long_ago, long_ago))
    build_library(changed)
    assert not old.exists()
    assert before <= set(folder.iterdir())
    for each in folder.iterdir():
        os.utime(each, (long_ago, long_ago))
    build_library({**model_sources(), "pfncache.c": "/* third */\n"})
    assert not path.exists()
    assert build_library(model_sources()) == path
    assert path.exists()


def test_a_changed_source_compiles_only_itself_and_makes_another_library(fake: Fake) -> None:
    sources = model_sources()
    path = build_library(sources)
    fake.compiled()
    sources["pfncache.c"] += "/* more */\n"
    assert build_library(sources) != path
    assert fake.compiled() == ["patch_marks.c", "pfncache.c"]


def test_a_changed_header_compiles_everything(fake: Fake) -> None:
    sources = model_sources()
    build_library(sources)
    fake.compiled()
    sources["kvm_host.h"] += "/* more */\n"
    build_library(sources)
    assert fake.compiled() == every_unit()


def test_another_compiler_or_other_options_compile_everything(fake: Fake) -> None:
    path = build_library(model_sources())
    fake.compiled()
    sanitized = build_library(model_sources(), Options(sanitize=("address",)))
    assert fake.compiled() == every_unit()
    fake.install("cc 1.1")
    assert len({path, sanitized, build_library(model_sources())}) == 3
    assert fake.compiled() == every_unit()


def test_coverage_compiles_the_kernels_files_again_and_not_what_stands_around_them(
    fake: Fake,
) -> None:
    fake.install("clang version 99")
    build_library(model_sources())
    fake.compiled()
    build_library(model_sources(), Options(coverage=True))
    again = fake.compiled()
    assert "coverage_stubs.c" in again
    assert {"kvm_main.c", "pfncache.c"} <= set(again)
    assert not {"shim.c", "execution.c"} & set(again)


def test_a_compiler_without_coverage_for_libfuzzer_is_not_asked_for_it(fake: Fake) -> None:
    plain = build_library(model_sources())
    assert build_library(model_sources(), Options(coverage=True)) == plain


def test_a_program_has_its_main_file_and_the_library_has_none(fake: Fake) -> None:
    path = build_program(model_sources(), "replay_main.c", Options())
    assert path.name.endswith("-replay_main")
    assert fake.compiled() == sorted([*every_unit(), "replay_main.c"])


def test_a_cache_that_cannot_be_written_is_one_line_that_says_what_to_do(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv(build.CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(BuildError) as caught:
        build_library(model_sources())
    assert str(tmp_path / "file") in str(caught.value)
    assert "cannot be written" in str(caught.value)
    assert build.CACHE_VARIABLE in str(caught.value)
    assert "\n" not in str(caught.value)
    monkeypatch.setattr("tools.commands.lockstep.load_port", lambda name: build_library({}))
    assert cli.main(["lockstep"]) == exits.BAD_INPUT
    assert str(caught.value) in capsys.readouterr().err.splitlines()


def test_a_build_that_fails_leaves_nothing_behind(fake: Fake, tmp_path: Path) -> None:
    fake.path.write_text('#!/bin/sh\n[ "$1" = --version ] && echo cc || exit 1\n', encoding="utf-8")
    with pytest.raises(BuildError, match="does not compile"):
        build_library(model_sources())
    assert list((tmp_path / "cache" / "port").iterdir()) == []


def test_what_the_compiler_says_of_a_mistake_is_shown_with_file_and_line() -> None:
    needs_compiler()
    sources = model_sources()
    sources["pfncache.c"] = "int x = ;\n" + sources["pfncache.c"]
    with pytest.raises(BuildError, match=r"(?m)^pfncache\.c:1:9: error: expected expression"):
        build_library(sources)


def test_a_function_that_nobody_has_is_told_when_it_is_compiled() -> None:
    needs_compiler()
    sources = model_sources()
    sources["mmu_age.c"] += "\nint f(void);\nint f(void)\n{\n\treturn no_such_function();\n}\n"
    with pytest.raises(BuildError, match=r"mmu_age\.c:\d+:\d+: error: .*no_such_function"):
        build_library(sources)
    # It must be used: what nobody calls is left out of a library.
    declared = "int no_such_function(); __attribute__((used)) int f(void);"
    sources["mmu_age.c"] = sources["mmu_age.c"].replace("int f(void);", declared)
    with pytest.raises(BuildError, match="no_such_function"):
        build_library(sources)


def test_a_model_without_a_port_is_told_with_the_file_that_is_missing() -> None:
    with pytest.raises(BuildError, match=r"exists in Python only: there is no .*no-flush\.patch"):
        build.sources_of("mutant:no-flush")


@pytest.mark.slow
def test_a_library_with_coverage_loads_outside_of_a_fuzzer_and_runs() -> None:
    needs_compiler()
    if not find_compiler().covers:
        pytest.skip(f"{find_compiler().name} writes no coverage that libFuzzer reads")
    port = built(model_sources(), Options(coverage=True))
    assert b"__sancov_cntrs" in port.path.read_bytes()
    program = random_program(random.Random(0))
    assert lockstep(program, load_model("stock"), port) is None


@pytest.mark.slow
@pytest.mark.parametrize("coverage", [False, True])
def test_labels_are_numbered_by_name_whoever_orders_the_files(coverage: bool) -> None:
    whole, apart = (
        list(built(model_sources(), Options(coverage=coverage, whole=whole)).labels)
        for whole in (True, False)
    )
    assert whole == apart == sorted(apart)
    assert len(apart) > 100


def test_two_processes_that_build_at_once_both_get_a_whole_library(tmp_path: Path) -> None:
    needs_compiler()
    script = "from fuzz.port.library import load_port; print(load_port('stock').path)"
    env = {**os.environ, build.CACHE_VARIABLE: str(tmp_path)}
    both = [
        subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=env, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [each.communicate()[0] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert said[0] == said[1]
    assert not list(tmp_path.rglob("new-*"))


def test_a_compiler_that_is_named_is_used_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(compiler.VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(NoCompilerError, match=r"GMEMDIFF_CC=.*gone: does not run; install clang"):
        find_compiler()
    monkeypatch.setenv(compiler.VARIABLE, "cc 'half")
    with pytest.raises(NoCompilerError, match="is no command"):
        find_compiler()


def test_clang_comes_before_gcc_and_zig_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(compiler.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(compiler, "find_spec", lambda name: None)
    with pytest.raises(NoCompilerError, match="no C compiler found; install clang") as caught:
        find_compiler()
    assert "\n" not in str(caught.value)
    found = []
    for name, says in (("cc", "cc 1"), ("gcc", "gcc 2"), ("clang", "clang version 3")):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\necho {says}\n", encoding="utf-8")
        path.chmod(0o755)
        find_compiler.cache_clear()
        found.append((find_compiler().version, find_compiler().covers))
    assert found == [("cc 1", False), ("gcc 2", False), ("clang version 3", True)]
    assert find_compiler().name == "clang (clang version 3)"


def test_the_clang_of_ziglang_is_the_last_resort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(compiler.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(compiler, "find_spec", lambda name: object())
    monkeypatch.setattr(compiler, "_version", lambda command: "clang version 22")
    assert find_compiler().command == (sys.executable, "-m", "ziglang", "cc")
    assert find_compiler().zig
    assert find_compiler().covers


def test_without_a_compiler_the_command_skips_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(compiler.VARIABLE, str(tmp_path / "gone"))
    assert cli.main(["lockstep", "--random", "1"]) == exits.SKIPPED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("skipped: GMEMDIFF_CC=")


def test_a_patch_that_does_not_apply_is_bad_input_and_no_internal_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "seed.patch").write_text("no diff\n", encoding="utf-8")
    monkeypatch.setattr(build, "PATCHES", tmp_path)
    monkeypatch.setattr("tools.commands.lockstep.load_port", lambda name: build.sources_of("seed"))
    needs_compiler()
    assert cli.main(["lockstep"]) == exits.BAD_INPUT
    error = capsys.readouterr().err
    assert f"{tmp_path / 'seed.patch'}:1:1: no change in it" in error
    assert "Traceback" not in error

"""Files for OSS-Fuzz and ClusterFuzzLite: what they name exists, and the build makes what it must.

The services' own images cannot be had here, so the build runs with stand-ins for their commands.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

from fuzz.text import load, parse
from tests.unit.samples import AGREE, STALE, STALE_LINES, with_header, write
from tools import seed_corpus
from tools.campaign.layout import content_name

ROOT = Path(__file__).parents[2]
OSS_FUZZ = ROOT / "fuzz" / "oss-fuzz"
LITE = ROOT / ".clusterfuzzlite"
NAME = "fuzz_gmemdiff"

PACKAGE = """\
#!/bin/sh
echo "$0" "$@"
"""
COMPILE = f"""\
#!/bin/sh
printf '%s\\n' "$@" > "$OUT/arguments"
cp "{{package}}" "$OUT/{NAME}.pkg"
chmod -x "$OUT/{NAME}.pkg"
"""


def test_the_project_file_says_what_the_services_ask() -> None:
    project = yaml.safe_load((OSS_FUZZ / "project.yaml").read_text(encoding="utf-8"))
    assert project["language"] == "python"
    assert project["fuzzing_engines"] == ["libfuzzer"]
    assert set(project["sanitizers"]) <= {"address", "undefined"}
    assert project["main_repo"].endswith(".git")
    assert "@" in project["primary_contact"]
    assert project["homepage"].startswith("https://")


def test_the_image_clones_the_repository_that_the_project_names() -> None:
    project = yaml.safe_load((OSS_FUZZ / "project.yaml").read_text(encoding="utf-8"))
    text = (OSS_FUZZ / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"git clone .*?(\S+) \$SRC/gmemdiff$", text, re.MULTILINE) == [
        project["main_repo"]
    ]


def test_both_services_share_one_copy_of_the_build() -> None:
    for name in ("project.yaml", "build.sh"):
        assert (LITE / name).resolve() == OSS_FUZZ / name
    assert not (LITE / "Dockerfile").is_symlink()


@pytest.mark.parametrize("folder", [OSS_FUZZ, LITE], ids=lambda folder: str(folder.name))
def test_the_images_start_from_the_python_builder_and_end_where_the_build_runs(
    folder: Path,
) -> None:
    lines = (folder / "Dockerfile").read_text(encoding="utf-8").splitlines()
    steps = [line for line in lines if line and not line.startswith("#")]
    assert steps[0] == "FROM gcr.io/oss-fuzz-base/base-builder-python"
    assert steps[-1] == "WORKDIR $SRC/gmemdiff"
    assert any("build.sh" in step and "$SRC/" in step for step in steps)


def test_paths_in_the_build_exist() -> None:
    text = (OSS_FUZZ / "build.sh").read_text(encoding="utf-8").replace("$name", NAME)
    code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    paths = re.findall(r"fuzz/[\w./-]+|(?<=PWD/)\w+|corpora$", code)
    assert paths == [
        f"fuzz/{NAME}.py",
        "reference",
        "patched",
        f"fuzz/oss-fuzz/{NAME}.options",
        "corpora",
    ]
    for path in paths:
        assert (ROOT / path).exists(), path


def test_the_target_file_may_have_code_put_before_it() -> None:
    """Measuring coverage does that, so the file may import nothing from __future__."""
    text = (ROOT / "fuzz" / f"{NAME}.py").read_text(encoding="utf-8")
    compile("import atexit\n" + text, NAME, "exec", dont_inherit=True)
    imported = [
        node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)
    ]
    assert imported == ["fuzz.target"]


def test_the_options_give_settling_its_time() -> None:
    options = ConfigParser()
    options.read(OSS_FUZZ / f"{NAME}.options")
    assert int(options["libfuzzer"]["timeout"]) >= 60


def test_the_build_leaves_a_target_its_options_and_its_seeds(tmp_path: Path) -> None:
    out, bin_ = tmp_path / "out", tmp_path / "bin"
    out.mkdir()
    package = write(tmp_path, "package", PACKAGE)
    commands = {"pip3": "#!/bin/sh\n", "compile_python_fuzzer": COMPILE.format(package=package)}
    for name, text in commands.items():
        Path(write(bin_, name, text)).chmod(0o755)
    (bin_ / "python3").symlink_to(sys.executable)
    env = {**os.environ, "OUT": str(out), "SRC": str(ROOT.parent), "PYTHONPATH": str(ROOT)}
    env["PATH"] = f"{bin_}:{env['PATH']}"
    subprocess.run([OSS_FUZZ / "build.sh"], cwd=ROOT, env=env, check=True, capture_output=True)
    arguments = (out / "arguments").read_text(encoding="utf-8").splitlines()
    assert arguments[0] == f"fuzz/{NAME}.py"
    assert [each for each in arguments if ":" in each] == [
        f"{ROOT}/reference:reference",
        f"{ROOT}/patched:patched",
    ]
    wrapper = out / NAME
    assert "LLVMFuzzerTestOneInput" in wrapper.read_text(encoding="utf-8")
    run = subprocess.run([wrapper, "-runs=1", "a b"], capture_output=True, text=True, check=True)
    assert run.stdout == f"{out}/{NAME}.pkg -runs=1 a b\n"
    assert (out / f"{NAME}.options").exists()
    with zipfile.ZipFile(out / f"{NAME}_seed_corpus.zip") as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) > 300


def test_seeds_are_programs_under_the_names_of_libfuzzer(tmp_path: Path) -> None:
    assert seed_corpus.main([str(tmp_path / "seeds.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "seeds.zip") as archive:
        assert archive.namelist() == sorted(set(archive.namelist()))
        for name in archive.namelist():
            data = archive.read(name)
            assert name == content_name(data)
            parse(data.decode("utf-8"))


def test_the_archive_is_the_same_to_the_byte_whenever_it_is_made(tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        write(tmp_path, "in/b.prog", AGREE)
        write(tmp_path, "in/a.prog", STALE)
        os.utime(tmp_path / "in" / "a.prog", (len(name), 1.7e9 if name == "one.zip" else 1.6e9))
        assert seed_corpus.main([str(tmp_path / name), str(tmp_path / "in")]) == 0
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_what_the_target_would_stop_at_is_no_seed() -> None:
    finding = with_header(STALE, STALE_LINES)
    assert not seed_corpus.is_seed(parse(finding))
    assert seed_corpus.is_seed(parse(with_header(finding, "patched: mutants/x\n")))
    assert seed_corpus.is_seed(parse(STALE))
    kept = seed_corpus.seeds(ROOT / "corpora")
    left_out = {p for p in (ROOT / "corpora").rglob("*.prog") if not seed_corpus.is_seed(load(p))}
    assert {path.parent.name for path in left_out} == {"findings"}
    assert len(kept) > 10 * len(left_out)


def test_equal_programs_are_one_seed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path, f"{name}.prog", AGREE)
    assert len(seed_corpus.seeds(tmp_path)) == 1


def test_wrong_folders_and_programs_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert seed_corpus.main([]) == 2
    assert seed_corpus.main([str(tmp_path / "x.zip"), str(tmp_path)]) == 5
    assert "no programs to seed with" in capsys.readouterr().err
    torn = write(tmp_path, "torn.prog", "gmemdiff 1\n")
    assert seed_corpus.main([str(tmp_path / "x.zip"), str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{torn}:1:1: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "x.zip").exists()

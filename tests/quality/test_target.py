"""The fuzz target inside a real libFuzzer: does it call us, does it learn, does it stop?

A mutator that libFuzzer never calls, or counters that it never reads, look like a fuzzer that
works: programs are run, and nothing fails.  So these are counted.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import atheris
import pytest

from tools import seed_corpus

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SCRIPT = Path(sys.executable).parent / "gmemdiff-target"

# Counts calls, and says so at the 2,000th execution; libFuzzer would not come back to us.
COUNTING = """
import os, sys
from fuzz.overlay import load_model
from fuzz.target import LIBFUZZER_OPTIONS, Target, fuzz

class Counting(Target):
    mutated = crossed = run = 0

    def custom_mutator(self, *args):
        self.mutated += 1
        return super().custom_mutator(*args)

    def custom_crossover(self, *args):
        self.crossed += 1
        return super().custom_crossover(*args)

    def test_one_input(self, data):
        super().test_one_input(data)
        self.run += 1
        if self.run == 2000:
            print(self.mutated, self.crossed, flush=True)
            os._exit(0)

stock = load_model("stock")
target = Counting(stock, stock, (), (2, 8), lambda program, look: None)
fuzz(target, ["counting", *LIBFUZZER_OPTIONS, *sys.argv[1:]])
"""


def start(
    folder: Path, *arguments: str, command: tuple[str, ...] = (str(SCRIPT),), **env: str
) -> subprocess.CompletedProcess[str]:
    """Run the target in a folder, against the patch unless env says otherwise."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GMEMDIFF")}
    return subprocess.run(
        [*command, *arguments],
        env={**clean, "PYTHONPATH": str(ROOT), **env},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def coverage(output: str) -> list[int]:
    """libFuzzer's count of covered counters, each time it says so."""
    return [int(number) for number in re.findall(r"cov: (\d+)", output)]


def names(folder: Path) -> set[str]:
    """The files of a folder."""
    return {path.name for path in folder.iterdir()}


def test_libfuzzer_calls_the_mutator_and_the_crossover(tmp_path: Path) -> None:
    done = start(tmp_path, "-seed=1", command=(sys.executable, "-c", COUNTING))
    assert done.returncode == 0, done.stderr[-2000:]
    mutated, crossed = map(int, done.stdout.split())
    assert mutated + crossed > 1900
    assert mutated > 500
    assert crossed > 200


def test_libfuzzer_sees_the_counters_and_keeps_what_is_new(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    done = start(tmp_path, "-seed=1", "-runs=1500", "corpus", GMEMDIFF_PATCHED="stock")
    assert done.returncode == 0, done.stderr[-2000:]
    seen = coverage(done.stderr)
    assert seen == sorted(seen)
    assert seen[-1] > 3 * seen[0]
    assert seen[-1] > 2000
    kept = names(tmp_path / "corpus")
    assert len(kept) > 200
    texts = [(tmp_path / "corpus" / name).read_bytes() for name in kept]
    assert sum(text.startswith(b"gmemdiff") for text in texts) > len(texts) - 5


@pytest.mark.parametrize("library", ["asan_with_fuzzer.so", "ubsan_with_fuzzer.so"])
def test_a_preloaded_libfuzzer_sees_the_counters_too(tmp_path: Path, library: str) -> None:
    """As OSS-Fuzz's usual wrapper starts targets; ours does not, see fuzz/oss-fuzz/build.sh."""
    done = start(
        tmp_path,
        "-seed=1",
        "-runs=300",
        GMEMDIFF_PATCHED="stock",
        LD_PRELOAD=f"{atheris.path()}/{library}",
        ASAN_OPTIONS="detect_leaks=0",
    )
    assert "Using preloaded libfuzzer" in done.stderr
    assert coverage(done.stderr)[-1] > 500


def test_the_file_that_oss_fuzz_packages_is_the_same_target(tmp_path: Path) -> None:
    command = (sys.executable, str(ROOT / "fuzz" / "fuzz_gmemdiff.py"))
    done = start(tmp_path, "-seed=1", "-runs=50", command=command, GMEMDIFF_PATCHED="stock")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Done 50 runs" in done.stderr


def test_no_seed_of_the_corpus_stops_it(tmp_path: Path) -> None:
    assert seed_corpus.main([str(tmp_path / "seeds.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "seeds.zip") as archive:
        archive.extractall(tmp_path / "seeds")
        count = len(archive.namelist())
    done = start(tmp_path, "-seed=1", "-runs=0", "seeds")
    assert done.returncode == 0, done.stdout[-2000:]
    assert f"Done {count + 1} runs" in done.stderr


def test_it_stops_at_a_finding_and_what_it_leaves_replays(tmp_path: Path) -> None:
    done = start(
        tmp_path,
        "-seed=1",
        "-runs=20000",
        GMEMDIFF_PROFILES="v7.2 x86-direct",
        GMEMDIFF_OPS="2..6",
    )
    assert "PatchFindingError" in done.stdout
    assert "INVARIANT patched-only" in done.stdout
    assert done.returncode == 77
    (crash,) = [name for name in names(tmp_path) if name.startswith("crash-")]
    smallest = done.stdout.rpartition("\ngmemdiff 1\n")
    (tmp_path / "small.prog").write_text("".join(smallest[1:]).strip() + "\n", encoding="utf-8")
    cli = (sys.executable, "-m", "tools.cli")
    replay = start(tmp_path, "run", "small.prog", command=cli)
    assert replay.returncode == 1, replay.stderr
    assert "INVARIANT patched-only" in replay.stdout
    assert "INVARIANT" in start(tmp_path, "minimize", crash, command=cli).stderr
    again = start(tmp_path, crash, GMEMDIFF_PROFILES="v7.2 x86-direct")
    assert "PatchFindingError" in again.stdout


def test_a_patch_that_changes_nothing_runs_clean(tmp_path: Path) -> None:
    done = start(tmp_path, "-seed=2", "-runs=800", GMEMDIFF_PATCHED="stock")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Done 800 runs" in done.stderr
    assert not [name for name in names(tmp_path) if name.startswith("crash-")]


@pytest.mark.parametrize(
    "command",
    [(str(SCRIPT),), (sys.executable, "-m", "fuzz.target")],
    ids=["console script", "python -m"],
)
def test_merging_runs_every_input_again_and_keeps_the_coverage(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """libFuzzer starts us again to merge: by a name that must work from any folder."""
    for folder in ("all", "less"):
        (tmp_path / folder).mkdir()
    start(tmp_path, "-seed=3", "-runs=300", "all", GMEMDIFF_PATCHED="stock")
    merge = ("-merge=1", "less", "all")
    done = start(tmp_path, *merge, command=command, GMEMDIFF_PATCHED="stock")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "successful in 1 attempt" in done.stderr
    assert 10 < len(names(tmp_path / "less")) <= len(names(tmp_path / "all"))
    assert names(tmp_path / "less") <= names(tmp_path / "all")


def test_the_same_seed_from_nothing_makes_the_same_corpus_with_or_without_a_dictionary(
    tmp_path: Path,
) -> None:
    words = tmp_path / "words"
    words.write_text('"set_region"\n"munmap"\n"GUEST_MEMFD"\n', encoding="utf-8")
    for folder, hash_seed, more in (("one", "1", ()), ("two", "2", (f"-dict={words}",))):
        (tmp_path / folder).mkdir()
        run = ("-seed=9", "-runs=300", *more, folder)
        start(tmp_path, *run, GMEMDIFF_PATCHED="stock", PYTHONHASHSEED=hash_seed)
    assert names(tmp_path / "one") == names(tmp_path / "two")
    assert len(names(tmp_path / "one")) > 50

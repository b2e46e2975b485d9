"""The report's source coverage of the C port."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.port.build import model_sources
from fuzz.port.compiler import find_compiler
from fuzz.port.lines import line_counts
from fuzz.timeline import PATCHED, REFERENCE
from tests.ports import needs_compiler
from tools.campaign.settings import Settings
from tools.report.port_sources import measure_port
from tools.report.sources import annotate

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_lines_of_the_patch_are_reached_on_its_side_only(tmp_path: Path) -> None:
    needs_compiler()
    if find_compiler().covers:
        pytest.skip("a coverage point of clang is not at every line")
    programs = [ROOT / "corpora/findings/prefetch_direct__shifted_view.prog"]
    covered = measure_port(tmp_path, Settings(engine="c"), programs, tmp_path)
    assert set(covered) == {REFERENCE, PATCHED}
    changed = str(tmp_path / "patched" / "kvm_main.c")
    assert changed not in covered[REFERENCE]
    text = (tmp_path / "patched" / "kvm_main.c").read_text(encoding="utf-8").splitlines()
    skip = 1 + next(at for at, line in enumerate(text) if "kvm_memslot_is_gmem_only(slot))" in line)
    assert covered[PATCHED][changed][skip]
    assert covered[PATCHED][changed][skip + 1], "the continue under it"
    unused = [lines for lines in covered[REFERENCE].values() if not all(lines.values())]
    assert unused, "one program does not reach everything"
    names = {file.name for file in annotate(covered, 1, 1).files}
    assert {"patched/kvm_main.c", "c/kvm_main.c", "c/guest_memfd.c"} <= names


@pytest.mark.slow
def test_models_that_share_compiled_files_are_counted_apart() -> None:
    needs_compiler()
    programs = [ROOT / "corpora/findings/prefetch_direct__shifted_view.prog"]
    once, again = line_counts([model_sources(), model_sources()], programs)
    assert once == again
    assert any(count for lines in once.values() for count in lines.values())

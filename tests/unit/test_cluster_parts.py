"""What a cluster campaign is made of: jobs, their errors, builds, errands."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

pytest.importorskip("fsspec", reason="needs the extra: pip install 'gmemdiff[cluster]'")

from tools.campaign.layout import Layout
from tools.campaign.settings import Settings, load_settings
from tools.cluster.build import build_id, sources_hash
from tools.cluster.errand import Errand
from tools.cluster.job import Job, RefusedError, overlays, unpack

OVERLAY = "def kvm_mmu_invalidate_end(kvm):\n    yield from ()\n"


def test_a_job_brings_the_overlays_along(tmp_path: Path) -> None:
    (tmp_path / "patched_p.py").write_text(OVERLAY)
    settings = Settings(patched=str(tmp_path / "patched_p.py"), seed=3)
    job = Job("n", 41, "s", 1, "memory://x", build_id(), settings, overlays(settings))
    (tmp_path / "patched_p.py").unlink()
    layout = Layout(tmp_path / "elsewhere")
    unpack(pickle.loads(pickle.dumps(job)), layout)
    there = load_settings(layout.root)
    assert Path(there.patched).read_text() == OVERLAY
    assert layout.root in Path(there.patched).parents
    assert there.seed == 3
    assert (layout.worker(0) / "generation").read_text() == "41"


def test_an_error_of_a_slice_survives_the_way_home() -> None:
    error = pickle.loads(pickle.dumps(RefusedError("host: no", "tcp://a:1")))
    assert (str(error), error.address) == ("host: no", "tcp://a:1")


def test_the_build_changes_with_any_line_of_the_sources(tmp_path: Path) -> None:
    (tmp_path / "fuzz").mkdir()
    file = tmp_path / "fuzz" / "a.py"
    hashes = []
    for text in ("x = 1\n", "x = 2\n"):
        file.write_text(text)
        hashes.append(sources_hash(tmp_path))
    file.rename(file.with_name("b.py"))
    hashes.append(sources_hash(tmp_path))
    assert len(set(hashes)) == 3


def test_an_errand_gives_its_result_once_and_raises_its_error() -> None:
    answers: list[object] = [5, ValueError("no")]

    def do() -> object:
        answer = answers.pop(0)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    errand = Errand(do, "test")
    assert errand.take() is None
    errand.start()
    assert errand.take(10) == 5
    assert errand.take() is None
    errand.start()
    with pytest.raises(ValueError, match="no"):
        errand.take(10)
    assert not errand.running

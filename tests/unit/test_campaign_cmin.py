"""The smallest corpus that covers the same, and the swap that a kill cannot break."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Set
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.overlay import load_model
from fuzz.text import parse
from fuzz.vocabulary import Program
from tests.unit import samples
from tools.campaign import cmin
from tools.campaign.layout import Layout, content_name
from tools.campaign.repair.campaign import repair

COVERS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3), st.frozensets(st.integers(0, 9))
)


@given(COVERS)
def test_the_cover_covers_all_and_nothing_in_it_is_idle(covers: dict[str, Set[Hashable]]) -> None:
    sizes = {name: len(name) for name in covers}
    chosen, total = cmin.smallest_cover(sizes, covers)
    everything = set().union(*covers.values())
    assert set().union(*(covers[name] for name in chosen)) == everything
    assert total == len(everything)
    assert len(chosen) <= total


def test_the_one_that_adds_most_comes_first_then_the_smaller() -> None:
    covers: dict[str, Set[Hashable]] = {
        "few": {1}, "all": {1, 2, 3}, "big": {4, 5}, "small": {4, 5}
    }  # fmt: skip
    chosen, total = cmin.smallest_cover({"few": 1, "all": 9, "big": 5, "small": 4}, covers)
    assert (chosen, total) == (["all", "small"], 5)


def corpus(tmp_path: Path) -> tuple[Layout, dict[str, bytes]]:
    """Three programs, of which one adds nothing, and a file that is none."""
    layout = Layout(tmp_path)
    layout.make()
    texts = {
        name: text.encode()
        for name, text in (
            ("agree", samples.AGREE),
            ("stale", samples.STALE),
            ("exit", samples.CHILD_EXIT),
        )
    }
    for data in texts.values():
        (layout.corpus / content_name(data)).write_bytes(data)
    (layout.corpus / "torn").write_bytes(b"gmemd")
    return layout, texts


def by_profile(program: Program) -> Set[Hashable]:
    """A made-up coverage: arm64 is covered by x86-direct, too."""
    return {"x86-tdp": {1}, "x86-direct": {2, 3}, "arm64": {3}}[program.profile.mmu]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_corpus_becomes_small_and_files_that_cannot_be_run_stay(tmp_path: Path) -> None:
    layout, texts = corpus(tmp_path)
    told: list[tuple[int, int]] = []
    result = cmin.minimise(layout, by_profile, lambda *each: told.append(each))
    assert result == cmin.Result(before=4, after=3, features=3, unread=1)
    assert told[-1] == (4, 4)
    kept = [content_name(texts[name]) for name in ("agree", "stale")]
    assert names(layout.corpus) == sorted([*kept, "torn"])
    assert not layout.corpus_old.exists()
    assert cmin.minimise(layout, by_profile, lambda *_: None).after == 3


@pytest.mark.parametrize("at", range(1, 5))
def test_a_kill_during_the_swap_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    layout, texts = corpus(tmp_path)
    (layout.corpus / "torn").unlink()
    steps = 0

    class KilledError(BaseException):
        pass

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == at:
                raise KilledError
            return function(*arguments)

        return wrapper

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", counted(Path.rename))
        patch.setattr(cmin, "_link", counted(cmin._link))
        with pytest.raises(KilledError):
            cmin.minimise(layout, by_profile, lambda *_: None)
    repair(layout)
    left = set(names(layout.corpus))
    assert {content_name(texts["agree"]), content_name(texts["stale"])} <= left
    assert repair(layout) == []


@pytest.mark.slow
def test_features_are_those_that_workers_see_and_the_same_each_time() -> None:
    features = cmin.features_of(load_model("stock"), load_model("seed"))
    one, other = parse(samples.STALE), parse(samples.AGREE)
    first = features(one)
    assert features(other) != first
    assert features(one) == first
    assert any(isinstance(each, tuple) and each[0] == "kind" for each in first)

"""Source coverage: which lines count, and on which side."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fuzz.overlay import load_model
from fuzz.text import parse
from tests.unit import campaigns, samples
from tools.report.sources import Sources, annotate, chosen, measure, programs_in

STOCK, SEED = load_model("stock"), load_model("seed")


@cache  # instrumenting both models costs more than running programs on them
def of(*texts: str) -> Sources:
    """Source coverage by these programs."""
    programs = [parse(text) for text in texts]
    return annotate(measure(programs, STOCK, SEED), len(programs), len(programs))


def marks(sources: Sources, name: str, text: str) -> str:
    """The marks of the line of a file that has this text."""
    (file,) = [file for file in sources.files if file.name == name]
    (found,) = [b.marks for b in file.blocks for line in b.lines if text in line]
    return found


def test_a_line_that_a_program_reaches_is_marked_on_both_sides() -> None:
    line = "kvm.mmu_invalidate_in_progress -= 1"
    assert marks(of(samples.AGREE), "reference/mmu_notifier.py", line) == "mm"
    assert marks(of(samples.STALE), "reference/mmu_notifier.py", line) == "hm"  # skipped


def test_a_replaced_function_counts_where_its_replacement_stands() -> None:
    sources = of(samples.STALE)
    (seed,) = [file for file in sources.files if file.name == "patched/seed.py"]
    assert list(seed.shares) == ["patched"]
    assert seed.shares["patched"].hit > 0
    assert {mark[0] for block in seed.blocks for mark in [block.marks]} == {"n"}


def test_more_programs_never_reach_less() -> None:
    one, two = of(samples.AGREE), of(samples.AGREE, samples.STALE)
    for side in ("reference", "patched"):
        assert one.shares[side].total == two.shares[side].total > 1000
        assert 0 < one.shares[side].hit < two.shares[side].hit


def test_a_file_is_given_whole_and_in_order() -> None:
    (file,) = [f for f in of(samples.AGREE).files if f.name == "reference/tlb.py"]
    lines = [line for block in file.blocks for line in block.lines]
    path = Path(__file__).resolve().parents[2] / "reference" / "tlb.py"
    assert lines == path.read_text(encoding="utf-8").splitlines()
    assert [b.first for b in file.blocks] == sorted(b.first for b in file.blocks)


def test_of_a_large_corpus_an_even_share_is_chosen() -> None:
    paths = [Path(f"{at:040x}") for at in range(1000)]
    some = chosen(paths, 10)
    assert some == paths[::100]
    assert chosen(paths[:10], 10) == paths[:10]


def test_what_cannot_be_read_in_a_corpus_is_passed_over(tmp_path: Path) -> None:
    layout = campaigns.make(tmp_path)
    (layout.corpus / "a").write_bytes(b"\xff")
    (layout.corpus / "b").write_text("gmemdiff 1\nprofile: vax\n", encoding="utf-8")
    paths = sorted(layout.corpus.iterdir())
    assert len(list(programs_in(paths))) == len(paths) - 2

"""Marks before the changes of a patch: where they stand, and that what they say is true."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Final

import pytest

from fuzz.codec import random_program
from fuzz.port.build import model_sources, sources_of
from fuzz.port.library import Port
from fuzz.port.marks import marked
from fuzz.port.pair import Explored, Pair
from fuzz.text import load
from fuzz.vocabulary import Program
from tests.ports import built, edited, port_of

ROOT: Final = Path(__file__).parents[2]
MARK: Final = "if (!patch_acted && (%s)) patch_acted = 1;"
STOCK: Final = """static inline bool is_new(const struct slot *slot)
{
	return slot->flags & NEW;
}

static inline bool take(struct slot *slot)
{
	return slot->count++;
}

static int f(struct slot *slot)
{
	int n = 0;

	n = g(slot);
	for (int i = 0; i < n; i++) {
		h(slot, i);
		if (slot->x)
			return 1;
		else
			n++;
	}
	switch (n) {
	case 1:
		return 2;
	}
	return n;
}
"""


def mark_of(old: str, new: str) -> tuple[int, str] | None:
    """Line and condition of the one mark that a change of STOCK gets; None: it cannot have one."""
    assert STOCK.count(old) == 1
    changed = STOCK.replace(old, new)
    result = marked({"a.c": STOCK}, {"a.c": changed})
    if not result.complete:
        assert result.sources["a.c"] == changed
        return None
    lines, before = result.sources["a.c"].splitlines(), changed.splitlines()
    (at,) = (i for i, line in enumerate(lines) if line != before[i])
    assert lines[at].startswith(before[at])
    return at, lines[at].split("!patch_acted && (")[1].removesuffix(")) patch_acted = 1; }")


def line(text: str) -> int:
    """The number of a line of STOCK, from 0."""
    return STOCK.splitlines().index(text)


AFTER_G: Final = line("\tn = g(slot);")
HEAD: Final = line("static int f(struct slot *slot)") + 1


@pytest.mark.parametrize(
    "guard",
    [
        "\tif (is_new(slot) && !slot->x)\n\t\treturn 0;\n",
        "\tif (is_new(slot) && !slot->x) {\n\t\tn++;\n\t\treturn 0;\n\t}\n",
        "\tif (is_new(slot) &&\n\t    !slot->x) /* really */\n\t\treturn 0;\n",
    ],
)
def test_an_added_question_counts_only_when_the_answer_is_yes(guard: str) -> None:
    mark = mark_of("\tn = g(slot);\n", f"\tn = g(slot);\n{guard}")
    assert mark == (AFTER_G, "is_new(slot) && !slot->x")


@pytest.mark.parametrize(
    "added",
    [
        "\tif (take(slot))\n\t\treturn 0;\n",
        "\tif (unknown(slot))\n\t\treturn 0;\n",
        "\tif (slot->x++)\n\t\treturn 0;\n",
        "\tif (slot->x = 1)\n\t\treturn 0;\n",
        "\tif ((slot->f)(1))\n\t\treturn 0;\n",
        "\tif (is_new(slot))\n\t\treturn 0;\n\telse\n\t\tn++;\n",
        "\tif (is_new(slot))\n",
        "\tif (is_new(slot))\n\t\treturn 0;\n\tn++;\n",
        "\tn++;\n",
    ],
)
def test_anything_else_counts_when_it_is_come_to(added: str) -> None:
    assert mark_of("\tn = g(slot);\n", f"\tn = g(slot);\n{added}") == (AFTER_G, "1")


GUARD: Final = "\tif (is_new(slot))\n\t\treturn 5;\n"


@pytest.mark.parametrize(
    "guard", [GUARD, GUARD.replace("))\n", ")) {\n").replace("5;\n", "5;\n\t}\n")]
)
def test_a_removed_question_counts_only_when_the_answer_was_yes(guard: str) -> None:
    stock = STOCK.replace("\tn = g(slot);\n", f"\tn = g(slot);\n{guard}")
    result = marked({"a.c": stock}, {"a.c": STOCK})
    assert result.complete
    marks = [text for text in result.sources["a.c"].splitlines() if "patch_acted" in text]
    assert marks == [f"\tn = g(slot); {{ extern _Bool patch_acted; {MARK % 'is_new(slot)'} }}"]


@pytest.mark.parametrize(
    ("old", "new", "condition"),
    [
        ("\tif (n > 1)\n", "\tif (n > 2)\n", "!(n > 1) != !(n > 2)"),
        (
            "\tif (n > 1) {\n",
            "\tif (is_new(slot) &&\n\t    n) {\n",
            "!(n > 1) != !(is_new(slot) && n)",
        ),
        ("\treturn n;\n", "\treturn n + 1;\n", "(n) != (n + 1)"),
    ],
)
def test_a_changed_question_or_answer_counts_only_when_it_makes_a_difference(
    old: str, new: str, condition: str
) -> None:
    end = "\treturn 7;\n\t}\n" if "{" in old else "\t\treturn 7;\n" if "if" in old else ""
    stock, changed = (STOCK.replace("\treturn n;\n", text + end) for text in (old, new))
    result = marked({"a.c": stock}, {"a.c": changed})
    assert result.complete
    marks = [text for text in result.sources["a.c"].splitlines() if "patch_acted" in text]
    assert marks == [f"\t}} {{ extern _Bool patch_acted; {MARK % condition} }}"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("if (n > 1)", "if (unknown(n))"),
        ("if (unknown(n))", "if (n > 1)"),
        ("if (take(slot))", "if (n)"),
        ("if (n) h(slot, n);", "if (n > 1) h(slot, n);"),
        ("return take(slot);", "return n;"),
    ],
)
def test_a_changed_question_that_does_more_than_look_counts_when_it_is_come_to(
    old: str, new: str
) -> None:
    end = "\n\t\treturn 7;\n" if old.endswith(")") else "\n"
    stock, changed = (STOCK.replace("\treturn n;\n", f"\t{text}{end}") for text in (old, new))
    result = marked({"a.c": stock}, {"a.c": changed})
    assert result.complete
    assert result.sources["a.c"].count(MARK % "1") == 1


def test_what_is_removed_or_changed_counts_when_it_is_come_to() -> None:
    assert mark_of("\tn = g(slot);\n", "") == (AFTER_G - 2, "1")
    assert mark_of("\tn = g(slot);\n", "\tn = 1;\n") == (AFTER_G - 2, "1")
    assert mark_of("i < n;", "i <= n;") == (AFTER_G, "1")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\t\t\treturn 1;\n", "\t\t\treturn 3;\n"),  # a statement of an if without braces
        ("\t\t\tn++;\n", "\t\t\tn += 2;\n"),  # of an else
        ("\tcase 1:\n", "\tcase 2:\n"),
        ("\tcase 1:\n\t\treturn 2;\n", ""),
        ("\t\telse\n\t\t\tn++;\n", ""),
        ("\t\treturn 2;\n\t}\n", "\t\treturn 2;\n\tdefault:\n\t\tn--;\n\t}\n"),
    ],
)
def test_where_there_are_other_ways_to_a_change_its_function_counts(old: str, new: str) -> None:
    assert mark_of(old, new) in {(HEAD, "1"), (line("\t\treturn 2;"), "1")}
    if "return 2" not in old or not new:
        assert mark_of(old, new) == (HEAD, "1")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("static int f(struct slot *slot)\n", "#define NEW 2\nstatic int f(struct slot *slot)\n"),
        ("static int f(struct slot *slot)\n", "static int f(struct slot *slot, int i)\n"),
        ("static int f(", "static int count = 1;\n\nstatic int f("),
        ("static int f(", "int e(void)\n{\n\treturn 1;\n}\n\nstatic int f("),
        ("static int f(", "static int g(void)\n{\n\treturn 1;\n}\n\nstatic int f("),
        ("\tn = g(slot);\n", "#if 1\n\tn = g(slot);\n#endif\n"),
    ],
)
def test_a_change_outside_of_functions_cannot_be_marked(old: str, new: str) -> None:
    assert mark_of(old, new) is None


def test_a_new_function_is_marked_where_it_is_called() -> None:
    helper = "static bool is_odd(int n)\n{\n\treturn n & 1;\n}\n\n"
    text = STOCK.replace("static int f(", f"{helper}static int f(")
    text = text.replace("\tn = g(slot);\n", "\tn = g(slot);\n\tn += is_odd(n);\n")
    result = marked({"a.c": STOCK}, {"a.c": text})
    assert result.complete
    assert result.sources["a.c"].count("patch_acted = 1") == 1
    assert f"n = g(slot); {{ extern _Bool patch_acted; {MARK % '1'} }}" in result.sources["a.c"]


def test_comments_are_no_change() -> None:
    text = STOCK.replace("\tn = g(slot);\n", "\t/* first */\n\tn = g(slot); /* g */\n")
    result = marked({"a.c": STOCK}, {"a.c": text})
    assert result.complete
    assert "patch_acted" not in result.sources["a.c"]


def test_the_seeds_question_is_asked_where_it_stands() -> None:
    result = marked(model_sources(), sources_of("seed").sources)
    assert result.complete
    condition = "kvm_slot_has_gmem(slot) && kvm_memslot_is_gmem_only(slot)"
    assert result.sources["kvm_main.c"].count(MARK % condition) == 1


# Changes of all kinds, and the seed's.
CHANGES: Final = {
    "seed": None,
    "no_seq_bump": ("kvm_main.c", "\tkvm->mmu_invalidate_seq++;\n", ""),
    "retry_ignores_in_progress": (
        "kvm_main.c",
        "return kvm->mmu_invalidate_in_progress > 0 || ",
        "return ",
    ),
}
# A question that is removed, one that is changed, and an answer that is.
MUTANTS: Final = ("resched_loses_flush", "binding_not_checked", "entry_without_recheck")
UNMARKABLE: Final = "#define NOBODY_USES_THIS 1\n"  # and so both sides always run


def programs() -> list[Program]:
    """Random ones, and some of the corpora."""
    rng = random.Random(3)
    drawn = [random_program(rng, None, 4, 12) for _ in range(60)]
    return drawn + [load(path) for path in sorted((ROOT / "corpora").rglob("*.prog"))[::9]]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CHANGES, *MUTANTS])
def test_running_one_side_where_marks_allow_it_finds_what_running_both_finds(
    name: str, tmp_path: Path
) -> None:
    change = CHANGES.get(name)
    model = name if name in CHANGES else f"mutants/{name}"
    sources = edited(*change) if change is not None else dict(sources_of(model).sources)
    with_marks = built(sources)
    without = built({**sources, "kvm_host.h": UNMARKABLE + sources["kvm_host.h"]})
    found: list[list[Explored]] = []
    for number, port in enumerate((with_marks, without)):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copyfile(port.path, folder / "port.so")
        shutil.copyfile(port_of("stock").path, folder / "stock.so")
        pair = Pair(Port(folder / "stock.so", False), Port(folder / "port.so", name == "seed"))
        found.append([pair.explore(each, seed, 200) for seed, each in enumerate(programs())])
    assert found[0] == found[1]
    assert sum(each.runs for each in found[0]) > 5_000
    assert any(variant.why > 1 for each in found[0] for variant in each.found)

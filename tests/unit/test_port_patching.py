"""Patches on the port: what is applied, and what is said of one that does not fit."""

from __future__ import annotations

import difflib

import pytest

from fuzz.port.patching import MOVED_MAX, PatchError, apply_patch, function_at

FILE = """/* SPDX-License-Identifier: GPL-2.0-only */
#include "kvm_host.h"

static int first(int a)
{
	return a;
}

int second(int a, int b)
{
	if (a)
		return b;
	return first(a);
}
"""
OTHER = "int third(void)\n{\n	return 3;\n}\n"
SOURCES = {"one.c": FILE, "two.c": OTHER}
CHANGED = FILE.replace("		return b;\n", "		return b + 1;\n	b++;\n")


def diff(old: str, new: str, name: str = "one.c", context: int = 3) -> str:
    """A unified diff as git writes it."""
    lines = difflib.unified_diff(
        old.splitlines(True), new.splitlines(True), f"a/{name}", f"b/{name}", n=context
    )
    return "".join(lines)


def test_a_hunk_changes_its_file_alone_and_says_which_lines_are_new() -> None:
    patched = apply_patch(SOURCES, diff(FILE, CHANGED), "my.patch")
    assert patched.sources == {"one.c": CHANGED, "two.c": OTHER}
    assert patched.changed == {"one.c": (12, 13)}


def test_a_kernel_path_means_the_ports_file_of_that_name() -> None:
    text = diff(FILE, CHANGED, "virt/kvm/one.c")
    assert apply_patch(SOURCES, text, "my.patch").sources["one.c"] == CHANGED


def test_words_before_the_diff_are_let_through() -> None:
    text = "Subject: more\n\nWhy.\n---\n" + diff(FILE, CHANGED)
    assert apply_patch(SOURCES, text, "my.patch").sources["one.c"] == CHANGED


@pytest.mark.parametrize("moved", [1, 50, MOVED_MAX - 1])
def test_a_hunk_that_has_moved_finds_its_place(moved: int) -> None:
    above = "int more;\n" * moved
    patched = apply_patch({"one.c": above + FILE}, diff(FILE, CHANGED), "my.patch")
    assert patched.sources["one.c"] == above + CHANGED
    assert patched.changed == {"one.c": (12 + moved, 13 + moved)}
    below = apply_patch({"one.c": FILE}, diff(above + FILE, above + CHANGED), "my.patch")
    assert below.sources["one.c"] == CHANGED


def test_a_hunk_goes_to_the_nearest_of_two_places() -> None:
    twice = OTHER + "\n" * 20 + OTHER
    changed = OTHER + "\n" * 20 + OTHER.replace("3", "4")
    assert apply_patch({"two.c": twice}, diff(twice, changed, "two.c"), "p").sources["two.c"] == (
        changed
    )


def test_hunks_after_one_that_moved_are_looked_for_where_it_went() -> None:
    new = FILE.replace("return a;", "return -a;").replace("return b;", "return -b;")
    above = "int more;\n" * 30
    text = diff(FILE, new, context=1)
    assert text.count("@@") == 4
    assert apply_patch({"one.c": above + FILE}, text, "p").sources["one.c"] == above + new


def test_a_hunk_without_a_place_names_the_function_and_shows_both_versions() -> None:
    theirs = FILE.replace("	if (a)\n", "	if (a > 7)\n")
    text = diff(theirs, theirs.replace("return b;", "return 0;"))
    with pytest.raises(PatchError) as caught:
        apply_patch(SOURCES, text, "my.patch")
    first, *rest = str(caught.value).splitlines()
    assert first.startswith("my.patch:4:1: this hunk does not apply to second() in one.c")
    assert "carry it over by hand" in first
    body = "\n".join(rest)
    assert "if (a > 7)" in body[: body.index("the port has (one.c:9)")]
    assert "if (a)\n" in body[body.index("the port has (one.c:9)") :]


def test_a_hunk_with_a_function_in_its_head_is_told_by_that() -> None:
    head = "--- a/one.c\n+++ b/one.c\n@@ -3,3 +3,3 @@ int second(int a, int b)\n"
    text = head + " nothing\n-of\n+as\n so\n"
    with pytest.raises(PatchError, match=r"does not apply to second\(\) in one\.c"):
        apply_patch(SOURCES, text, "my.patch")


def test_nothing_is_half_applied() -> None:
    sources = dict(SOURCES)
    wrong = diff(OTHER, OTHER.replace("3", "4"), "two.c").replace("return 3", "return 5")
    with pytest.raises(PatchError, match=r"third\(\) in two\.c"):
        apply_patch(sources, diff(FILE, CHANGED) + wrong, "my.patch")
    assert sources == SOURCES


@pytest.mark.parametrize("name", ["arch/x86/kvm/vmx/vmx.c", "Documentation/kvm.rst"])
def test_a_file_that_the_port_does_not_have_is_told_with_those_it_has(name: str) -> None:
    with pytest.raises(PatchError) as caught:
        apply_patch(SOURCES, diff(FILE, CHANGED, name), "my.patch")
    assert str(caught.value) == (
        f"my.patch:1:1: {name} is not a file of the port; these are: one.c, two.c"
    )


def test_a_file_cannot_be_added_or_removed() -> None:
    for text in (
        "--- /dev/null\n+++ b/new.c\n@@ -0,0 +1 @@\n+int x;\n",
        "--- a/two.c\n+++ /dev/null\n@@ -1,4 +0,0 @@\n-int third(void)\n-{\n-	return 3;\n-}\n",
    ):
        with pytest.raises(PatchError, match="is not a file of the port"):
            apply_patch(SOURCES, text, "my.patch")


@pytest.mark.parametrize("text", ["", "hello\n", "int x;\n" * 10])
def test_what_is_no_diff_is_told_with_how_to_write_one(text: str) -> None:
    with pytest.raises(PatchError, match=r"^my\.patch:1:1: no change in it; .*git diff$"):
        apply_patch(SOURCES, text, "my.patch")


def test_a_diff_that_ends_early_is_told() -> None:
    text = diff(FILE, CHANGED)
    with pytest.raises(PatchError, match=r"^my\.patch:1:1: not a unified diff: "):
        apply_patch(SOURCES, text[: text.rindex(" 	return first")], "my.patch")


def test_a_line_belongs_to_the_function_that_began_before_it() -> None:
    lines = FILE.splitlines()
    assert [function_at(lines, at) for at in (1, 5, 11)] == [
        "the top of the file",
        "first",
        "second",
    ]

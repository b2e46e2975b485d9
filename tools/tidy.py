"""House rules that ruff and mypy do not know: ``python -m tools.tidy [folder]``.

One function per rule; each yields what it finds as ``file:line: rule: text``.

file-length      a source file has at most FILE_LINES_MAX lines
function-length  a function has at most FUNCTION_LINES_MAX lines, docstring included
docstring        modules, public classes and public functions of the packages have one
kernel-file      a model function with a kernel function's name says where that one lives
c-lines          C has at most COLUMNS_MAX columns (a tab is eight) and no trailing blanks
c-function       a C function has at most FUNCTION_LINES_MAX lines; the model's have a comment
local-path       no text file names a folder of the machine it was written on
stale-exception  every line of EXCEPTIONS still excuses something
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, TypeAlias

FILE_LINES_MAX: Final = 400
FUNCTION_LINES_MAX: Final = 70
COLUMNS_MAX: Final = 100
SOURCES: Final = (".py", ".c", ".h", ".S", ".sh")
DOCUMENTED: Final = ("reference", "fuzz", "patched", "tools")
UNTRACKED: Final = (".git", ".venv", "__pycache__", "build", "dist", "findings")

KERNEL_NAME: Final = re.compile(
    r"(__)?(kvm_|gfn_to_|hva_to_|mmu_notifier_|tdp_mmu_)"
    r"|(user_mem_abort|gmem_abort|is_page_fault_stale|(direct|fast)_page_fault)$"
)
KERNEL_FILE: Final = re.compile(r"[a-z_0-9/-]+\.[ch]\b")
C_FUNCTION: Final = re.compile(r"(?!#|typedef\b)[A-Za-z_].*?\b(\w+)\(")
# Written so that it does not match itself.
LOCAL_PATH: Final = re.compile(r"(?<![\w.])/(?:(?:work|root)/|(?:home|Users)/\w)")


@dataclass(frozen=True, slots=True)
class Allowed:
    """One exception: this rule says nothing about these files."""

    rule: str
    files: str  # a pattern such as tests/golden/*.py
    why: str


# Every exception, with its reason.  A line that excuses nothing any more is itself reported.
EXCEPTIONS: Final[tuple[Allowed, ...]] = (
    Allowed("file-length", "reference/c/*.c", "holds what one file of the kernel holds"),
    Allowed("c-function", "reference/c/containers.c", "containers.h says what each is for"),
    Allowed("c-function", "reference/c/shim.c", "shim.h says what each is for"),
    Allowed("c-function", "reference/c/state_text.c", "each writes one part of a state"),
    Allowed("c-function", "reference/c/ops.c", "one switch with a case for each op"),
    Allowed("c-lines", "fuzz/c/program.h", "the comment of a struct's field"),
    Allowed("file-length", "fuzz/c/execution.c", "the scheduler: one state, and all that moves it"),
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """One place that breaks one rule."""

    file: str
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.text}"


@dataclass(frozen=True, slots=True)
class Source:
    """A text file, read once; tree is None unless it is Python that parses."""

    file: str
    lines: Sequence[str]
    tree: ast.Module | None

    @property
    def package(self) -> str:
        """Top-level folder, empty for files at the top."""
        return self.file.rpartition("/")[0].split("/")[0]


Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def tracked(root: Path) -> list[str]:
    """Files that are, or could be, committed; without git, all that are not build results."""
    command = ["git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard"]
    try:
        listing = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        listing = ""
    if listing:
        return sorted(set(listing.rstrip("\0").split("\0")))
    paths = (path.relative_to(root) for path in root.rglob("*"))
    return sorted(path.as_posix() for path in paths if not set(path.parts) & set(UNTRACKED))


def read(root: Path, file: str) -> Source | None:
    """One file as Source; None for what is not a text file of ours."""
    path = root / file
    if path.is_symlink() or not path.is_file():
        return None
    data = path.read_bytes()
    if b"\0" in data:
        return None
    text = data.decode("utf-8", errors="replace")
    tree = None
    if path.suffix == ".py":
        with suppress(SyntaxError):  # ruff says it better
            tree = ast.parse(text, file)
    return Source(file, text.split("\n"), tree)


def functions(tree: ast.Module) -> Iterator[Function]:
    """All functions of a module, also methods and inner ones."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def file_length(source: Source) -> Iterator[Complaint]:
    """A file that does not fit the limit holds two ideas."""
    count = len(source.lines) - (source.lines[-1] == "")
    if source.file.endswith(SOURCES) and count > FILE_LINES_MAX:
        text = f"{count} lines, at most {FILE_LINES_MAX}; give the second idea a file"
        yield Complaint(source.file, count, "file-length", text)


def function_length(source: Source) -> Iterator[Complaint]:
    """A function fits one screen."""
    for node in functions(source.tree) if source.tree else ():
        count = (node.end_lineno or node.lineno) - node.lineno + 1
        if count > FUNCTION_LINES_MAX:
            text = f"{node.name} has {count} lines, at most {FUNCTION_LINES_MAX}"
            yield Complaint(source.file, node.lineno, "function-length", text)


def documented_elsewhere(node: Function) -> bool:
    """Whether a function overrides, overloads, or sets what has a docstring of its own."""
    names = (ast.unparse(each).rpartition(".")[2] for each in node.decorator_list)
    return any(name in ("override", "overload", "setter", "deleter") for name in names)


def undocumented(parent: ast.Module | ast.ClassDef) -> Iterator[tuple[int, str]]:
    """Public classes and functions without a docstring, with the methods of public classes.

    A method of one statement needs none: the class's docstring speaks for it.
    """
    for node in parent.body:
        match node:
            case ast.ClassDef(name=name) if not name.startswith("_"):
                if ast.get_docstring(node) is None:
                    yield node.lineno, f"class {name}"
                yield from undocumented(node)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                trivial = isinstance(parent, ast.ClassDef) and len(node.body) == 1
                exempt = name.startswith("_") or trivial or documented_elsewhere(node)
                if not exempt and ast.get_docstring(node) is None:
                    yield node.lineno, f"function {name}"


def docstring(source: Source) -> Iterator[Complaint]:
    """Whoever opens a file reads first what it is for."""
    if source.tree is None or source.package not in DOCUMENTED:
        return
    if ast.get_docstring(source.tree) is None:
        yield Complaint(source.file, 1, "docstring", "the module has none")
    for line, what in undocumented(source.tree):
        yield Complaint(source.file, line, "docstring", f"{what} has none")


def kernel_file(source: Source) -> Iterator[Complaint]:
    """A reader of the model must be able to open the original next to it."""
    if source.tree is None or source.package != "reference":
        return
    for node in functions(source.tree):
        if KERNEL_NAME.match(node.name) and not KERNEL_FILE.search(ast.get_docstring(node) or ""):
            text = f"{node.name} names no kernel file, such as virt/kvm/kvm_main.c"
            yield Complaint(source.file, node.lineno, "kernel-file", text)


def local_path(source: Source) -> Iterator[Complaint]:
    """Paths of one machine are wrong on every other."""
    for number, line in enumerate(source.lines, start=1):
        if LOCAL_PATH.search(line):
            yield Complaint(source.file, number, "local-path", line.strip())


def c_lines(source: Source) -> Iterator[Complaint]:
    """C is read beside the kernel, in the same terminal."""
    if not source.file.endswith((".c", ".h")):
        return
    for number, line in enumerate(source.lines, start=1):
        if len(line.expandtabs(8)) > COLUMNS_MAX:
            yield Complaint(source.file, number, "c-lines", f"more than {COLUMNS_MAX} columns")
        if line != line.rstrip():
            yield Complaint(source.file, number, "c-lines", "blanks at the end")


def c_functions(lines: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Name, first and last line (from 0) of each function that begins at the margin."""
    for start, line in enumerate(lines):
        match = C_FUNCTION.match(line)
        if match is None:
            continue
        at = start
        while at < len(lines) and lines[at] != "{" and not lines[at].rstrip().endswith(";"):
            at += 1
        if at < len(lines) and lines[at] == "{":
            end = next((i for i in range(at, len(lines)) if lines[i] == "}"), len(lines) - 1)
            yield match[1], start, end


def c_function(source: Source) -> Iterator[Complaint]:
    """A function fits one screen, and says what it mirrors; its declaration may say it instead."""
    if not source.file.endswith(".c"):
        return
    for name, start, end in c_functions(source.lines):
        if end - start + 1 > FUNCTION_LINES_MAX:
            text = f"{name} has {end - start + 1} lines, at most {FUNCTION_LINES_MAX}"
            yield Complaint(source.file, start + 1, "c-function", text)
        # The return type may stand on a line of its own.
        before = start - 1 if source.lines[start - 1].endswith("*/") else start - 2
        commented = start > 0 and source.lines[before].endswith("*/")
        if source.file.startswith("reference/") and not commented:
            yield Complaint(source.file, start + 1, "c-function", f"{name} has no comment")


RULES: Final = (
    file_length, function_length, docstring, kernel_file, local_path, c_lines, c_function,
)  # fmt: skip


def excused(complaint: Complaint, by: Allowed) -> bool:
    """Whether one exception covers one complaint."""
    return complaint.rule == by.rule and fnmatchcase(complaint.file, by.files)


def check(root: Path, exceptions: Sequence[Allowed]) -> list[Complaint]:
    """All complaints about one tree, in the order of files and lines."""
    sources = [source for file in tracked(root) if (source := read(root, file))]
    found = [each for source in sources for rule in RULES for each in rule(source)]
    stale = [
        Complaint("tools/tidy.py", 1, "stale-exception", f"{allowed.rule} in {allowed.files}")
        for allowed in exceptions
        if not any(excused(each, allowed) for each in found)
    ]
    kept = [each for each in found if not any(excused(each, by) for by in exceptions)]
    return sorted(kept + stale, key=lambda each: (each.file, each.line, each.rule))


def main(arguments: Sequence[str]) -> int:
    """Print the complaints about a folder, by default this repository; 1 if there are any."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parents[1]
    complaints = check(root, EXCEPTIONS)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The C port has the functions and the steps of the Python model, by name.

Lockstep compares what runs; this also finds what no program came to.  Needs no compiler.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from fuzz.labels import STEP_LABELS
from reference.features import KERNELS
from reference.kvm import Kvm

ROOT: Final = Path(__file__).parents[2]
NO_CODE: Final = re.compile(r"/\*.*?\*/|^#include .*?$", re.DOTALL | re.MULTILINE)
DEFINED: Final = re.compile(r"^(?:#define |[A-Za-z_].*?\b)(\w+)\(", re.MULTILINE)
LABEL: Final = re.compile(r'"([A-Za-z_]\w*\.\w+)"')

# What looks like a label and is the name of a lock.
LOCKS: Final = {"gpc.lock", "gpc.refresh_lock"}


def c_sources() -> str:
    """The port's text without comments and includes."""
    files = sorted((ROOT / "reference" / "c").glob("*.[ch]"))
    return "\n".join(NO_CODE.sub("", path.read_text(encoding="utf-8")) for path in files)


def namesakes(name: str) -> set[str]:
    """What a function of the model may be called in C: a leading _ is the kernel's __."""
    plain = name.removeprefix("_")
    return {name, f"__{plain}"} if name.startswith("_") else {name}


def test_every_function_that_a_patch_can_replace_has_a_namesake_in_c() -> None:
    defined = set(DEFINED.findall(c_sources()))
    table = [name for name, value in vars(Kvm).items() if callable(value)]
    assert len(table) > 150
    missing = [n for n in table if not namesakes(n) & defined]
    assert missing == []


def test_every_step_of_one_is_a_step_of_the_other() -> None:
    python = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "reference").glob("*.py"))
    ours = set(LABEL.findall(python)) - LOCKS - set(KERNELS)
    theirs = set(LABEL.findall(c_sources())) - LOCKS
    assert len(ours) > 100
    assert ours - theirs == set()
    assert theirs - ours == set()


def test_every_step_that_a_schedule_can_name_is_one_of_the_ports() -> None:
    theirs = set(LABEL.findall(c_sources()))
    known = {label for labels in STEP_LABELS.values() for label in labels}
    assert known - theirs == set()

"""Programs that the tests of reports, findings and commands share, with what they show.

They run on overlays that the tests write themselves where the real models might change; only
STALE is about the real patch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

# The patch leaves a prefetched leaf of anonymous memory behind when that memory goes.
STALE: Final = """\
gmemdiff 1
profile: v7.2 x86-direct
setup:
  create_gmem fd=gmem0 size=8p flags=MMAP
  mmap hva=A len=8p share=private
  set_region slot=0 size=8p hva=A flags=GUEST_MEMFD fd=gmem0
  user_write hva=A+1p value=7
vcpu0:
  read gfn=0
vmm0:
  nop
  munmap hva=A len=8p
"""
STALE_LINES: Final = "expect: both gmem-backing\nexpect: patched-only stale-spte\n"

AGREE: Final = """\
gmemdiff 1
profile: v7.2 x86-tdp
vmm0:
  nop
  mmap hva=A len=1p share=private
  user_write hva=A value=1
vcpu0:
  nop
"""

# Overlays: a result that is always different, and one that fails inside.
WRONG_STAT: Final = """\
def child_exit(kvm):
    return 7
"""
CHILD_EXIT: Final = """\
gmemdiff 1
profile: v7.2 arm64
vmm0:
  child_exit
"""


def write(folder: Path, name: str, text: str) -> str:
    """Write a file and return its path as text."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


def with_header(program: str, lines: str) -> str:
    """A program's text with more header lines, each ending in a newline."""
    head, profile, rest = program.split("\n", 2)
    return f"{head}\n{profile}\n{lines}{rest}"

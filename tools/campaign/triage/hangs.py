"""Inputs of workers that had to be killed: judged alone, each side with the whole time limit.

The files stay in hangs/, so that nobody has to guess what was there; next to each comes
SHA1.judged with one line: the finding it became, or that it ended by itself when run again.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from fuzz.finding import Finding
from fuzz.hang import UNKNOWN, hang_finding, hung_at, hung_side
from fuzz.overlay import Model
from fuzz.text import ProgramError
from fuzz.vocabulary import Program
from tools.campaign.layout import PROGRAM_SUFFIX, YOUNG, Layout, write_whole
from tools.campaign.settings import Settings
from tools.campaign.triage.alone import Alone, run_alone
from tools.campaign.triage.shelf import keep, read_program, to_quarantine

JUDGED: Final = ".judged"


class HangJudge:
    """The hangs of one campaign."""

    def __init__(self, layout: Layout, settings: Settings, models: tuple[Model, Model]) -> None:
        self.layout = layout
        self.settings = settings
        self.models = models

    def next_file(self) -> Path | None:
        """A hang that was not judged yet."""
        for path in sorted(self.layout.hangs.glob(f"*{PROGRAM_SUFFIX}")):
            if not path.name.startswith(YOUNG) and not path.with_suffix(JUDGED).exists():
                return path
        return None

    def one(self, path: Path) -> None:
        """Judge one hang, and say next to it what came of that."""
        try:
            program = read_program(path)
        except FileNotFoundError:
            return
        except ProgramError as error:
            to_quarantine(self.layout, path, str(error))
            return
        names = (self.settings.reference, self.settings.patched)
        seconds = self.settings.hang_seconds
        ends = [run_alone(path, name, self.layout.root, seconds) for name in names]
        if any(end.hung for end in ends):
            finding = self.finding(path, program, (ends[0], ends[1]))
            folder = keep(self.layout, finding, program, finding.kind)
            print(f"{folder}: {finding.headline}", flush=True)
            verdict = f"finding {finding.fingerprint}: {finding.headline}"
        else:
            told = "; ".join(
                f"{side} {end.words}"
                for side, end in zip(("reference", "patched"), ends, strict=True)
            )
            verdict = f"not reproduced within {seconds:g} s a side: {told}"
            print(f"{path}: {verdict}", file=sys.stderr, flush=True)
        write_whole(path.with_suffix(JUDGED), verdict + "\n")

    def finding(self, path: Path, program: Program, ends: tuple[Alone, Alone]) -> Finding:
        """The finding that a hang is."""
        overlays = [
            str(file)
            for model in self.models
            if (file := getattr(model.kvm, "overlay_file", None)) is not None
        ]
        side = hung_side(ends[0].hung, ends[1].hung)
        site = UNKNOWN
        for end in reversed(ends):  # where the patch hangs, if it does
            if end.hung and site == UNKNOWN:
                site = hung_at(end.stacks, overlays)
        if site == UNKNOWN:
            with suppress(OSError):  # the worker's own stack, if the supervisor got one
                site = hung_at(path.with_suffix(".txt").read_text("utf-8", "replace"), overlays)
        words = (ends[0].words, ends[1].words)
        seconds = self.settings.hang_seconds
        return hang_finding(program, side, site, words, self.models, seconds)

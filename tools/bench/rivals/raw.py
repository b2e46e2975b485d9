"""Plain Atheris: bytes, its own mutations, coverage of the models' lines, and nothing of ours.

The bytes become a program as everywhere (fuzz/codec.py), so that they mean something; coverage is
that of our probes, which cost less than Atheris' own instrumentation.
"""

from __future__ import annotations

from typing import Final

from fuzz.codec import decode
from fuzz.judge import compare
from fuzz.native import expose
from fuzz.probes import PROBES_MAX, Probes
from fuzz.search import execute
from tools.bench.rivals.rival import Stage
from tools.campaign.child.worker import QUIET_OPTIONS

BYTES_MAX: Final = 160  # more than ten ops draw


def run(stage: Stage) -> None:
    """Fuzz bytes."""
    import atheris

    counters = bytearray(2 * PROBES_MAX)
    reference = Probes(stage.models[0], counters).model
    patched = Probes(stage.models[1], counters, PROBES_MAX).model
    profiles, (low, high) = stage.task.parsed_profiles, stage.task.ops

    def test_one_input(data: bytes) -> None:
        first, second, rest = data[0:1], data[1:2], data[2:]
        profile = profiles[int.from_bytes(first, "little") % len(profiles)]
        ops = low + int.from_bytes(second, "little") % (high - low + 1)
        program = decode(rest, profile, ops)
        ours, theirs = execute(reference, program), execute(patched, program)
        stage.referee.ran(1)
        stage.referee.look(program, compare(program, stage.models[1], ours, theirs))

    options = (f"-max_len={BYTES_MAX}", *QUIET_OPTIONS, f"-seed={stage.task.seed + 1}")
    stage.referee.start()
    atheris.Setup(["gmemdiff", *options], test_one_input)
    expose(counters)
    atheris.Fuzz()

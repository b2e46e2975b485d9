"""A built port in this process: run programs on it, and read what came out.

The library keeps one run at a time, in its own memory.  Two sides are two libraries.
"""

from __future__ import annotations

import ctypes
from array import array
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from fuzz.execution import HarnessError
from fuzz.overlay import MUTANTS, load_model
from fuzz.port.build import Options, build_library, sources_of
from fuzz.port.encode import NO_LABEL, BeyondPortError, encode
from fuzz.vocabulary import OPS, Program
from reference.features import FEATURES

_SEPARATOR: Final = "\n\f\n"


@dataclass(frozen=True, slots=True)
class PortStep:
    """One step: ``vmm0[1] kvm_handle_hva_range.srcu``, and the state after it."""

    name: str
    state: str


class Port:
    """The functions of one built library.

    survival: whether its model promises gmem-survival.
    """

    def __init__(self, path: Path, survival: bool) -> None:
        self.path = path
        self.survival = survival
        # A copy of its own for each side: the same file loaded twice would be one library.
        self.library = lib = ctypes.CDLL(str(path))
        lib.gmemdiff_program.restype = ctypes.c_char_p
        lib.gmemdiff_program.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        lib.gmemdiff_run.restype = ctypes.c_int64
        lib.gmemdiff_run.argtypes = [ctypes.c_bool]
        lib.gmemdiff_log_steps.restype = None
        lib.gmemdiff_log_steps.argtypes = [ctypes.c_bool]
        lib.gmemdiff_steps.restype = ctypes.c_void_p
        lib.gmemdiff_steps.argtypes = [ctypes.c_void_p]
        for name in ("gmemdiff_trace", "gmemdiff_outcome", "gmemdiff_dump"):
            function = getattr(lib, name)
            function.restype = ctypes.c_void_p
            function.argtypes = [ctypes.POINTER(ctypes.c_size_t)]
        for name in ("gmemdiff_op_name", "gmemdiff_feature_name", "gmemdiff_label_name"):
            function = getattr(lib, name)
            function.restype = ctypes.c_char_p
            function.argtypes = [ctypes.c_uint32]
        for name in ("gmemdiff_nr_labels",):
            getattr(lib, name).restype = ctypes.c_uint32
        self._check()
        self.labels = {self._name("label", i): i for i in range(lib.gmemdiff_nr_labels())}

    def _name(self, kind: str, index: int) -> str:
        value: bytes | None = getattr(self.library, f"gmemdiff_{kind}_name")(index)
        return value.decode() if value is not None else ""

    def _check(self) -> None:
        """Ops and features mean the same on both sides of the interface."""
        for kind, ours in (("op", tuple(OPS)), ("feature", tuple(FEATURES))):
            theirs = tuple(self._name(kind, i) for i in range(len(ours) + 1))
            if theirs != (*ours, ""):
                raise HarnessError(f"the port's {kind}s are {theirs}, not {ours}")

    def load(self, program: Program) -> None:
        """Make a program the one that the next runs are of.  Raises BeyondPortError."""
        self.load_words(encode(program, self.label_id, self.survival))

    def load_words(self, words: array[int]) -> None:
        """The same from words.  Raises BeyondPortError."""
        address, length = words.buffer_info()
        wrong: bytes | None = self.library.gmemdiff_program(address, length)
        if wrong is not None:
            raise BeyondPortError(wrong.decode())

    def label_id(self, name: str) -> int:
        """The port's number of a label."""
        return self.labels.get(name, NO_LABEL)

    def run(self, traced: bool = False) -> int:
        """Run the program; returns the steps taken.  Raises HarnessError."""
        steps: int = self.library.gmemdiff_run(traced)
        if steps < 0:
            raise HarnessError(f"the C port failed: {self.outcome()}")
        return steps

    def outcome(self) -> str:
        """What fuzz/port/outcome.py writes of the same run in Python."""
        return self._text(self.library.gmemdiff_outcome)

    def trace(self) -> list[PortStep]:
        """Every step of the last traced run."""
        records = self._text(self.library.gmemdiff_trace).split(_SEPARATOR)[:-1]
        return [PortStep(*record.split("\n", 1)) for record in records]

    def dump(self) -> str:
        """The state that the last run left (fuzz/port/rebuild.py)."""
        return self._text(self.library.gmemdiff_dump)

    def log_steps(self, on: bool) -> None:
        """Keep the steps of the runs that follow, or not."""
        self.library.gmemdiff_log_steps(on)

    def steps(self, size: int) -> bytes:
        """The steps of the last run that was logged, so many bytes each."""
        count = ctypes.c_uint32()
        address = self.library.gmemdiff_steps(ctypes.byref(count))
        return ctypes.string_at(address, count.value * size)

    def _text(self, function: ctypes._NamedFuncPointer) -> str:
        size = ctypes.c_size_t()
        address = function(ctypes.byref(size))
        return ctypes.string_at(address, size.value).decode() if address else ""


@cache
def load_port(model: str, options: Options | None = None) -> Port:
    """The port of a model by name, built if need be.

    Raises NoCompilerError, BuildError, PatchError.
    """
    return Port(built_port(model, options), "gmem-survival" in load_model(model).promises)


def built_port(model: str, options: Options | None = None) -> Path:
    """Where the library of a model's port is, built if need be; errors as of load_port().

    There are many mutants, and each is run for seconds: they are not worth a slow link.
    """
    if model.startswith(MUTANTS):
        options = replace(options or Options(), whole=False)
    return build_library(sources_of(model).sources, options)

"""The C port under AddressSanitizer and UBSan: ``python -m tools.sanitize [programs]``.

Runs all corpora and so many random programs on every ported model, in a build that stops at the
first access out of bounds or undefined operation, and compares what each came to with Python.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from fuzz.codec import random_program
from fuzz.counted import counted
from fuzz.execution import Plan
from fuzz.overlay import load_model
from fuzz.port.addresses import symbolised
from fuzz.port.build import COMPARED, Options, build_program, sources_of
from fuzz.port.compiler import NoCompilerError, find_compiler
from fuzz.port.encode import BeyondPortError, encode
from fuzz.port.library import load_port
from fuzz.port.outcome import outcome_text
from fuzz.search import execute
from fuzz.text import load
from fuzz.vocabulary import Program
from reference.features import PROFILES
from tools import exits
from tools.cases import program_files

SANITIZED: Final = Options(sanitize=("address", "undefined"))
CORPORA: Final = Path(__file__).resolve().parents[1] / "corpora"
RANDOM_PROGRAMS: Final = 3000
BATCH: Final = 500  # files on one command line


@cache
def why_not() -> str:
    """Why nothing can be built with sanitizers here; empty when it can."""
    try:
        compiler = find_compiler()
    except NoCompilerError as error:
        return str(error)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text("int main(void) { return 0; }\n", encoding="utf-8")
        program = str(source.with_suffix(""))
        flag = f"-fsanitize={','.join(SANITIZED.sanitize)}"
        command = [*compiler.command, flag, str(source), "-o", program]
        for each in (command, [program]):
            done = subprocess.run(each, capture_output=True, text=True, check=False)
            if done.returncode:
                said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
                return f"{compiler.name} has no runtime for sanitizers: {said}"
    return ""


def programs(count: int) -> Iterator[tuple[str, Program]]:
    """Where each comes from, and the program: corpora, then random ones of every profile."""
    for path in program_files([str(CORPORA)]):
        yield str(path), load(str(path))
    rng = random.Random(0)
    for number in range(count):
        yield f"random program {number}", random_program(rng, PROFILES[number % len(PROFILES)])


def replay(name: str, batch: Sequence[tuple[str, Program]], *options: str) -> list[str]:
    """Run programs on one model in C with sanitizers; what is wrong with each that is not right."""
    model, port = load_model(name), load_port(name)
    main = build_program(sources_of(name).sources, "replay_main.c", SANITIZED)
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, tuple[str, Program]] = {}
        for number, (where, program) in enumerate(batch):
            try:
                words = encode(program, port.label_id, port.survival)
            except BeyondPortError:
                continue
            file = Path(folder, str(number))
            file.write_bytes(words.tobytes())
            files[str(file)] = (where, program)
        done = subprocess.run(
            [str(main), *options, *files], capture_output=True, text=True, check=False
        )
        wrong = []
        for file_name, (where, program) in files.items():
            wanted = outcome_text(program, execute(model, program, Plan.of(program)))
            if f"{file_name}\n{wanted}\n" not in done.stdout:
                wrong.append(f"{name}: {where}: not what Python comes to")
    told = symbolised(done.stderr.strip(), main)
    return [*wrong, told] if wrong or done.returncode else []


def main(arguments: Sequence[str]) -> int:
    """Run everything; 0 all is well, 1 something is not, 4 there are no sanitizers here."""
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        return exits.SKIPPED
    every = list(programs(int(arguments[0]) if arguments else RANDOM_PROGRAMS))
    wrong = []
    for name in (*COMPARED, "seed_closed"):  # the last has the lines of the repairs, too
        for at in range(0, len(every), BATCH):
            wrong += replay(name, every[at : at + BATCH])
    print("\n".join(wrong), end="\n" if wrong else "")
    print(f"{counted(len(every), 'program')}, sanitizers {', '.join(SANITIZED.sanitize)}: ", end="")
    print("something is wrong" if wrong else "all as in Python, nothing reported")
    return exits.FINDING if wrong else exits.CLEAN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

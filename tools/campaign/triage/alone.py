"""Run one program on one model in a process of its own, with a time limit: does it come back?

What hung may have hung only because the machine was busy, so it gets the whole limit again, alone.
The stack is asked for several times, some time apart: what does not come back is what stands in
all of them.

    python -m tools.campaign.triage.alone PROGRAM MODEL FOLDER SECONDS
"""

from __future__ import annotations

import faulthandler
import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DUMPS: Final = 5
BETWEEN: Final = 0.05  # seconds between two dumps
LAST_SECONDS: Final = 10  # so long after its time the child ends by itself


@dataclass(frozen=True, slots=True)
class Alone:
    """How one side ended by itself: hung is None when our own code failed."""

    hung: bool | None
    words: str
    stacks: str = ""


def run_alone(program: Path, model: str, folder: Path, seconds: float) -> Alone:
    """Run a program file on a model, as found from `folder`; kill it after so many seconds."""
    # Should we be killed meanwhile, the child ends by itself, whatever it is doing then.
    last = str(int(seconds) + LAST_SECONDS)
    command = [sys.executable, "-m", __name__, str(program), model, str(folder), last]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as stacks:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stacks, text=True
        ) as child:
            try:
                out, _ = child.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                _dump(child)
                child.kill()
                child.communicate()
                stacks.seek(0)
                return Alone(True, f"did not end within {seconds:g} s", stacks.read())
            except BaseException:
                child.kill()
                raise
        stacks.seek(0)
        if child.returncode == 0:
            return Alone(False, str(json.loads(out)["end"]))
        word = (stacks.read().strip().splitlines() or ["no word"])[-1]
        return Alone(None, f"failed with exit code {child.returncode}: {word}")


def _dump(child: subprocess.Popen[str]) -> None:
    """Have the child write its stack a few times."""
    for _ in range(DUMPS):
        child.send_signal(signal.SIGUSR1)
        try:
            child.wait(BETWEEN)
        except subprocess.TimeoutExpired:
            continue
        return


def main(arguments: list[str]) -> int:
    """The child: run, and say in JSON how it ended."""
    path, model, folder, last = arguments
    signal.alarm(int(last))
    faulthandler.register(signal.SIGUSR1, all_threads=False)
    # After registering: a signal during the imports would end the process without a stack.
    from fuzz.search import execute
    from fuzz.text import load
    from tools.cases import Models

    run = execute(Models().get(model, Path(folder)), load(path))
    print(json.dumps({"end": f"{run.end.value} after {run.steps} steps"}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

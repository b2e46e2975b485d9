"""What a crash, a full disk or somebody's hand may have left in a campaign directory, put right.

Done at the start of every session, under the lock, so nobody else writes.  Nothing is deleted
but what was never finished; what we cannot use is moved to quarantine/, with the reason beside it.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from fuzz.text import ProgramError, parse
from tools.campaign.child.pulse import INPUT_MAX, read_pulse
from tools.campaign.layout import (
    YOUNG,
    Layout,
    content_name,
    queue_name,
    write_whole,
)
from tools.campaign.quarantine import into_quarantine
from tools.campaign.records.totals import worker_numbers
from tools.campaign.repair.findings import repair_findings
from tools.campaign.repair.records import repair_records


def repair(layout: Layout) -> list[str]:
    """Put a directory in order; returns one line for each thing done.  Raises OSError."""
    return [
        *_corpus_swap(layout),
        *_folders(layout),
        *_young(layout),
        *_corpus(layout),
        *_queue(layout),
        *repair_findings(layout),
        *repair_records(layout),
        *_in_hand(layout),
        *_stop_file(layout),
    ]


def _corpus_swap(layout: Layout) -> Iterator[str]:
    """cmin was killed: either its new corpus is in place already, or the old one comes back."""
    if not layout.corpus_old.is_dir():
        return
    if layout.corpus.is_dir():
        shutil.rmtree(layout.corpus_old)
        yield "corpus-old: cmin had finished but for removing it; removed"
    else:
        layout.corpus_old.rename(layout.corpus)
        yield "corpus: cmin was interrupted; the corpus is as it was before"


def _folders(layout: Layout) -> Iterator[str]:
    """A file where a folder should be."""
    for folder in layout.folders:
        if os.path.lexists(folder) and not folder.is_dir():
            spare = folder.with_name(f"{folder.name}.not-a-folder")
            folder.rename(spare)
            yield f"{folder.name}: is no folder; moved to {spare.name}"
    layout.make()


def _young(layout: Layout) -> Iterator[str]:
    """Files that were being written when their writer died."""
    folders = [
        layout.root,
        *layout.folders,
        *(layout.worker(number) for number in worker_numbers(layout)),
        *(path for path in layout.findings.glob("[!.]*") if path.is_dir()),
        *(path for path in layout.findings.glob("[!.]*/members") if path.is_dir()),
    ]  # fmt: skip
    for folder in folders:
        for path in sorted(folder.iterdir()):
            # The folders of findings have young files and folders under any hidden name.
            hidden = path.name.startswith("." if layout.findings in path.parents else YOUNG)
            if hidden:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
                yield f"{path.relative_to(layout.root)}: was never finished; removed"


def _read(path: Path) -> tuple[bytes, str]:
    """The content of a file with a program, and what is wrong with it: nothing, or one line."""
    try:
        mode = path.lstat()
        if not stat.S_ISREG(mode.st_mode):
            return b"", "is no regular file"
        if mode.st_size > INPUT_MAX:
            return b"", f"has {mode.st_size} bytes, a program at most {INPUT_MAX}"
        data = path.read_bytes()
        parse(data.decode("utf-8"), path.name)
    except OSError as error:
        return b"", f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        return b"", "is not UTF-8 text; torn, or not a program"
    except ProgramError as error:
        return b"", f"is torn, or not a program: {error}"
    return data, ""


def _corpus(layout: Layout) -> Iterator[str]:
    """Every file is a program, named by its content."""
    for path in sorted(layout.corpus.iterdir()):
        yield from _named(layout, path, content_name)


def _queue(layout: Layout) -> Iterator[str]:
    """Every file is a program; its name has the kind it showed and its content."""
    for path in sorted(layout.queue.iterdir()):
        kind, _, _ = path.name.partition("-")
        yield from _named(layout, path, partial(queue_name, kind))


def _named(layout: Layout, path: Path, name: Callable[[bytes], str]) -> Iterator[str]:
    """A file that is no program goes away; a good one under a wrong name gets the right one."""
    here = path.relative_to(layout.root)
    data, wrong = _read(path)
    if wrong:
        moved = into_quarantine(layout, path, wrong)
        yield f"{here}: {wrong}; moved to {moved.relative_to(layout.root)}"
    elif path.name != name(data):
        path.rename(path.with_name(name(data)))
        yield f"{here}: is a program under a wrong name; renamed to {name(data)}"


def _in_hand(layout: Layout) -> Iterator[str]:
    """What workers were running when their supervisor died: ordinary inputs, tried again.

    If one of them was about to be a hang, it hangs again, and is kept then.
    """
    for number in worker_numbers(layout):
        pulse = layout.worker(number) / "pulse"
        _, data = read_pulse(pulse)
        if data:
            here = pulse.relative_to(layout.root)
            try:
                parse(data.decode("utf-8"), "<pulse>")
            except (UnicodeDecodeError, ProgramError):
                yield f"{here}: what worker {number} had in hand is no program; dropped"
            else:
                path = layout.corpus / content_name(data)
                if not path.exists():
                    write_whole(path, data)
                yield f"{here}: the program that worker {number} had in hand is tried again"
        pulse.unlink(missing_ok=True)


def _stop_file(layout: Layout) -> Iterator[str]:
    """A request to stop that nobody is left to obey."""
    if layout.stop.exists():
        layout.stop.unlink()
        yield "stop: asked a session to end that is over; removed"

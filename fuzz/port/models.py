"""A model that exists in C only: the stock port with a developer's patch applied.

The file is a unified diff against the files of reference/c/.  A line ``Promises: gmem-survival``
before the diff makes that rule one that the patch must keep.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from fuzz.overlay import PROMISABLE, Model, OverlayError
from fuzz.port.build import BuildError, Options, build_library, patch_text, sources_of
from fuzz.port.compiler import NoCompilerError
from fuzz.port.library import Port
from fuzz.port.patching import PatchError
from fuzz.port.runner import on_port
from reference.kvm import Kvm

_PROMISES: Final = re.compile(r"^Promises:(.*)$", re.MULTILINE)


def patch_model(name: str, options: Options | None = None) -> Model:
    """The model of a patch file.  Raises OverlayError, whatever is wrong with it."""
    path = Path(name)
    try:
        promises = promises_of(patch_text(path), name)
        library = build_library(sources_of(name).sources, options)
    except (PatchError, BuildError, NoCompilerError) as error:
        raise OverlayError(str(error)) from error
    summary = f"the port with {path.name}"
    model = Model(name, Kvm, summary, promises, replaced=(), pure=False)
    return on_port(model, Port(library, "gmem-survival" in promises))


def promises_of(text: str, name: str) -> tuple[str, ...]:
    """The rules that a patch says it keeps.  Raises PatchError."""
    found = _PROMISES.search(text)
    promises = tuple(found[1].replace(",", " ").split()) if found else ()
    for promise in promises:
        if promise not in PROMISABLE:
            line = text[: found.start()].count("\n") + 1 if found else 1
            known = ", ".join(PROMISABLE)
            raise PatchError(f"{name}:{line}:1: {promise!r} cannot be promised; known: {known}")
    return promises

"""The C port for tests: built once, and a reason to skip where nothing can build it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pytest

from fuzz.port.build import Options, build_library, model_sources
from fuzz.port.compiler import NoCompilerError, find_compiler
from fuzz.port.exhaustive import Exhaustive, port_to_explore
from fuzz.port.library import Port, load_port


def needs_compiler() -> None:
    """Skip the test that asks, and say why, when there is no C compiler."""
    try:
        find_compiler()
    except NoCompilerError as error:
        pytest.skip(str(error))


def port_of(model: str) -> Port:
    """The port of a model by name."""
    needs_compiler()
    return load_port(model)


def explorer_of(model: str) -> Exhaustive:
    """Explores the port of a model by name."""
    needs_compiler()
    return Exhaustive(port_to_explore(model))


def built(sources: Mapping[str, str], options: Options | None = None) -> Port:
    """A port of other sources than the project's."""
    needs_compiler()
    return Port(build_library(sources, options), False)


@cache
def sources() -> Mapping[str, str]:
    """The stock port's files."""
    return model_sources()


def edited(file: str, old: str, new: str) -> dict[str, str]:
    """The stock port's files with one place changed."""
    text = sources()[file]
    assert text.count(old) == 1, f"{file} holds {old!r} {text.count(old)} times"
    return {**sources(), file: text.replace(old, new)}

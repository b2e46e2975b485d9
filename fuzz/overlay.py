"""From a name or a file to a model class: the reference with some functions replaced.

An overlay is a Python file whose top-level functions carry the names of model functions; each
replaces that function for all its callers.  It may also change single lines of a model function
with ``rewrite(function, old, new)``, which is how the one-line mutants are written; new lines may
use what the file imports.  Names that start with an underscore are the file's own.

    SUMMARY = "one line that says what the change is"
    PROMISES = ("gmem-survival",)   # rules that only this model must keep; optional
    EDITS = (("kvm_mmu_invalidate_end", "old line", "new line"),)   # optional
    BASE = "seed"                   # change this model instead of the reference; optional
    PURE = True                     # the functions only look and answer; optional, saves time

PURE must be true: a function that also changes something would be missed (fuzz/twins.py).
"""

from __future__ import annotations

import ast
import difflib
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any, Final

import patched
from reference.kvm import Kvm

HERE: Final = Path(patched.__file__).parent
PROMISABLE: Final = ("gmem-survival",)  # rules that hold only for models that say so
PATCH_SUFFIX: Final = ".patch"
FILE_SUFFIXES: Final = (".py", PATCH_SUFFIX)  # of models that are files: overlays, patches in C
NOT_MODELS: Final = frozenset({"__init__"})
MUTANTS: Final = "mutants/"  # how the names of seeded mistakes begin


class OverlayError(ValueError):
    """An overlay that cannot be used: says which file, where in it, and what to do."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model to run: its name, its class, and what it promises beyond the common rules."""

    name: str
    kvm: type[Kvm]
    summary: str
    promises: tuple[str, ...]
    replaced: tuple[str, ...]  # names of the functions it changes
    pure: bool  # they only look and answer
    # What runs programs on it when it is not run in Python: (plan, recorder) -> run.
    runner: Callable[[Any, Any], Any] | None = None
    # What explores all schedules of a program: (program, preemptions, steps) -> Survey of
    # fuzz/port/exhaustive.py, or None where it cannot.
    survey: Callable[[Any, int, int], Any] | None = None

    @property
    def c_only(self) -> bool:
        """Whether it cannot be run in Python."""
        return exists_in_c_only(self.name)


def exists_in_c_only(name: str) -> bool:
    """Whether the model of this name is a patch of the port, with no counterpart in Python."""
    return name.endswith(PATCH_SUFFIX)


def known_models() -> dict[str, Path]:
    """Models that come with the project, by name; mutants are called ``mutants/NAME``."""
    found = {p.stem: p for p in HERE.glob("*.py") if p.stem not in NOT_MODELS}
    for path in (HERE / "mutants").glob("*.py"):
        if path.stem != "__init__":
            found[MUTANTS + path.stem] = path
    return dict(sorted(found.items()))


_CACHE: dict[str, Model] = {}


def load_model(name: str) -> Model:
    """The model called `name`, or made by the overlay file at that path.

    Raises OverlayError when there is no such model or the file is wrong.
    """
    if name in _CACHE:
        return _CACHE[name]
    known = known_models()
    if name in known:
        model = _build(name, known[name])
        _CACHE[name] = model
        return model
    if exists_in_c_only(name):
        # The port needs models; a model that is a patch of the port needs the port.
        from fuzz.port.models import patch_model

        return patch_model(name)
    if not name.endswith(".py"):
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "give a name, a FILE.py or a FILE.patch"
        models = ", ".join(n for n in known if not n.startswith("mutants/"))
        raise OverlayError(f"unknown model {name!r}; {hint} (models: {models}, mutants/*)")
    return _build(name, Path(name))


def _build(name: str, path: Path) -> Model:
    module = _import(path)
    base = _base(name, module, path)
    changes: dict[str, Any] = {}
    for function, old, new in _edits(module, path):
        _model_function(function, path, 1)
        current = changes.get(function) or getattr(base.kvm if base else Kvm, function)
        changes[function] = rewrite(current, old, new, str(path), vars(module))
    for key, value in vars(module).items():
        if not isinstance(value, FunctionType) or value.__module__ != module.__name__:
            continue
        if key.startswith("_") and not hasattr(Kvm, key):
            continue
        line = value.__code__.co_firstlineno
        _check_signature(_model_function(key, path, line), value, path, line)
        changes[key] = value
    if not changes and name != "stock":
        raise OverlayError(
            f"{path}:1:1: replaces no model function; define one by its name in reference/kvm.py"
        )
    promises = _promises(module, path, base.promises if base else ())
    summary = str(getattr(module, "SUMMARY", "")) or _first_line(module)
    parent = base.kvm if base else Kvm
    body = {"__slots__": (), "overlay_file": None if name in known_models() else str(path)}
    kvm = type(f"Kvm_{path.stem}", (parent,), {**body, **changes})
    replaced = {*changes, *(base.replaced if base else ())}
    pure = _pure(module, path, not replaced) and (base is None or base.pure)
    return Model(name, kvm, summary, promises, tuple(sorted(replaced)), pure)


def _base(name: str, module: ModuleType, path: Path) -> Model | None:
    """The model that this one changes further, when it names one."""
    base = getattr(module, "BASE", None)
    if base is None:
        return None
    if base == name or base not in known_models():
        raise OverlayError(f"{path}:1:1: BASE is {base!r}; want the name of another known model")
    return load_model(base)


def _promises(module: ModuleType, path: Path, inherited: tuple[str, ...]) -> tuple[str, ...]:
    promises = getattr(module, "PROMISES", inherited)
    if not isinstance(promises, tuple):
        raise OverlayError(f"{path}:1:1: PROMISES must be a tuple of rule names")
    for promise in promises:
        if promise not in PROMISABLE:
            close = difflib.get_close_matches(str(promise), PROMISABLE, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(PROMISABLE)}"
            raise OverlayError(f"{path}:1:1: {promise!r} cannot be promised; {hint}")
    return promises


def _pure(module: ModuleType, path: Path, otherwise: bool) -> bool:
    pure = getattr(module, "PURE", otherwise)
    if not isinstance(pure, bool):
        raise OverlayError(f"{path}:1:1: PURE is {pure!r}; write True or False")
    return pure


def _first_line(module: ModuleType) -> str:
    return (module.__doc__ or "").strip().split("\n")[0]


def _import(path: Path) -> ModuleType:
    try:
        source = path.read_text(encoding="utf-8")
        ast.parse(source, str(path))
    except OSError as error:
        raise OverlayError(f"{path}:1:1: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise OverlayError(f"{path}:1:1: is not UTF-8 text: {error.reason}") from error
    except SyntaxError as error:
        at = f"{path}:{error.lineno or 1}:{error.offset or 1}"
        raise OverlayError(f"{at}: is not Python: {error.msg}") from error
    except ValueError as error:
        raise OverlayError(f"{path}:1:1: is not Python: {error}") from error
    spec = util.spec_from_file_location(f"overlay_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        line = _line_in(error, path) or 1
        raise OverlayError(f"{path}:{line}:1: fails when loaded: {error!r}") from error
    return module


def line_in_overlay(model: type[Kvm], error: BaseException) -> str:
    """``FILE.py:LINE`` when an error came out of a user's overlay, else nothing.

    A crash in the project's own code is ours to explain; one in a user's file is the user's.
    """
    path = getattr(model, "overlay_file", None)
    if path is None:
        return ""
    line = _line_in(error, path)
    return f"{path}:{line}" if line else ""


def _line_in(error: BaseException, path: Path | str) -> int:
    """The last line of a file that an error passed through; 0 for none."""
    line, traceback = 0, error.__traceback__
    names = (str(path), str(Path(path).absolute()))  # Python makes the names of modules absolute
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename in names:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _edits(module: ModuleType, path: Path) -> Sequence[tuple[str, str, str]]:
    edits = getattr(module, "EDITS", ())
    if not isinstance(edits, tuple):
        raise OverlayError(f"{path}:1:1: EDITS must be a tuple of (function, old, new)")
    for edit in edits:
        if not (isinstance(edit, tuple) and len(edit) == 3):
            raise OverlayError(f"{path}:1:1: EDITS holds {edit!r}; want (function, old, new)")
    return tuple(edits)


def _model_function(name: str, path: Path, line: int) -> Callable[..., Any]:
    function = getattr(Kvm, name, None)
    if not isinstance(function, FunctionType):
        close = difflib.get_close_matches(name, dir(Kvm), n=1)
        hint = f"did you mean {close[0]!r}?" if close else "see reference/kvm.py for the list"
        raise OverlayError(
            f"{path}:{line}:1: {name!r} is no model function; {hint} "
            "(helpers of your own start with an underscore)"
        )
    return function


def _check_signature(old: Callable[..., Any], new: FunctionType, path: Path, line: int) -> None:
    want, got = list(inspect.signature(old).parameters), list(inspect.signature(new).parameters)
    if want != got:
        raise OverlayError(
            f"{path}:{line}:1: {new.__name__} takes ({', '.join(got)}); "
            f"the model calls it with ({', '.join(want)})"
        )
    iterates = "Iterable" in str(inspect.signature(old).return_annotation)
    if inspect.isgeneratorfunction(old) and not inspect.isgeneratorfunction(new):
        raise OverlayError(
            f"{path}:{line}:1: {new.__name__} must be a generator, as the model's is: it has steps"
        )
    if inspect.isgeneratorfunction(new) and not (iterates or inspect.isgeneratorfunction(old)):
        raise OverlayError(
            f"{path}:{line}:1: {new.__name__} must not yield: the model calls it in one step"
        )


def rewrite(
    function: Callable[..., Any],
    old: str,
    new: str,
    where: str = "rewrite",
    names: Mapping[str, Any] = MappingProxyType({}),
) -> Callable[..., Any]:
    """A copy of a model function with one piece of its source replaced.

    `old` must occur exactly once, white space at line ends and common indentation aside.
    names: what the new source may use besides the names of the function's own file.
    """
    source = getattr(function, "rewritten_source", None)
    if source is None:
        source = textwrap.dedent(inspect.getsource(function))
    count = source.count(old)
    if count != 1:
        raise OverlayError(
            f"{where}:1:1: {function.__name__} holds {old!r} {count} times; want exactly once"
        )
    changed = source.replace(old, new)
    scope: dict[str, Any] = {}
    try:
        exec(compile("from __future__ import annotations\n" + changed, where, "exec"),
             {**names, **function.__globals__}, scope)  # fmt: skip
    except SyntaxError as error:
        raise OverlayError(
            f"{where}:1:1: {function.__name__} after the edit is not Python: {error.msg}"
        ) from error
    result: Any = scope[function.__name__]
    result.rewritten_source = changed
    result.rewritten_from = function
    return result  # type: ignore[no-any-return]

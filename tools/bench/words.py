"""A board as text: a line for each mutant, the totals, and we against the best of the rivals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tools.bench.race import Board, Total
from tools.bench.rivals.table import RIVALS


def lines(board: Board, summaries: Mapping[str, str]) -> Iterator[str]:
    """The table, hard mutants first."""
    width = max([len(name) for name in board.cells] + [24]) + 1
    yield f"{'':<{width}}" + "".join(f"{rival:>10}" for rival in board.rivals)
    for hard, title in ((True, "hard"), (False, "others")):
        rows = {m: row for m, row in board.cells.items() if (m in board.hard) == hard}
        if not rows:
            continue
        yield f"{title}:"
        for mutant, row in rows.items():
            cells = (str(row[rival]) if rival in row else "-" for rival in board.rivals)
            yield f"{mutant:<{width}}" + "".join(f"{text:>10}" for text in cells)
        totals = board.totals(hard)
        yield f"{'total':<{width}}" + "".join(f"{_seconds(t):>10}" for t in totals.values())
        yield f"{'detected':<{width}}" + "".join(f"{_found(t):>10}" for t in totals.values())
    yield ""
    yield from _standing(board)
    yield from _errors(board)
    told = [(name, text) for name, text in summaries.items() if name in board.hard]
    yield from (f"{name}: {text}" for name, text in told)


def _seconds(total: Total | None) -> str:
    return "-" if total is None else f"{total.seconds:.1f}"


def _found(total: Total | None) -> str:
    return "-" if total is None else f"{total.detected}/{total.mutants}"


def _standing(board: Board) -> Iterator[str]:
    """Our engine in each language against the best of the rivals in the same one."""
    for hard, what in ((True, "hard"), (False, "other")):
        totals = board.totals(hard)
        for in_c, language in ((True, "C"), (False, "Python")):
            known = {
                rival: total.seconds
                for rival, total in totals.items()
                if total is not None and RIVALS[rival].in_c == in_c
            }
            ours = [rival for rival in known if RIVALS[rival].ours]
            others = {rival: seconds for rival, seconds in known.items() if rival not in ours}
            if not ours or not others:
                continue
            best = min(others, key=lambda rival: others[rival])
            ratio = known[ours[0]] / others[best] if others[best] else float("inf")
            yield (
                f"{what} ones in {language}: {ours[0]} {known[ours[0]]:.1f} s, the best rival "
                f"{best} {others[best]:.1f} s: {ratio:.2f} of it"
            )


def _errors(board: Board) -> Iterator[str]:
    for mutant, row in board.cells.items():
        for rival, cell in row.items():
            yield from (f"{rival} on {mutant}: no result: {error}" for error in cell.errors)


def as_json(board: Board) -> dict[str, Any]:
    """The same for machines."""
    return {
        "rivals": {rival: RIVALS[rival].words for rival in board.rivals},
        "mutants": {
            mutant: {
                "hard": mutant in board.hard,
                "cells": {
                    rival: {
                        "median": cell.median,
                        "limit": cell.limit,
                        "detected": cell.detected,
                        "seeds": cell.seeds,
                        "errors": list(cell.errors),
                    }
                    for rival, cell in row.items()
                },
            }
            for mutant, row in board.cells.items()
        },
        "totals": {
            name: {
                rival: None if total is None else total.to_json()
                for rival, total in board.totals(hard).items()
            }
            for name, hard in (("hard", True), ("others", False))
        },
    }

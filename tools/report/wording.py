"""Numbers and times as people read them."""

from __future__ import annotations

from typing import Final

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


def number(value: float) -> str:
    """``1,234``; large ones as ``12.3 k``, ``4.56 M``."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e5, "k")):
        if abs(value) >= limit:
            short = value / (1e3 if unit == "k" else limit)
            return f"{short:.3g} {unit}" if abs(short) < 1000 else f"{short:,.0f} {unit}"
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}"


def duration(seconds: float) -> str:
    """``7 s``, ``3 min 05 s``, ``2 h 10 min``, ``4 d 3 h``."""
    total = max(0, int(seconds))
    if total < MINUTE:
        return f"{total} s"
    if total < HOUR:
        return f"{total // MINUTE} min {total % MINUTE:02} s"
    if total < DAY:
        return f"{total // HOUR} h {total % HOUR // MINUTE:02} min"
    return f"{total // DAY} d {total % DAY // HOUR} h"


def percent(part: int, whole: int) -> str:
    """``12.3 %``; nothing to count is said with a dash."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def plural(count: int, one: str, many: str = "") -> str:
    """``1 finding``, ``2 findings``."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"

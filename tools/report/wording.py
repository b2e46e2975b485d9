"""Numbers as people read them."""

from __future__ import annotations


def number(value: float) -> str:
    """``1,234``; large ones as ``12.3 k``, ``4.56 M``."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e5, "k")):
        if abs(value) >= limit:
            short = value / (1e3 if unit == "k" else limit)
            return f"{short:.3g} {unit}" if abs(short) < 1000 else f"{short:,.0f} {unit}"
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}"


def percent(part: int, whole: int) -> str:
    """``12.3 %``; nothing to count is said with a dash."""
    return f"{100 * part / whole:.1f} %" if whole else "–"

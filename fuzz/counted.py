"""Numbers of things, for people."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """``1 finding``, ``2 findings``; noun: in the singular."""
    return f"{number} {noun}{'' if number == 1 else 's'}"

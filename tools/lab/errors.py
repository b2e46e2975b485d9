"""The two ways in which the lab says no."""

from __future__ import annotations


class LabError(ValueError):
    """What somebody gave the lab is wrong: says what, where, and what to do (exit code 2)."""


class MissingError(Exception):
    """Something that the lab needs is not on this machine: the reason to skip (exit code 4)."""

"""What keeps a program from becoming C."""

from __future__ import annotations


class NotExpressibleError(Exception):
    """A real kernel offers no way to do or to see this; the text says what and why."""

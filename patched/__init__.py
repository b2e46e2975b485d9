"""Models that differ from the reference: each an overlay of a few lines (see fuzz/overlay.py)."""

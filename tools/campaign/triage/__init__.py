"""Triage: from programs that broke something to findings."""

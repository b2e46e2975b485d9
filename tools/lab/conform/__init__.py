"""Conformance: what the models say of a program against what a real kernel does."""

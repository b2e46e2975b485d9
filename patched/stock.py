"""No change at all: the reference itself, for comparing any model with it."""

SUMMARY = "the reference model, unchanged"

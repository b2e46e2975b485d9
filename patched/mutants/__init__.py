"""Seeded bugs: models with one mistake each, and a named program in corpora/ that catches it."""

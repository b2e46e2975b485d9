"""Bounded exhaustive exploration: of one program, and of every program of a small class."""

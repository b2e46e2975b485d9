"""Benchmarks: how fast the engines are, and how soon each way of testing finds a seeded mistake."""

"""Strategies: who goes on, at each place of a run where that can be chosen; one small file each.

A strategy is asked by fuzz/strategies/driven.py, which writes its choices down as an ordinary
Schedule: whatever a strategy finds is replayed without it.
"""

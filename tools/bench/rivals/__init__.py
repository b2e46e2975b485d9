"""The rivals: ways of looking for a mistake, one file each, behind one interface (rival.py)."""

"""The command line, the pytest plugin, and upkeep of the project."""

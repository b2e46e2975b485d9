"""The supervisor: starts children, watches them, and keeps the directory to itself."""

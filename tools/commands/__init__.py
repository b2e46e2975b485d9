"""The commands of gmemdiff: one small module per kind of job."""

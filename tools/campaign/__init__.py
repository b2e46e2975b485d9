"""A campaign: many workers fuzzing for a long time in one directory, and what is made of it."""

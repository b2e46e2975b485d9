"""The C port of the model (reference/c/): building it, running programs on it, comparing."""

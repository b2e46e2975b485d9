"""A campaign as people see it: at one moment, as a screen, as lines, in words."""

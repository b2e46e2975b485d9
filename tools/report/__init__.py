"""A campaign as a page to read, and as files for continuous integration."""

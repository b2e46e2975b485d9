"""From Programs that found something new to the next one to try."""

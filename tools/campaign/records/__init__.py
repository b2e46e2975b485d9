"""What a campaign writes down of itself, and how it is counted and listed."""

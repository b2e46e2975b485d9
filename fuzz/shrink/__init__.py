"""Making a failing Program small while it keeps failing in the same way."""

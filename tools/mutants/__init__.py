"""How long it takes to find each seeded mistake."""

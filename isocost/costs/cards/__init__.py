"""Packaged cards: YAML data, read by `isocost.costs.book`. No code lives here."""

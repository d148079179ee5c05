"""Builders of the core tables, from raw generations and from imported records."""

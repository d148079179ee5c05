"""Builders of coverage curves and of accuracy intervals."""

"""Builders of scaling curves, anytime measures and compute-optimal allocation."""

"""Builders of strategy outcomes: every strategy replayed from the core tables."""

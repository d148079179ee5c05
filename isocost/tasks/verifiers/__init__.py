"""Verifiers, one module each, found by isocost.tasks.registry."""

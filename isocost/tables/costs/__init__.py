"""Builders of cost-of-pass, efficiency and runtime models."""

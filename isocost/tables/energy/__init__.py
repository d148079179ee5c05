"""Builders of energy windows, of each run's energy and of the shares of its calls."""

"""The registered strategies, one class a file; found by `isocost.strategies.registry`."""

"""Builders of frontiers, means over tasks and paired comparisons of outcomes."""

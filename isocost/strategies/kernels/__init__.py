"""Compiled inner loops of the estimators.

Not here: anything that checks its arguments; the estimators do.
"""

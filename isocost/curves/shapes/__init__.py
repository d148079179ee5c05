"""Curve families, one registered class per file.

Lives here: nothing but the families; the registry in ``isocost.curves.base`` finds them. Not here:
fitting and intervals.
"""

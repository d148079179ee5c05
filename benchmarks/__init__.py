"""Speed and memory as ratios in one run against a named baseline.

Correctness is tested in ``tests``.
"""

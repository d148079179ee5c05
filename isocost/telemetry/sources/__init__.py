"""Power sources, one registered class per file.

Lives here: what reads a driver or a counter. Not here: what a source must say of itself
(``isocost.telemetry.source``), the sampling thread, and anything computed from samples.
"""

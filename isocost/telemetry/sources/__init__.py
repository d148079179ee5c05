"""Power sources, one registered class per file.

Lives here: what reads a driver or a counter. Not here: the interface of a source
(``isocost.telemetry.source``), the sampling thread, and anything computed from samples.
"""

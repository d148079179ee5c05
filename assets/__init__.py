"""The tables as Dagster assets: thin bodies around ``isocost``.

``raw``, ``core``, ``out`` and ``publish`` hold one layer each; ``partitions`` and ``resources`` are
the inputs of a body; ``specs`` turns a table's definition into an asset's. How the assets run
(jobs, schedules, sensors, checks) is in ``pipelines``.
"""

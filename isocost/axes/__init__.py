"""The cost axes: what a sample, and a strategy made of samples, costs.

One module is one axis, or two that count one thing. It declares the axis's column, unit, labels,
how samples add up, the effect of a cut or a shared prefix, and what it needs; the schema, the
replay of strategies, the frontiers, the checks and the report read it from there. Also here: the
interface of an axis (``model``), the registry (``registry``) and how their columns are computed
(``compute``). Not here: formulas (``isocost.costs``) and measuring (``isocost.telemetry``).
"""

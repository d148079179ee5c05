"""The cost axes: what a sample, and a strategy made of samples, is said to cost.

One module is one axis, or two that count one thing. It says the axis's column, unit, words, how
samples add up, what a cut or a shared prefix changes and what it needs; the schema, the replay of
strategies, the frontiers, the checks and the report read it from there. Beside the axes live what
an axis is (``model``), the registry (``registry``) and how their columns are computed
(``compute``).
Not here: formulas (``isocost.costs``) and measuring (``isocost.telemetry``).
"""

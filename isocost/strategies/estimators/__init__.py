"""Estimators: what a policy achieves and spends at each problem, in closed form or over draws, on
plain arrays.

Not here: the registered strategies (``isocost.strategies.policies``) and compiled loops
(``isocost.strategies.kernels``).
"""

"""Estimators: what a policy achieves and spends per problem, on plain arrays.

In closed form or over random draws.

Not here: the registered strategies (``isocost.strategies.policies``) and compiled loops
(``isocost.strategies.kernels``).
"""

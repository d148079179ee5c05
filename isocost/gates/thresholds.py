"""Every threshold of every check, once, with its reason."""

from __future__ import annotations

MAX_INVALID_RATIO = 0.05
"""More than one sample in twenty invalid means that the session measured something else than it was
asked to: a warning, since what is invalid feeds no derived table anyway."""

MAX_TRUNCATED_RATIO = 0.5
"""When most answers hit the token budget, accuracy measures the budget.

A warning only, because low budgets may be intended.
"""

MIN_LOGPROB_MEAN = -30.0
"""A mean log-probability below this is not plausible for samples from the model's own distribution.

Float underflow or a wrong token alignment.
"""

"""Every threshold of every check, once, with its reason."""

from __future__ import annotations

MAX_INVALID_RATIO = 0.05
"""More than one sample in twenty invalid means that the session measured something else than it was asked to."""

MAX_TRUNCATED_RATIO = 0.5
"""When most answers hit the token budget, accuracy measures the budget: a warning only, since low budgets are asked for on purpose."""

MAX_ENERGY_SHARE_ERROR = 1e-9
"""Attributed joules must add up to the window's; anything more is lost or invented energy (relative, float64 sums)."""

LATENCY_SLACK_S = 1e-6
"""Prefill and decode are differences of one clock; a microsecond covers the rounding of the engine's time stamps."""

MAX_CLOCK_DRIFT_S = 0.25
"""Wall minus monotonic clock may move by this much in a session (NTP slew); more means that the wall clock jumped."""

MIN_LOGPROB_MEAN = -30.0
"""A mean log-probability below this is no sampling from the model's own distribution: float underflow or a wrong token alignment."""

"""Every threshold of the power rules, with its reason.

Lives here: constants only, so that a reader can see and change them in one place.
"""

from __future__ import annotations

MAX_GAP_S = 3.0
"""Longest gap between power samples.

InferenceX rejects longer ones: a whole prefill could be missed.
"""

COUNTER_TOLERANCE_RATIO = 0.05
"""Largest disagreement of counter and integrated power. Boards differ by about 5 % in gain (Yang et
al., SC24); more means one of the two did not see the window."""

MIN_WINDOW_COUNTER_S = 1.0
"""Shortest window for a counter: counters step every 20 to 100 ms, so one second bounds the edge
error at 10 %, the usual case at 2 %."""

MIN_WINDOW_POWER_S = 5.0
"""Shortest window for integrated power alone.

Sensors that see 25 ms of every 100 ms need 5 s or 32 repetitions (SC24).
"""

MAX_MISSING_RATIO = 0.1
"""Share of samples in a window that may lack the reading in use.

More and the driver was not answering.
"""

MAX_THROTTLED_RATIO = 0.01
"""Share of samples with a slowdown that affects the measurement, as declared by each source.

Below it a single reading at start-up does not spoil hours of work.
"""

MIN_IDLE_S = 10.0
"""Shortest idle baseline.

A hundred readings at 10 Hz. Sixty seconds are better if a session can spare them.
"""

"""The one partition dimension: engine sessions.

One key is one engine start that measures many points, or one imported source (keys that start with
``import-``). The sweep's grid stays in columns. Docs: Dagster, "Dynamic partitions".
"""

from __future__ import annotations

import dagster as dg

SESSIONS = "session"
"""The name under which Dagster keeps the keys."""

sessions = dg.DynamicPartitionsDefinition(name=SESSIONS)

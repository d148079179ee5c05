"""The one partition dimension: engine sessions.

One key is one engine start that measures many points, or one imported source (keys that start with
``import-``). The sweep's grid stays in columns. Docs: Dagster, "Dynamic partitions".
"""

from __future__ import annotations

import dagster as dg

from isocost.store import IMPORT_PREFIX

sessions = dg.DynamicPartitionsDefinition(name="session")


def is_import(session_id: str) -> bool:
    """Whether a partition key names an imported source rather than an engine session."""
    return session_id.startswith(IMPORT_PREFIX)

"""When the derived tables are refreshed: after new core tables of a session pass their checks.

Only blocking checks count.

Measurements are never automated: a sweep is requested. The sensor that evaluates this is off until
it is switched on in the UI.
"""

from __future__ import annotations

import dagster as dg

_GROUPS = ("out", "publish")

# `eager` waits until every partition exists, which a growing bank never reaches: that guard is
# dropped.
REFRESH = (
    dg.AutomationCondition.eager().without(~dg.AutomationCondition.any_deps_missing())
    & dg.AutomationCondition.all_deps_blocking_checks_passed()
).with_label("refresh_on_new_core")


def automated(assets: list[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The assets, the derived and published ones with their automation condition."""
    return list(
        dg.map_asset_specs(
            lambda spec: (
                spec.replace_attributes(automation_condition=REFRESH)
                if spec.group_name in _GROUPS
                else spec
            ),
            assets,
        )
    )

"""Assembles the code location.

``build_defs`` is called by ``definitions``; tests call it with other resources instead of patching.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets import core, out, publish, raw
from assets.resources import StoreResource
from isocost.schema.registry import all_tables
from pipelines.automation import automated
from pipelines.checks.expectations import suite_checks
from pipelines.checks.gate import gate_checks
from pipelines.checks.schema import schema_checks
from pipelines.checks.sql import sql_checks
from pipelines.jobs import JOBS
from pipelines.schedules import nightly_refresh
from pipelines.sensors import inbox, sweep_folder

_MODULES = (raw, core, out, publish)


def default_resources() -> dict[str, Any]:
    """The resources of the assets on one machine."""
    return {"store": StoreResource(), "pipes": dg.PipesSubprocessClient()}


def build_defs(*, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Assets, checks, jobs, schedules and sensors of the code location.

    Args:
        resource_overrides: replaces resources by name.

    Returns:
        Definitions that load with an empty environment: no GPU, no network, no variables.
    """
    assets = _all_assets()
    return dg.Definitions(
        assets=automated(assets),
        asset_checks=[*_table_checks(assets), *suite_checks(), *gate_checks(), *sql_checks()],
        jobs=JOBS,
        schedules=[nightly_refresh],
        sensors=[
            sweep_folder,
            inbox,
            dg.AutomationConditionSensorDefinition(
                "refresh_on_new_core",
                target=dg.AssetSelection.groups("out", "publish"),
                description=(
                    "Watches the core tables: when those of a session are new and their blocking"
                    " checks have passed, the derived and published tables are built. Measures"
                    " nothing."
                ),
            ),
        ],
        resources={**default_resources(), **(resource_overrides or {})},
        # One process per run: a process per step would spend seconds on imports, and the engine
        # already has its own process.
        executor=dg.in_process_executor,
    )


def _all_assets() -> list[dg.AssetsDefinition]:
    assets: list[dg.AssetsDefinition] = []
    for loaded in dg.load_assets_from_modules(_MODULES):
        assert isinstance(loaded, dg.AssetsDefinition), f"{loaded} has no body"
        assets.append(loaded)
    return assets


def _table_checks(assets: list[dg.AssetsDefinition]) -> list[dg.AssetChecksDefinition]:
    """The schema checks.

    One definition per asset body that writes core or out tables, one for the raw lake.
    """
    checks = []
    for asset in assets:
        tables = [
            name
            for name in sorted(key.to_user_string() for key in asset.keys)
            if name in all_tables()
        ]
        if tables:
            checks.append(schema_checks(tables))
    return checks

"""The jobs that users start: measure a session, import a file, refresh derived tables.

Selections only; what a step does is in ``assets``.
"""

from __future__ import annotations

import dagster as dg

from assets.resources import MAKES_ROOT
from isocost.bank.layout import FOLDERS

_CORE_AND_DOWN = dg.AssetSelection.groups("core", "out", "publish")

sweep_job = dg.define_asset_job(
    "sweep",
    selection=dg.AssetSelection.assets(*FOLDERS) | _CORE_AND_DOWN,
    description=(
        "One engine session from generation to the published tables. Samples already banked are not"
        " generated again."
    ),
    tags={"isocost/measures": "true", MAKES_ROOT: "true"},
)

import_job = dg.define_asset_job(
    "bring_in",
    selection=dg.AssetSelection.assets("raw_imports") | _CORE_AND_DOWN,
    description="Another tool's results, from its file to the published tables.",
    tags={MAKES_ROOT: "true"},
)

refresh_job = dg.define_asset_job(
    "refresh",
    selection=_CORE_AND_DOWN,
    description="All derived tables of every session, from the bank. Starts no engine.",
)

publish_job = dg.define_asset_job(
    "derive_and_publish",
    selection=dg.AssetSelection.groups("out", "publish"),
    description="The derived and published tables from the current core tables.",
)

JOBS = [sweep_job, import_job, refresh_job, publish_job]

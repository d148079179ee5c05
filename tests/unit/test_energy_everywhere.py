"""On a machine without a power source every table that has joules has NULL in their place, and the
reason beside it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import polars as pl
import pytest

from isocost.build import refresh
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import generate
from isocost.schema.model import Table
from isocost.schema.registry import all_tables
from isocost.store import Store

sys.path.insert(0, str(Path(__file__).parent / "payload"))
import sessions

ENERGY_UNIT = re.compile(r"(.*/)?[JW](/.*)?")
# raw_telemetry has rows only where something was measured; the reason why there are none is the
# manifest's, and core_sessions'.
MEASURED_ONLY = {"raw_telemetry"}
CARDS = {"core_devices"}  # a power limit is a data sheet's


def energy_columns(table: Table) -> list[str]:
    return [column.name for column in table.columns if ENERGY_UNIT.fullmatch(column.unit)]


WITH_ENERGY = sorted(
    name
    for name, table in all_tables().items()
    if energy_columns(table) and name not in MEASURED_ONLY | CARDS
)


def test_the_registry_is_scanned_for_what_it_is_about():
    found = {
        "core_samples",
        "core_sessions",
        "core_energy_windows",
        "core_energy_attribution",
        "out_strategy_outcomes",
        "out_strategy_problems",
    }
    assert found | {
        "out_intelligence_per_watt",
        "out_request_efficiency",
        "out_point_summary",
        "raw_imports",
    } <= set(WITH_ENERGY)
    named = {
        name
        for name, table in all_tables().items()
        if any("energy" in c.name and c.name.endswith("_j") for c in table.columns)
    }
    assert named <= set(WITH_ENERGY) | MEASURED_ONLY


@pytest.mark.parametrize("name", WITH_ENERGY)
def test_a_table_with_joules_says_why_they_are_unknown(name):
    assert "energy_unknown_reason" in [column.name for column in all_tables()[name].columns]


@pytest.mark.slow
def test_without_a_power_source_energy_is_null_with_its_reason_in_every_table(tmp_path):
    sessions.record(
        sessions.session(session_id="recorded-0123456789", samples=2, problems=3),
        tmp_path / "recorded",
    )
    session = sessions.session(samples=2, problems=3, options={"bank": str(tmp_path / "recorded")})
    store = Store(tmp_path)
    with Reporter() as reporter:
        assert (
            generate(session, str(store.lake), reporter=reporter, stop=Stop()).status == "finished"
        )
    list(refresh.everything(store))
    seen = set()
    for name in store.stored_tables():
        table, rows = all_tables()[name], store.read(name)
        if name in WITH_ENERGY and rows.height:
            seen.add(name)
            for column in energy_columns(table):
                assert rows[column].null_count() == rows.height, f"{name}.{column}"
            assert rows["energy_unknown_reason"].null_count() == 0, name
        for axis in {"cost_axis", "metric"} & set(rows.columns):
            energy = rows.filter(pl.col(axis).str.contains("energy"))
            numbers = [
                c
                for c in (
                    "cost",
                    "cost_low",
                    "cost_high",
                    "cost_of_pass",
                    "attempt_cost",
                    "hypervolume",
                    "value",
                )
                if c in rows.columns
            ]
            assert all(energy[c].null_count() == energy.height for c in numbers), (
                f"{name}: {energy}"
            )
    assert {
        "core_samples",
        "core_sessions",
        "core_energy_windows",
        "out_strategy_outcomes",
        "out_strategy_problems",
    } <= seen
    assert {"out_intelligence_per_watt", "out_request_efficiency", "out_point_summary"} <= seen

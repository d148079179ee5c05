"""docs/extending/power-source.md, followed to the letter, up to the published tables."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
import sessions

from isocost.build import refresh
from isocost.capabilities import POWER_SOURCES
from isocost.errors import IsocostError
from isocost.payload import session as payload
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.store import Store
from isocost.sweep import sweep_from_text
from isocost.telemetry import open_source, power_sources, thresholds

PAGE = "power-source.md"
SWEEP = """
sweep: s
models: {name: a, path: pa, dtype: float32}
engine: {engine: openai, options: {base_url: "http://a/v1"}}
tasks: {name: t, source: inline, dataset: d, n_problems: 1, verifier: exact}
prompts: {name: direct, template: "{question}"}
grid: {temperature: 0.5, max_tokens: 16}
samples_per_problem: 4
"""


@pytest.fixture
def meter(tmp_path: Path) -> Path:
    for number, name in enumerate(("coretemp", "power_meter")):
        (tmp_path / "hwmon" / f"hwmon{number}").mkdir(parents=True)
        (tmp_path / "hwmon" / f"hwmon{number}" / "name").write_text(name + "\n")
    (tmp_path / "hwmon" / "hwmon1" / "power1_average").write_text("250000000\n")
    return tmp_path / "hwmon"


def test_a_sweep_may_name_it_from_then_on(add, blocks):
    (line,) = blocks(PAGE, "yaml")
    with pytest.raises(IsocostError, match="no power source is called 'mainboard'"):
        sweep_from_text(SWEEP + line)
    add(PAGE, POWER_SOURCES)
    assert sweep_from_text(SWEEP + line).bank.telemetry == "mainboard"
    assert power_sources()[-1].name != "mainboard" or power_sources()[-1].priority is None


def test_without_its_meter_it_says_why_and_auto_goes_on(add, monkeypatch, tmp_path):
    module = add(PAGE, POWER_SOURCES)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    with pytest.raises(IsocostError, match="mainboard cannot measure here: no sensor under"):
        open_source("mainboard")
    assert "mainboard" not in (open_source("auto").unknown_reason or "")  # it has no priority


@pytest.mark.slow
def test_its_joules_and_its_name_are_in_the_published_tables(add, meter, tmp_path, monkeypatch):
    module = add(PAGE, POWER_SOURCES)
    monkeypatch.setattr(module, "ROOT", meter)
    for name, seconds in (("IDLE_S", 0.1), ("SAMPLING_PERIOD_S", 0.02)):
        monkeypatch.setattr(payload, name, seconds)
    monkeypatch.setattr(thresholds, "MIN_WINDOW_POWER_S", 0.1)
    recorded = tmp_path / "recorded"
    shape = {"problems": 2, "samples": 2, "prompts": ("direct",)}
    sessions.record(
        sessions.session(session_id="recorded-0123456789", **shape), recorded, seconds=0.2
    )
    session = sessions.session(options={"bank": str(recorded)}, **shape).model_copy(
        update={"telemetry": "mainboard"}
    )
    store = Store(tmp_path / "data")
    with Reporter() as reporter:
        payload.generate(session, str(store.lake), reporter=reporter, stop=Stop())
    refresh.curate_session(store, session.session_id)
    refresh.derive(store, "strategies")
    refresh.publish_warehouse(store)
    with duckdb.connect(str(store.root / "warehouse.duckdb"), read_only=True) as warehouse:
        found = warehouse.execute(
            "SELECT energy_source, energy_j / window_s FROM core_energy_windows"
            " WHERE window_kind = 'measured'"
        ).fetchall()
        methods = warehouse.execute("SELECT DISTINCT energy_method FROM core_samples").fetchall()
        outcomes = warehouse.execute(
            "SELECT DISTINCT energy_method FROM out_strategy_outcomes"
            " WHERE energy_j_per_problem IS NOT NULL"
        ).fetchall()
    assert found == [("mainboard", pytest.approx(250.0))]
    assert methods == outcomes == [("mainboard_integral/output_token_share",)]

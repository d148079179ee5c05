"""Joules of a power source through the real payload to the tables people read.

Every rule, and nothing lost on the way. The source is AMD SMI with a stand-in for the driver.
"""

from __future__ import annotations

import itertools
import sys

import fake_amdsmi
import polars as pl
import pytest
import sessions

from isocost.bank.reader import read_raw
from isocost.build import refresh
from isocost.costs import load_book
from isocost.payload import session as payload
from isocost.store import Store
from isocost.tables.costs.costs import build_cost_of_pass
from isocost.tables.costs.efficiency import build_intelligence_per_watt, build_request_efficiency
from isocost.tables.energy import windows as energy_windows
from isocost.tables.outcomes.outcomes import build_outcomes

RULES = ["model_share", "output_token_share", "time_share"]


@pytest.fixture
def metered(tmp_path, run, monkeypatch):
    """Every table of one session of 32 samples, replayed beside a counter that gains 4 to 7 J a
    reading.
    """
    joules = (5.5 * i + 1.5 * (i % 2) for i in itertools.count())
    gpu = fake_amdsmi.Gpu(
        "amd-t",
        power={"current_socket_power": "N/A", "average_socket_power": "N/A"},
        energy=lambda: {"energy_accumulator": round(next(joules) * 1e3), "counter_resolution": 1e3},
    )
    driver = fake_amdsmi.module(gpu)
    monkeypatch.setitem(sys.modules, "amdsmi", driver)
    monkeypatch.setattr(payload, "IDLE_S", 0.1)
    monkeypatch.setattr(energy_windows, "MIN_WINDOW_COUNTER_S", 0.15)
    monkeypatch.setattr(payload, "SAMPLING_PERIOD_S", 0.02)
    sessions.record(
        sessions.session(session_id="recorded-0123456789", samples=4),
        tmp_path / "recorded",
        seconds=0.2,
    )
    # A replay computes nothing: only who names a source has power read beside it.
    session = sessions.session(
        samples=4, warmup_requests=2, options={"bank": str(tmp_path / "recorded")}
    ).model_copy(update={"telemetry": "amdsmi"})
    store = Store(tmp_path)
    assert run(session).status == "finished" and driver.open_count == 0
    refresh.curate_session(store, session.session_id)
    tables = {name: store.read(name) for name in store.stored_tables()}
    tables["out_strategy_outcomes"], _ = build_outcomes(tables["core_samples"])
    samples, runs, points = (tables[f"core_{name}"] for name in ("samples", "sessions", "points"))
    tables |= {
        "out_cost_of_pass": build_cost_of_pass(samples),
        "out_intelligence_per_watt": build_intelligence_per_watt(
            samples, tables["core_energy_attribution"]
        ),
        "out_request_efficiency": build_request_efficiency(samples, runs, points, load_book()),
    }
    return tables | {
        name: read_raw(store.lake, name) for name in ("raw_telemetry", "raw_generations")
    }


@pytest.mark.slow
def test_every_joule_of_a_power_source_reaches_the_tables(metered):
    counter = metered["raw_telemetry"].sort("monotonic_s")
    window = metered["core_energy_windows"].filter(window_kind="measured").row(0, named=True)
    assert window["energy_source"] == "amdsmi" and window["energy_measure"] == "counter"
    inside = counter.filter(pl.col("monotonic_s").is_between(window["start_s"], window["stop_s"]))[
        "energy_counter_j"
    ]
    assert (
        0 <= window["energy_j"] - (inside[-1] - inside[0]) < 2 * 7
    )  # all but the two edges, which are interpolated

    shares, samples = metered["core_energy_attribution"], metered["core_samples"]
    assert (
        shares["attribution"].unique().sort().to_list() == RULES
        and shares["energy_j"].null_count() == 0
    )
    for rule in RULES:
        mine = shares.filter(attribution=rule)
        assert mine.height == 32 and mine["energy_j"].sum() == pytest.approx(
            window["energy_j"], rel=1e-9
        )
        assert mine["energy_method"].unique().to_list() == [f"amdsmi_counter/{rule}"]
    default = samples.join(shares.filter("is_default"), on="sample_id", suffix="_call")
    assert (
        default.height == 32 and (default["energy_j"] - default["energy_j_call"]).abs().max() < 1e-9
    )
    assert samples["energy_method"].unique().to_list() == ["amdsmi_counter/output_token_share"]
    assert metered["core_sessions"]["energy_j"].to_list() == [pytest.approx(window["energy_j"])]

    watt = metered["out_intelligence_per_watt"]
    assert watt.height == 2 * 3 and watt["energy_unknown_reason"].null_count() == 6
    for basis in (f"amdsmi_counter/{rule}" for rule in RULES):
        rows = watt.filter(energy_basis=basis)
        per_correct = (
            rows["energy_j_per_correct"] * rows["accuracy_of_samples"] * rows["samples_measured"]
        ).sum()
        assert per_correct == pytest.approx(
            window["energy_j"], rel=1e-9
        )  # both points together spent the window
    outcomes = metered["out_strategy_outcomes"].filter(strategy="pass_at_k", budget=4.0)
    assert 4 * outcomes["energy_j_per_problem"].sum() == pytest.approx(window["energy_j"], rel=1e-9)
    assert outcomes["energy_method"].unique().to_list() == ["amdsmi_counter/output_token_share"]
    cost = metered["out_cost_of_pass"].filter(cost_axis="energy_j", estimator="plug_in")
    assert (
        cost["cost_per_correct"].null_count() == 0
        and cost["energy_method"].unique().to_list() == outcomes["energy_method"].unique().to_list()
    )
    efficiency = metered["out_request_efficiency"]
    assert 16 * efficiency["energy_j_per_sample"].sum() == pytest.approx(
        window["energy_j"], rel=1e-9
    )

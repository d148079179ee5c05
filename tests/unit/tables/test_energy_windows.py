"""From raw calls and power samples to energy windows and attributed joules."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from isocost.costs import EnergyModel, share_by_time
from isocost.costs.attribution import SHARES, decode_positions
from isocost.schema.frames import conform, empty
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from isocost.tables.energy.attribution import build_energy_attribution
from isocost.tables.energy.windows import (
    _done,
    build_energy_windows,
    idle_stretches,
    source_reasons,
)


def frame(rows, name):
    return conform(pl.DataFrame(rows, schema=polars_schema(table(name)), orient="row"), name)


def calls(n=60, batch=8, spacing=1.0):
    """One warm-up call, then ``n`` calls of 11 tokens, a new one every ``spacing`` s, each
    ``batch`` x spacing long.
    """
    rows = []
    for i in range(-1, n):
        start = 100.0 + (i * spacing if i >= 0 else -20.0)
        rows.append(
            {
                "session_id": "s", "run_id": "r", "attempt": 1, "call_id": f"c{i + 1:03}", "sample_id": f"c{i + 1:03}", "point_id": "p",
                "problem_id": f"q{i + 1}", "sample_index": 0, "call_index": 0, "role": "solve", "task": "t", "model_variant": "m",
                "prompt_name": "p", "prompt_hash": "h", "finish_reason": "stop", "prompt_tokens": 50 + i % 3, "output_tokens": 11,
                "scheduled_s": start, "first_token_s": start + 0.5, "last_token_s": start + batch * spacing, "is_warmup": i < 0,
            }
        )  # fmt: skip
    return frame(rows, "raw_generations")


def telemetry(power=lambda t: 300.0, start=70.0, stop=200.0, **columns):
    times = np.arange(start, stop, 0.1)
    watts = np.array([power(t) for t in times])
    counter = np.concatenate(([0.0], np.cumsum((watts[1:] + watts[:-1]) / 2 * 0.1)))
    rows = [
        {
            "session_id": "s",
            "run_id": "r",
            "device_id": "GPU-a",
            "monotonic_s": t,
            "power_w": w,
            "energy_counter_j": c,
            "source": "nvml",
        }
        | columns
        for t, w, c in zip(times.tolist(), watts.tolist(), counter.tolist(), strict=True)
    ]
    return frame(rows, "raw_telemetry")


def test_measured_and_steady_windows():
    idle_low = lambda t: 70.0 if t < 82 else 300.0  # noqa: E731
    built = build_energy_windows(
        calls(), telemetry(idle_low), max_num_seqs={"s": 8}, idle={("s", "r"): (70.0, 81.0)}
    )
    measured, steady = built.sort("window_kind").rows(named=True)
    assert (measured["start_s"], measured["stop_s"]) == (100.0, 167.0) and measured[
        "requests_warmup"
    ] == 1
    assert measured["energy_j"] == pytest.approx(300 * 67) and measured[
        "energy_net_j"
    ] == pytest.approx(230 * 67)
    assert measured["energy_measure"] == "counter" and measured[
        "counter_to_integral_ratio"
    ] == pytest.approx(1)
    assert measured["output_tokens_in_window"] == 660 and measured[
        "energy_j_per_output_token"
    ] == pytest.approx(300 * 67 / 660)
    assert (steady["start_s"], steady["stop_s"]) == (107.5, 158.0) and steady["requests_drain"] == 9
    assert steady["energy_j_per_output_token"] == pytest.approx(
        300 * 50.5 / steady["output_tokens_in_window"]
    )
    assert steady["is_energy_valid"] and steady["power_mean_w"] == pytest.approx(300)


def test_idle_stretches_come_from_the_manifests():
    def run(name, **telemetry):
        return SimpleNamespace(
            session_id="s", run_id=name, info={"telemetry": telemetry} if telemetry else {}
        )

    runs = [run("a", idle_s=[1.0, 12.0]), run("b", source="none"), run("c")]
    assert idle_stretches(runs) == {("s", "a"): (1.0, 12.0)}
    assert source_reasons(
        [run("a", unknown_reason="no driver"), run("b", unknown_reason=None), run("c")]
    ) == {("s", "a"): "no driver"}


def test_without_power_the_windows_stand_and_energy_is_null():
    built = build_energy_windows(calls(), empty("raw_telemetry"), max_num_seqs={"s": 8})
    assert (
        built.height == 2
        and built["energy_j"].null_count() == 2
        and built["energy_j_per_output_token"].null_count() == 2
    )
    assert (
        built["energy_source"].to_list() == ["none"] * 2
        and built["energy_unknown_reason"][0] == "no power was sampled"
    )
    reported = build_energy_windows(
        calls(), empty("raw_telemetry"), reasons={("s", "r"): "no driver"}
    )
    assert reported["energy_unknown_reason"].to_list() == ["no driver"]
    measured = build_energy_windows(
        calls(), telemetry(stop=150.0), reasons={("s", "r"): "no driver"}
    )
    assert "do not cover" in measured["energy_unknown_reason"][0]
    assert (
        built["invalid_reasons"].to_list() == [["no_power_source"]] * 2
        and built["output_tokens_per_s"].null_count() == 0
    )


def test_invalid_energy_is_flagged_and_not_used():
    hot = build_energy_windows(calls(), telemetry(throttle_reasons=["hw_thermal_slowdown"]))
    assert hot["energy_j"].to_list() == [None] and hot["invalid_reasons"].to_list() == [
        ["throttled"]
    ]
    assert hot["counter_j"][0] == pytest.approx(300 * 67)  # kept for inspection
    assert build_energy_windows(calls(0), telemetry()).height == 0


def attributed(raw, power):
    return build_energy_attribution(raw, power, build_energy_windows(raw, power))


def by_rule(rows, rule):
    return rows.filter(attribution=rule).sort("call_id")


def test_attributed_joules_add_up_to_the_window_by_every_rule():
    power = telemetry(lambda t: 200 + 3 * (t % 17))
    rows, window = (
        attributed(calls(), power),
        build_energy_windows(calls(), power).row(0, named=True),
    )
    assert (
        rows.height == 3 * 60 and "c000" not in rows["call_id"].to_list()
    )  # warm-up is not charged
    for rule in SHARES:
        mine = by_rule(rows, rule)
        assert mine["energy_j"].sum() == pytest.approx(window["energy_j"], rel=1e-9)
        assert (
            mine["energy_method"].unique().to_list() == [f"nvml_counter/{rule}"]
            and mine["energy_unknown_reason"].null_count() == 60
        )
    assert rows.filter("is_default")["attribution"].unique().to_list() == ["output_token_share"]


def test_time_share_follows_power():
    """Twice the power in the second half: later calls pay about twice as much."""
    rows = by_rule(
        attributed(calls(), telemetry(lambda t: 100.0 if t < 133.5 else 200.0)), "time_share"
    )
    early, late = (
        rows["energy_j"][10:20].mean(),
        rows["energy_j"][40:50].mean(),
    )  # eight active throughout in both
    assert late / early == pytest.approx(2, rel=1e-6)


@pytest.mark.slow
def test_the_fitted_model_charges_what_the_load_drew():
    """Power that follows the law exactly.

    80 W, and joules for every token prefilled, decoded and looked back at.
    """
    rng = np.random.default_rng(1)
    raw = calls(40).with_columns(
        pl.Series("prompt_tokens", rng.integers(20, 400, 41)),
        pl.Series("output_tokens", rng.integers(5, 60, 41)),
        (pl.col("scheduled_s") + pl.Series(rng.uniform(0.5, 4.0, 41))).alias("first_token_s"),
    )
    raw = raw.with_columns(
        (pl.col("first_token_s") + pl.Series(rng.uniform(0.5, 9.0, 41))).alias("last_token_s")
    )
    truth, work = EnergyModel(0.2, 1.5, 2e-3, 80.0, 0.0, 1), raw.filter(~pl.col("is_warmup"))
    times = np.arange(70.0, 200.0, 0.05)
    done = np.array([_done(work, t) for t in times])
    joules = done @ [
        truth.joules_per_prompt_token,
        truth.joules_per_output_token,
        truth.joules_per_attended_position,
    ] + 80.0 * (times - 70)
    power = frame(
        [
            {
                "session_id": "s",
                "run_id": "r",
                "device_id": "G",
                "monotonic_s": t,
                "energy_counter_j": j,
                "source": "trace",
            }
            for t, j in zip(times.tolist(), joules.tolist(), strict=True)
        ],
        "raw_telemetry",
    )
    window = build_energy_windows(raw, power).row(0, named=True)
    assert (
        window["fit_unknown_reason"] is None
        and window["fit_error_ratio"] < 0.02
        and window["fit_slices"] >= 40
    )
    assert window["fitted_static_w"] == pytest.approx(80, rel=0.05) and window[
        "fitted_j_per_output_token"
    ] == pytest.approx(1.5, rel=0.05)
    assert window["fitted_j_per_prompt_token"] == pytest.approx(0.2, rel=0.05)
    mine = by_rule(attributed(raw, power), "model_share")
    prompt, output = (
        work.sort("call_id")[name].to_numpy() for name in ("prompt_tokens", "output_tokens")
    )
    weights = truth.weights(prompt, output, decode_positions(prompt, output))
    start, end = (work.sort("call_id")[name].to_numpy() for name in ("scheduled_s", "last_token_s"))
    edges = np.array([start.min(), end.max()])
    weights += share_by_time(start, end, edges, 80 * (edges - edges[0]), 80 * (edges[1] - edges[0]))
    np.testing.assert_allclose(
        mine["energy_j"], window["energy_j"] * weights / weights.sum(), rtol=0.02
    )


def test_what_a_rule_cannot_charge_is_null_with_its_reason():
    power = telemetry(stop=120.0)
    short = attributed(calls(6), power)  # 13 s from the first scheduling to the last token
    assert short.filter(pl.col("energy_j").is_null()).is_empty()
    brief = attributed(
        calls(6, batch=1, spacing=0.9), power
    )  # 5.4 s: fewer than eight slices of a second
    assert "too short to fit" in by_rule(brief, "model_share")["energy_unknown_reason"][0]
    assert by_rule(brief, "time_share")["energy_j"].null_count() == 0
    silent = calls(20).with_columns(pl.lit(0, pl.Int64).alias("output_tokens"))
    assert (
        "positive weight"
        in by_rule(attributed(silent, telemetry()), "output_token_share")["energy_unknown_reason"][
            0
        ]
    )
    one = pl.col("call_id") == "c005"
    broken = calls(20).with_columns(pl.when(~one).then("first_token_s").alias("first_token_s"))
    rows, window = (
        attributed(broken, telemetry()),
        build_energy_windows(broken, telemetry())["energy_j"][0],
    )
    assert by_rule(rows, "time_share").filter(one)["energy_unknown_reason"].to_list() == [
        "its times are not known"
    ]
    for rule in SHARES:
        assert by_rule(rows, rule)["energy_j"].sum() == pytest.approx(window, rel=1e-9)


def test_unknown_energy_has_no_rows_and_its_window_says_why():
    assert (
        attributed(calls(), empty("raw_telemetry")).height
        == attributed(calls(0), telemetry()).height
        == 0
    )
    window = build_energy_windows(calls(), empty("raw_telemetry")).row(0, named=True)
    assert window["fit_unknown_reason"] == window["energy_unknown_reason"] == "no power was sampled"

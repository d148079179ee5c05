"""The derived cost tables.

Against the formulas by hand, and NULL with a reason where energy is unknown.
"""

import json

import numpy as np
import polars as pl
import pytest

from isocost.costs import (
    cost_of_pass,
    helm_idealized_runtime,
    intelligence,
    load_book,
    request_seconds,
)
from isocost.schema.frames import conform
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from isocost.tables.costs.costs import build_cards, build_cost_of_pass
from isocost.tables.costs.efficiency import build_intelligence_per_watt, build_request_efficiency
from isocost.tables.costs.runtimes import build_runtime_models
from isocost.tables.costs.total_ratios import draws_of, mean_interval, ratio_interval

SAMPLE = {
    "sample_index": 0, "session_id": "s", "run_id": "r", "attempt": 1, "task": "t", "prompt": "p", "source": "generated",
    "is_valid": True, "invalid_reasons": [], "parse_status": "parsed", "n_calls": 1, "prompt_tokens": 100, "output_tokens": 50,
    "queue_s": 0.5, "prefill_s": 0.1, "decode_s": 0.9, "latency_s": 1.0, "flops": 2e9, "energy_j": None,
    "energy_unknown_reason": "no power was sampled",
}  # fmt: skip
SESSION = {
    "session_id": "s", "run_id": "r", "attempt": 1, "source": "generated", "status": "finished", "is_valid": True, "invalid_reasons": [],
    "rows_total": 1, "rows_warmup": 0, "rows_superseded": 0, "samples_total": 1, "samples_valid": 1, "samples_invalid": 0,
    "samples_truncated": 0, "invalid_counts": "{}", "window_s": 10.0, "decoding_s": 9.0,
    "decode_batch_mean": 4.8, "device_count": 1, "output_tokens": 1000, "device": "NVIDIA H100 80GB HBM3",
}  # fmt: skip
POINT = {
    "session_id": "s", "source": "generated", "method": "sample", "task": "t", "model_variant": "m", "samples_banked": 1,
    "samples_valid": 1, "model_card": "qwen3-0.6b", "dtype": "bfloat16",
}  # fmt: skip


def frame(rows, name):
    return conform(pl.DataFrame(rows, schema=polars_schema(table(name)), orient="row"), name)


def samples(grid, **each):
    """``grid``.

    Point -> problem -> list of correct; ``each``: column -> function of (point, problem, index).
    """
    rows = []
    for point, problems in grid.items():
        for problem, outcomes in problems.items():
            for index, correct in enumerate(outcomes):
                row = SAMPLE | {
                    "sample_id": f"{point}:{problem}:{index}",
                    "point_id": point,
                    "problem_id": problem,
                    "sample_index": index,
                }
                row |= {"correct": correct, "model_variant": f"model-{point}"}
                rows.append(row | {k: f(point, problem, index) for k, f in each.items()})
    return frame(rows, "core_samples")


GRID = {
    "a": {"p1": [1] * 6 + [0] * 2, "p2": [1] + [0] * 7, "p3": [0] * 8},
    "b": {"p1": [1] * 8, "p2": [1] * 4 + [0] * 4, "p3": [0] * 8},
}
GRID = {
    point: {problem: [bool(x) for x in xs] for problem, xs in problems.items()}
    for point, problems in GRID.items()
}
DOLLARS = {
    ("a", "p1"): 0.002,
    ("a", "p2"): 0.002,
    ("a", "p3"): 0.002,
    ("b", "p1"): 0.02,
    ("b", "p2"): 0.03,
    ("b", "p3"): 0.05,
}
METERED = {
    "energy_j": lambda p, q, i: 10.0 + i + (5 if p == "b" else 0),
    "energy_method": lambda *_: "nvml_counter/output_token_share",
    "energy_unknown_reason": lambda *_: None,
}


def test_cards_become_tables():
    cards = build_cards()
    models = cards["core_models"].rows_by_key("model_card", named=True, unique=True)
    assert (
        models["qwen3-8b"]["parameters_total"] == 8_190_735_360
        and models["llama-3-8b"]["kv_bytes_per_token"] == 131072
    )
    devices = cards["core_devices"].rows_by_key("device_card", named=True, unique=True)
    assert (
        devices["cpu"]["bandwidth_bytes_per_s"] is None
        and devices["cpu"]["intensity_bfloat16"] is None
    )
    assert devices["b200-sxm"]["intensity_bfloat16"] == 281.25
    assert (
        cards["core_prices"].filter(price_card="gpt-4o-mini")["output_usd_per_million_tokens"][0]
        == 0.6
    )


def test_cost_of_pass_worked_example_in_dollars(monkeypatch):
    """Two models, three problems, v_human 0.5."""
    book = load_book()
    baseline = book.baselines["gsm8k"].model_copy(update={"task": "t", "usd_per_problem": 0.5})
    book.baselines["t"] = baseline
    rows = build_cost_of_pass(samples(GRID, cost_usd=lambda p, q, _: DOLLARS[p, q]), book)
    part = rows.filter(cost_axis="cost_usd", estimator="plug_in").rows_by_key(
        "point_id", named=True, unique=True
    )
    assert part["a"]["frontier_value"] == pytest.approx(0.17288889, abs=5e-9)
    assert (
        part["a"]["essentialness_ratio"] == pytest.approx(0.10574713, abs=5e-9)
        and part["b"]["essentialness_ratio"] == 0
    )
    assert part["a"]["human_baseline_usd"] == 0.5 and part["a"]["gain_usd"] == pytest.approx(
        0.5 - 0.17288889, abs=5e-9
    )
    assert (
        part["a"]["cost_of_pass"] is None and part["a"]["problems_unsolved_by_all"] == 1
    )  # never solved p3: infinite, not a number
    assert part["a"]["frontier_share_ratio"] == 1.0 and part["b"]["problems_solved"] == 2
    assert (
        part["a"]["cost_per_correct"] == pytest.approx(0.002 * 24 / 7)
        and part["a"]["unknown_reason"] is None
    )
    smoothed = rows.filter(cost_axis="cost_usd", estimator="smoothed", point_id="a").row(
        0, named=True
    )
    assert smoothed["cost_of_pass"] == pytest.approx(
        np.mean([0.002 * 9 / 7, 0.002 * 9 / 2, 0.002 * 9])
    )


def test_cost_of_pass_without_a_human_says_why_it_is_null():
    rows = build_cost_of_pass(samples(GRID))
    part = rows.filter(cost_axis="output_tokens", estimator="plug_in", point_id="b").row(
        0, named=True
    )
    assert part["frontier_value"] is None and "no human baseline" in part["unknown_reason"]
    expected = cost_of_pass([[50, 50], [50, 50]], [[0.75, 0.125], [1, 0.5]])
    assert (
        part["frontier_value_solved"] == pytest.approx(expected.value)
        and part["attempt_cost"] == 50
    )
    assert rows.filter(cost_axis="cost_usd")["unknown_reason"].unique().to_list() == [
        "the cost of some samples is unknown"
    ]


def test_only_problems_that_all_points_attempted():
    grid = {"a": {"p1": [True], "p2": [True]}, "b": {"p2": [True], "p9": [True]}}
    rows = build_cost_of_pass(samples(grid)).filter(cost_axis="latency_s", estimator="plug_in")
    assert rows["n_problems"].to_list() == [1, 1] and rows["frontier_value"].to_list() == [1.0, 1.0]
    apart = build_cost_of_pass(samples({"a": {"p1": [True]}, "b": {"p9": [True]}})).filter(
        cost_axis="latency_s", estimator="plug_in"
    )
    assert (
        apart["frontier_value"].null_count() == 2
        and "no problem in common" in apart["unknown_reason"][0]
    )


def test_unlike_joules_share_no_frontier():
    by_point = METERED | {
        "energy_method": lambda p, *_: (
            f"{'nvml' if p == 'a' else 'rapl'}_counter/output_token_share"
        )
    }
    rows = build_cost_of_pass(samples(GRID, **by_point)).filter(cost_axis="energy_j")
    assert (
        rows["cost_of_pass"].null_count() == rows.height == 4
        and "different methods" in rows["unknown_reason"][0]
    )
    alike = build_cost_of_pass(samples(GRID, **METERED)).filter(
        cost_axis="energy_j", estimator="smoothed"
    )
    assert (
        alike["energy_method"].unique().to_list() == ["nvml_counter/output_token_share"]
        and alike["cost_of_pass"].null_count() == 0
    )


def points_of(grid):
    return frame([POINT | {"point_id": p} for p in grid], "core_points")


def build_cost_tables(rows, sessions, points, book=None):
    cards = book or load_book()
    return {
        "out_runtime_models": build_runtime_models(rows, sessions, cards),
        "out_cost_of_pass": build_cost_of_pass(rows, cards),
        "out_intelligence_per_watt": build_intelligence_per_watt(rows, None),
        "out_request_efficiency": build_request_efficiency(rows, sessions, points, cards),
    }


def all_tables(rows, session=SESSION):
    return build_cost_tables(
        rows, frame([session], "core_sessions"), points_of(sorted(set(rows["point_id"])))
    )


def test_intelligence_per_watt_by_hand():
    rows = samples(GRID, **METERED, latency_s=lambda p, q, i: 1.0 + i / 10)
    found = all_tables(rows)["out_intelligence_per_watt"].filter(point_id="b").row(0, named=True)
    part = rows.filter(point_id="b")
    expected = intelligence(part["correct"].cast(pl.Float64), part["energy_j"], part["latency_s"])
    assert found["intelligence_per_joule"] == pytest.approx(expected.per_joule)
    assert (
        found["intelligence_per_watt_mean"]
        == pytest.approx(expected.per_watt_mean)
        != found["intelligence_per_watt_pooled"]
    )
    assert found["energy_j_per_correct"] == pytest.approx(part["energy_j"].sum() / 12)
    assert found["coverage_ratio"] == pytest.approx(
        (1 + 0.5 + 0) / 3
    )  # the best point of each problem


def test_methods_are_never_pooled_and_unknown_has_its_own_row():
    mixed = METERED | {
        "energy_method": lambda p, q, i: "nvml_counter/x" if i % 2 else "nvml_integral/x"
    }
    mixed["energy_j"] = lambda p, q, i: None if i == 7 else 10.0
    mixed["energy_unknown_reason"] = lambda p, q, i: "sampling broke" if i == 7 else None
    rows = all_tables(samples(GRID, **mixed))["out_intelligence_per_watt"].filter(point_id="a")
    assert rows["energy_basis"].to_list() == ["none", "nvml_counter/x", "nvml_integral/x"]
    assert rows["samples_measured"].to_list() == [3, 9, 12]
    assert rows["energy_unknown_reason"].to_list() == ["sampling broke", None, None]
    efficiency = all_tables(samples(GRID, **mixed))["out_request_efficiency"]
    assert efficiency["energy_j_per_sample"].null_count() == 2


def test_without_a_power_source_every_table_is_built_and_energy_is_null_with_its_reason():
    tables = all_tables(samples(GRID))
    watt = tables["out_intelligence_per_watt"]
    values = [c for c in watt.columns if c.startswith(("energy_j", "query_power", "intelligence"))]
    assert watt.height == 2 and all(watt[c].null_count() == 2 for c in values)
    assert watt["energy_unknown_reason"].unique().to_list() == ["no power was sampled"]
    requests = tables["out_request_efficiency"]
    assert requests["energy_j_per_sample"].null_count() == 2 and requests[
        "energy_unknown_reason"
    ].unique().to_list() == ["no power was sampled"]
    costs = tables["out_cost_of_pass"].filter(cost_axis="energy_j")
    assert costs["cost_of_pass"].null_count() == costs.height == 4 and costs[
        "unknown_reason"
    ].unique().to_list() == ["no power was sampled"]


def test_nothing_correct_nothing_divided():
    tables = all_tables(samples({"a": {"p1": [False, False]}}, **METERED))
    assert tables["out_intelligence_per_watt"]["energy_j_per_correct"].to_list() == [None]
    row = tables["out_request_efficiency"].row(0, named=True)
    assert row["correct_per_s"] == 0 and row["engine_s_per_correct"] is None


def test_request_efficiency_by_hand():
    rows = samples(GRID, output_tokens=lambda p, q, i: 40 if p == "a" else 160)
    a, b = all_tables(rows)["out_request_efficiency"].sort("point_id").rows(named=True)
    assert (a["requests_per_s"], b["requests_per_s"]) == (
        2.5,
        0.625,
    )  # 100 tokens/s over the mean length
    assert a["correct_per_s"] == pytest.approx(2.5 * 7 / 24) and a[
        "engine_s_per_correct"
    ] == pytest.approx(24 / 7 / 2.5)
    assert a["first_token_p50_s"] == pytest.approx(0.6) and a["latency_p95_s"] == 1.0
    assert a["output_token_mean_s"] == pytest.approx(0.9 / 39) and a[
        "flops_per_s"
    ] == pytest.approx(2.5 * 2e9)
    assert (
        a["mfu_ratio"] == pytest.approx(2.5 * 2e9 / 989.5e12)
        and 0 < a["roofline_latency_ratio"] < 1
        and a["unknown_reason"] is None
    )
    device = load_book().device("h100-sxm")
    assert a["energy_cap_j_per_sample"] == pytest.approx(700.0 / 2.5)
    bound = request_seconds(load_book().model("qwen3-0.6b"), device, 100, 40)
    assert a["roofline_s_per_sample"] == pytest.approx(bound) and a[
        "roofline_latency_ratio"
    ] == pytest.approx(bound / 1.0)
    assert (
        a["price_card"] == "h100-sxm-on-demand"
        and a["device_s_per_correct"] == a["engine_s_per_correct"]
    )
    assert a["device_usd_per_correct"] == pytest.approx(a["engine_s_per_correct"] * 2.0 / 3600)
    assert a["device_usd_per_sample"] == pytest.approx(2.0 / 3600 / 2.5)


def test_bandwidth_in_use_by_the_mean_batch():
    """48 samples of 0.9 s decoding in 9 of 10 s.

    4.8 sequences at once; each step reads the weights, each token its context.
    """
    row = all_tables(samples(GRID))["out_request_efficiency"].row(0, named=True)
    model, device = load_book().model("qwen3-0.6b"), load_book().device("h100-sxm")
    assert row["decode_batch_mean"] == pytest.approx(4.8)
    steps, weights = 48 * 49 / 4.8, 2 * model.parameters_total
    read = 48 * model.kv_bytes_per_token * sum(range(101, 150))
    assert row["mbu_ratio"] == pytest.approx((steps * weights + read) / 9 / device.bandwidth())


def test_two_prices_of_a_device_are_the_readers_call():
    book = load_book()
    book.prices["other"] = book.prices["h100-sxm-on-demand"].model_copy(
        update={"name": "other", "usd_per_device_hour": 3.0}
    )
    rows = samples(GRID)
    built = build_cost_tables(rows, frame([SESSION], "core_sessions"), points_of("ab"), book)[
        "out_request_efficiency"
    ]
    assert built["price_card"].null_count() == built["device_usd_per_correct"].null_count() == 2
    assert built["device_s_per_correct"].null_count() == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"device": "cpu"}, "no dense peak for bfloat16"),
        ({"device": "Abacus 3000"}, "there is no device card"),
        ({"device_count": None}, "number of devices"),
        ({"window_s": None}, "no measured window"),
    ],
)
def test_utilisation_says_why_it_is_unknown(change, reason):
    row = all_tables(samples(GRID), SESSION | change)["out_request_efficiency"].row(0, named=True)
    assert row["mfu_ratio"] is None and reason in row["unknown_reason"]


def test_money_needs_no_model_card():
    rows = samples(GRID, flops=lambda *_: None)
    row = all_tables(rows)["out_request_efficiency"].row(0, named=True)
    assert (
        row["device_usd_per_sample"] > 0
        and row["energy_cap_j_per_sample"] > 0
        and row["mfu_ratio"] is None
    )
    assert row["unknown_reason"] == "FLOPs unknown: no model card is named"


@pytest.mark.slow
def test_the_format_that_the_engine_resolved_has_the_peak():
    book = load_book()
    reported = SESSION | {"resolved_engine": json.dumps({"model": {"dtype": "torch.bfloat16"}})}
    points = points_of("ab").with_columns(dtype=pl.lit("auto"))
    built = build_cost_tables(samples(GRID), frame([reported], "core_sessions"), points, book)[
        "out_request_efficiency"
    ]
    assert (
        built["mfu_ratio"].to_list()
        == all_tables(samples(GRID))["out_request_efficiency"]["mfu_ratio"].to_list()
    )
    unresolved = build_cost_tables(samples(GRID), frame([SESSION], "core_sessions"), points, book)[
        "out_request_efficiency"
    ]
    assert "no dense peak for auto" in unresolved["unknown_reason"][0]


def test_a_device_without_bandwidth_still_has_its_flops():
    book = load_book()
    book.devices["h100-sxm"] = book.devices["h100-sxm"].model_copy(
        update={"bandwidth_bytes_per_s": None}
    )
    built = build_cost_tables(
        samples(GRID), frame([SESSION], "core_sessions"), points_of("ab"), book
    )["out_request_efficiency"]
    row = built.row(0, named=True)
    assert (
        row["mfu_ratio"] > 0 and row["mbu_ratio"] is None and "bandwidth" in row["unknown_reason"]
    )


def test_two_devices_have_two_peaks():
    two = SESSION | {"device_count": 2}
    row, one = (
        all_tables(samples(GRID), s)["out_request_efficiency"].row(0, named=True)
        for s in (two, SESSION)
    )
    assert (
        row["mfu_ratio"] == pytest.approx(one["mfu_ratio"] / 2)
        and row["roofline_latency_ratio"] is None
    )


def test_runtime_models_recover_the_law():
    generator = np.random.default_rng(0)
    p, o = generator.integers(10, 900, 200), generator.integers(1, 80, 200)
    grid = {"a": {f"p{i:03}": [True] for i in range(200)}}
    number = {f"p{i:03}": i for i in range(200)}
    rows = samples(
        grid,
        prompt_tokens=lambda _, q, i: int(p[number[q]]),
        output_tokens=lambda _, q, i: int(o[number[q]]),
        latency_s=lambda _, q, i: 0.3 + 1e-4 * p[number[q]] + 0.02 * (o[number[q]] - 1),
    )
    built = all_tables(rows)["out_runtime_models"]
    for row in built.filter(pl.col("method") != "helm_look_up").rows(named=True):
        assert row["seconds_per_output_token"] == pytest.approx(0.02, rel=1e-3) and row[
            "overhead_s"
        ] == pytest.approx(0.3, rel=1e-2)
        assert (
            row["seconds_per_prompt_token"] == pytest.approx(1e-4, rel=2e-2)
            and row["held_out_error_ratio"] < 1e-3
        )
        assert (
            row["prompt_tokens_min"] == p.min()
            and row["output_tokens_max"] == o.max()
            and row["unknown_reason"] is None
        )
        assert row["device"] == "NVIDIA H100 80GB HBM3"
        assert json.loads(row["curve"])["prompt_tokens"][0] == 0
        mean = np.mean(0.3 + 1e-4 * p + 0.02 * (o - 1))
        assert (
            row["idealized_s_per_sample"] == pytest.approx(mean, rel=1e-2)
            and row["price_card"] == "h100-sxm-on-demand"
        )
        assert row["idealized_device_s_per_sample"] == row["idealized_s_per_sample"]  # one device
        assert row["idealized_usd_per_sample"] == pytest.approx(
            row["idealized_s_per_sample"] * 2.0 / 3600
        )
    helm = built.filter(method="helm_look_up").row(0, named=True)
    curve = json.loads(helm["curve"])
    table = {
        str(int(k)): v for k, v in zip(curve["prompt_tokens"], curve["seconds"], strict=True) if k
    }
    seconds = helm_idealized_runtime(
        {"runtime_per_output_token": 0.02, "runtime_for_prompt_tokens": table}, p, o
    )
    assert (
        helm["idealized_s_per_sample"] == pytest.approx(seconds.mean(), rel=1e-6)
        and helm["overhead_s"] is None
    )
    assert (
        helm["fit_error_ratio"] > 100 * built.filter(method="fitted")["fit_error_ratio"][0]
    )  # the saw-tooth


def test_a_runtime_without_a_price_says_why():
    grid = {"a": {f"p{i}": [True] for i in range(20)}}
    cpu = all_tables(samples(grid), SESSION | {"device": "cpu"})["out_runtime_models"]
    assert (
        cpu["idealized_device_s_per_sample"].null_count() == 0
        and cpu["idealized_usd_per_sample"].null_count() == 3
    )
    assert "sell hours of the device" in cpu["price_unknown_reason"][0]
    nobody = all_tables(samples(grid), SESSION | {"device_count": None})["out_runtime_models"]
    assert (
        "number of devices" in nobody["price_unknown_reason"][0]
        and nobody["idealized_s_per_sample"].null_count() == 0
    )


def test_intervals_of_totals_over_totals():
    """Percentiles by hand.

    Every problem alike has no spread; a problem that nobody solves makes the upper end infinite.
    """
    weights = draws_of(3)
    assert weights.shape == (2000, 3) and draws_of(1) is None
    assert ratio_interval(np.array([2.0, 2.0, 2.0]), np.array([1.0, 1.0, 1.0]), weights) == (
        2.0,
        2.0,
    )
    low, high = ratio_interval(np.array([2.0, 4.0, 6.0]), np.array([2.0, 1.0, 1.0]), weights)
    assert (
        low == 1.0 and high == 6.0
    )  # all three draws the same problem: 1 in 27 each, more than 2.5 %
    assert (
        ratio_interval(np.array([2.0, 4.0, 6.0]), np.array([2.0, 0.0, 0.0]), weights)[1] == np.inf
    )  # 8 in 27
    assert mean_interval(np.array([1.0, np.inf]), draws_of(2)) == (np.inf, np.inf)
    rows = all_tables(samples(GRID, cost_usd=lambda p, q, _: DOLLARS[p, q], **METERED))
    cost = rows["out_cost_of_pass"].filter(cost_axis="cost_usd", estimator="smoothed")
    assert (cost["cost_of_pass_low"] <= cost["cost_of_pass"]).all() and (
        cost["cost_of_pass"] <= cost["cost_of_pass_high"]
    ).all()
    assert (cost["frontier_value_low"] <= cost["frontier_value"]).all() and cost[
        "interval_draws"
    ].unique().to_list() == [2000]
    b = cost.filter(point_id="b").row(
        0, named=True
    )  # a problem without a correct answer may come three times: no upper end
    assert b["cost_per_correct_low"] == pytest.approx(0.02) and b["cost_per_correct_high"] is None
    watt = rows["out_intelligence_per_watt"]
    assert (watt["energy_j_per_correct_low"] <= watt["energy_j_per_correct"]).all()


def test_too_few_samples_have_no_runtime_model():
    rows = all_tables(samples({"a": {"p1": [True] * 4}}))["out_runtime_models"]
    assert (
        rows.height == 3
        and rows["overhead_s"].null_count() == 3
        and "fewer than 10" in rows["unknown_reason"][0]
    )


def test_invalid_samples_do_not_count():
    rows = samples(
        GRID,
        **METERED,
        is_valid=lambda p, q, i: i < 4,
        invalid_reasons=lambda p, q, i: [] if i < 4 else ["engine_error"],
    )
    tables = all_tables(rows)
    assert tables["out_intelligence_per_watt"]["samples_measured"].to_list() == [12, 12]
    assert tables["out_request_efficiency"]["samples_measured"].to_list() == [12, 12]


@pytest.mark.slow
def test_the_order_of_rows_does_not_matter():
    rows = samples(GRID, **METERED, cost_usd=lambda p, q, _: DOLLARS[p, q])
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=3)
    for name, built in all_tables(rows).items():
        assert built.equals(all_tables(shuffled)[name]), name


def test_no_samples_no_rows():
    empty = frame([], "core_samples")
    built = build_cost_tables(empty, frame([SESSION], "core_sessions"), frame([], "core_points"))
    assert {name: f.height for name, f in built.items()} == dict.fromkeys(built, 0)

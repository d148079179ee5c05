"""build_scaling and its neighbours on banks whose truth is known."""

import json

import numpy as np
import polars as pl
import pytest

from isocost.curves import family, fit, fit_many, percentile_interval
from isocost.schema.frames import empty
from isocost.strategies.estimators.coverage import pass_at_k
from isocost.tables.outcomes.outcomes import build_outcomes
from isocost.tables.scaling.anytime import build_effort_frontier, build_token_elasticity
from isocost.tables.scaling.curves import curve_blocks, curve_id
from isocost.tables.scaling.scaling import build_scaling

K = (1, 2, 4, 8, 16, 32)
N_PROBLEMS = 60


def make_frames(strategies, *, n_problems=N_PROBLEMS, seed=0, with_energy=True):
    """Outcome and problem frames of given (strategy, budgets x problems) values.

    100 output tokens a sample, 50 of prompt in all.
    """
    rng = np.random.default_rng(seed)
    tokens = rng.integers(60, 140, n_problems).astype(float)
    outcomes, problems = [], []
    for (point, strategy), values in strategies.items():
        for k, row in zip(K, values, strict=False):
            outcome = f"{point}:{strategy}:{k}"
            cost = {
                "samples_per_problem": np.full(n_problems, float(k)),
                "output_tokens_per_problem": k * tokens,
                "prompt_tokens_per_problem": np.full(n_problems, 50.0),
                "energy_j_per_problem": np.full(n_problems, 3.0 * k)
                if with_energy
                else np.full(n_problems, np.nan),
            }
            names = {
                "outcome_id": outcome,
                "task": "sums",
                "model_variant": "tiny",
                "prompt": "plain",
                "point_id": point,
            }
            outcomes.append(
                {
                    **names,
                    "strategy": strategy,
                    "budget": float(k),
                    "parameters": "{}",
                    **{c: v.mean() for c, v in cost.items()},
                }
            )
            problems += [
                {
                    "outcome_id": outcome,
                    "problem_id": f"p{i:03d}",
                    "accuracy": row[i],
                    **{c: v[i] for c, v in cost.items()},
                }
                for i in range(n_problems)
            ]
    # Unknown costs are NULL in tables.
    return tuple(pl.DataFrame(rows).fill_nan(None) for rows in (outcomes, problems))


@pytest.fixture(scope="module")
def bank():
    rng = np.random.default_rng(1)
    rate = rng.beta(0.6, 2.0, N_PROBLEMS) * (rng.random(N_PROBLEMS) > 0.2)
    counts = rng.binomial(64, rate)
    level = rng.random(N_PROBLEMS)
    rising = 0.7 - 0.45 * np.array(K, dtype=float) ** -0.8
    return make_frames(
        {
            ("pt-a", "pass_at_k"): pass_at_k(64, counts, np.array(K)).T,
            ("pt-a", "majority"): np.clip(rising[:, None] + 0.2 * (level - level.mean()), 0, 1),
            ("pt-b", "majority"): np.tile(rng.random(N_PROBLEMS), (len(K), 1)),
            ("pt-b", "single"): level[None, :],
        }
    )


@pytest.fixture(scope="module")
def built(bank):
    return build_scaling(*bank, draws=60, seed=5)


def test_every_strategy_with_a_budget_is_a_curve_on_every_axis(built):
    fits = built["out_scaling_fits"]
    curves = fits.select("curve_id", "point_id", "strategy", "cost_axis").unique()
    # Tokens of a shared prompt do not grow with k: there is no curve on that axis, whatever
    # rounding makes of the means.
    assert curves.height == 3 * 3
    assert "prompt_tokens_per_problem" not in set(fits["cost_axis"])
    assert "single" not in set(fits["strategy"])
    usual = {"exponentiated_power_law", "log_linear", "saturating_power_law", "sigmoid_log_compute"}
    per_curve = dict(
        fits.group_by("strategy", "cost_axis")
        .agg(pl.col("family").unique().sort())
        .rows_by_key(["strategy", "cost_axis"])
    )
    assert set(per_curve["majority", "samples_per_problem"][0][0]) == usual | {"ttspm_parallel"}
    assert set(per_curve["majority", "output_tokens_per_problem"][0][0]) == usual
    coverage = {"beta_binomial", "zero_inflated_beta_binomial", "ttspm_parallel"}
    assert set(per_curve["pass_at_k", "samples_per_problem"][0][0]) == usual | coverage


def test_a_row_is_the_fit_of_its_points_and_its_interval_the_bootstrap(built):
    axis = "output_tokens_per_problem"
    mine = (
        (pl.col("strategy") == "majority")
        & (pl.col("point_id") == "pt-a")
        & (pl.col("cost_axis") == axis)
    )
    points = (
        built["out_scaling_points"].filter(mine & (pl.col("point_kind") == "measured")).sort("cost")
    )
    row = (
        built["out_scaling_fits"]
        .filter(mine & (pl.col("family") == "saturating_power_law"))
        .row(0, named=True)
    )
    parameters = json.loads(row["parameters"])
    assert row["asymptote"] == parameters["y_inf"] == pytest.approx(0.7, abs=0.01)
    assert row["asymptote_low"] < 0.7 < row["asymptote_high"]
    assert row["trend"] == "rising"
    assert json.loads(row["parameters_low"])["y_inf"] == row["asymptote_low"]
    alone = fit("saturating_power_law", points["cost"], points["accuracy"])
    assert parameters["b"] == pytest.approx(alone.parameters["b"], rel=1e-2)
    assert (points["accuracy_low"] < points["accuracy"]).all()
    assert points["budget"].to_list() == [float(k) for k in K]


def test_the_chosen_family_has_the_smallest_held_out_error(built):
    fits = built["out_scaling_fits"].filter(pl.col("choice_method") == "held_out_extrapolation")
    assert fits["curve_id"].n_unique() == 9
    for _, part in fits.group_by("curve_id"):
        chosen = part.filter("is_chosen")
        assert chosen.height == 1
        assert chosen["family"][0] == chosen["chosen_family"][0]
        assert chosen["held_out_rmse"][0] <= part["held_out_rmse"].min() + 1e-12
    truth = fits.filter(
        (pl.col("strategy") == "majority")
        & (pl.col("point_id") == "pt-a")
        & (pl.col("cost_axis") == "samples_per_problem")
    )
    assert set(truth["chosen_family"]) == {"saturating_power_law"}


def test_a_flat_curve_is_a_result(built):
    flat = built["out_scaling_fits"].filter(
        (pl.col("point_id") == "pt-b") & (pl.col("cost_axis") == "samples_per_problem")
    )
    assert set(flat["status"]) == {"flat"}
    assert set(flat["trend"]) == {"flat"}
    assert flat["gain"].to_list() == [0.0] * flat.height
    assert flat["asymptote"].drop_nulls().n_unique() == 1
    assert flat.filter(pl.col("family") == "ttspm_parallel")["saturation_budget"][0] == 0


def test_targets_agree_with_the_curve_and_say_what_cannot_be_reached(built):
    mine = (
        (pl.col("strategy") == "majority")
        & (pl.col("point_id") == "pt-a")
        & (pl.col("cost_axis") == "samples_per_problem")
    )
    targets = built["out_compute_targets"].filter(mine)
    reached = dict(targets.select("target_accuracy", "cost").iter_rows())
    assert reached[0.6] == pytest.approx((0.45 / 0.1) ** (1 / 0.8), rel=0.05)
    status = dict(targets.select("target_accuracy", "target_status").iter_rows())
    assert (status[0.1], status[0.6], status[0.9]) == ("below_range", "observed", "unreachable")
    assert reached[0.9] is None
    one = targets.filter(pl.col("target_accuracy") == 0.6).row(0, named=True)
    assert one["cost_low"] < one["cost"] < one["cost_high"]
    assert one["reached_ratio"] == 1.0


def test_fitted_points_lie_on_the_curve_and_reach_beyond_it(built):
    points = built["out_scaling_points"].filter(pl.col("point_kind") == "fitted")
    assert points["is_extrapolated"].any()
    assert points.filter(~pl.col("is_extrapolated")).height > 10
    assert points["accuracy"].is_between(0, 1).all()
    row = points.filter(
        (pl.col("strategy") == "pass_at_k") & (pl.col("cost_axis") == "samples_per_problem")
    )
    fitted = (
        built["out_scaling_fits"]
        .join(row.select("curve_id").unique(), on="curve_id")
        .filter("is_chosen")
        .row(0, named=True)
    )
    model = family(fitted["family"])
    values = np.array([[json.loads(fitted["parameters"])[name] for name in model.parameter_names]])
    assert model.predict(values, row["cost"].to_numpy()[None])[0] == pytest.approx(
        row["accuracy"].to_numpy(), abs=1e-9
    )
    assert (row["accuracy_low"] <= row["accuracy"] + 1e-9).all()


def test_anytime_measures_are_those_of_the_measured_points(built):
    mine = (
        (pl.col("strategy") == "majority")
        & (pl.col("point_id") == "pt-a")
        & (pl.col("cost_axis") == "samples_per_problem")
    )
    row = built["out_anytime"].filter(mine).row(0, named=True)
    points = (
        built["out_scaling_points"].filter(mine & (pl.col("point_kind") == "measured")).sort("cost")
    )
    area = np.trapezoid(points["accuracy"], np.log(K)) / np.log(32)
    assert row["anytime_accuracy"] == pytest.approx(area)
    assert row["anytime_accuracy_low"] < area < row["anytime_accuracy_high"]
    assert row["budget_performance"] == points["accuracy"].max()


@pytest.mark.slow
def test_unknown_costs_leave_an_axis_out_and_nothing_else(bank):
    outcomes, problems = (
        frame.with_columns(pl.lit(None, pl.Float64).alias("energy_j_per_problem")) for frame in bank
    )
    fits = build_scaling(outcomes, problems, draws=10, seed=5)["out_scaling_fits"]
    assert set(fits["cost_axis"]) == {"samples_per_problem", "output_tokens_per_problem"}
    partly = problems.with_columns(
        pl.when(~pl.col("outcome_id").str.ends_with(":32"))
        .then(pl.col("samples_per_problem"))
        .alias("energy_j_per_problem")
    )
    some = build_scaling(outcomes, partly, draws=10, seed=5)["out_scaling_fits"].filter(
        pl.col("cost_axis") == "energy_j_per_problem"
    )
    assert set(some["n_excluded"]) == {1}


@pytest.mark.slow
def test_same_input_gives_the_same_frames_in_any_order_of_rows(bank, built):
    outcomes, problems = bank
    again = build_scaling(
        outcomes.sample(fraction=1, shuffle=True, seed=3), problems.reverse(), draws=60, seed=5
    )
    for name, frame in built.items():
        assert frame.equals(again[name]), name
    other = build_scaling(outcomes, problems, draws=60, seed=6)["out_scaling_fits"]
    assert not other["asymptote_low"].equals(built["out_scaling_fits"]["asymptote_low"])


@pytest.mark.slow
def test_draws_started_from_the_fit_find_what_a_grid_of_starts_finds():
    x = np.array(K, dtype=float)
    y = 0.7 - 0.45 * x**-0.8 + np.random.default_rng(2).normal(0, 0.02, (200, len(K)))
    for name in (
        "saturating_power_law",
        "sigmoid_log_compute",
        "zero_inflated_beta_binomial",
        "exponentiated_power_law",
        "ttspm_parallel",
    ):
        centre = fit_many(name, x, y.mean(axis=0)[None])
        warm = fit_many(name, x, y, initial=np.repeat(centre.theta, 200, axis=0), tolerance=1e-9)
        cold = fit_many(name, x, y)
        assert (warm.rss <= cold.rss * (1 + 1e-3) + 1e-9).mean() > 0.97, name


def test_families_that_count_samples_leave_policies_that_stop_early_alone():
    outcomes, problems = make_frames(
        {("pt-a", "adaptive"): np.tile(np.linspace(0.1, 0.6, len(K))[:, None], (1, 4))},
        n_problems=4,
    )
    early = problems.with_columns(pl.col("samples_per_problem") ** 0.7)
    fits = build_scaling(outcomes, early, draws=5)["out_scaling_fits"].filter(
        pl.col("cost_axis") == "samples_per_problem"
    )
    assert set(fits["family"]) == {
        "exponentiated_power_law",
        "log_linear",
        "saturating_power_law",
        "sigmoid_log_compute",
    }
    full = build_scaling(outcomes, problems, draws=5)["out_scaling_fits"].filter(
        pl.col("cost_axis") == "samples_per_problem"
    )
    assert "ttspm_parallel" in set(full["family"])


def test_metrics_have_no_curve(bank):
    outcomes, problems = bank
    kinds = (
        pl.when(pl.col("strategy") == "majority").then(pl.lit("metric")).otherwise(pl.lit("oracle"))
    )
    built = build_scaling(outcomes.with_columns(strategy_kind=kinds), problems, draws=5)
    assert set(built["out_scaling_fits"]["strategy"]) == {"pass_at_k"}


def test_no_outcomes_give_empty_tables():
    outcomes, problems = make_frames({("pt-a", "majority"): [np.zeros(3)]}, n_problems=3)
    for frames in (
        build_scaling(outcomes.head(0), problems.head(0)),
        build_scaling(outcomes, problems, draws=5),
    ):
        for name, frame in frames.items():
            assert frame.equals(empty(name))
    assert build_token_elasticity(outcomes.head(0), problems.head(0)).equals(
        empty("out_token_elasticity")
    )
    assert build_effort_frontier(empty("core_samples")).equals(empty("out_effort_frontier"))


def test_one_problem_has_no_uncertainty():
    values = np.linspace(0.1, 0.6, len(K))[:, None]
    built = build_scaling(*make_frames({("pt-a", "majority"): values}, n_problems=1), draws=20)
    fits = built["out_scaling_fits"]
    assert fits["asymptote_low"].null_count() == fits.height
    assert set(fits["trend"]) == {"unknown"}
    assert set(fits["draws"]) == {0}


def test_elasticity_table_names_baseline_and_quadrant(bank):
    table = build_token_elasticity(*bank, draws=50, seed=1)
    assert table["baseline_outcome_id"].unique().to_list() == ["pt-a:majority:1"]
    assert table.height == bank[0].height - 1
    row = table.filter(pl.col("outcome_id") == "pt-a:majority:32").row(0, named=True)
    spent = row["tokens_ratio"] - 1
    start = 0.25
    assert row["token_elasticity"] == pytest.approx(row["accuracy_gain"] / start / spent, rel=0.1)
    assert (row["quadrant"], row["quadrant_ratio"]) == ("better_costlier", 1.0)
    assert row["accuracy_gain_low"] <= row["accuracy_gain"] <= row["accuracy_gain_high"]
    same = table.filter(pl.col("outcome_id") == "pt-b:majority:1").row(0, named=True)
    assert same["token_elasticity"] is None
    assert same["quadrant"].endswith("_equal")


@pytest.mark.slow
def test_elasticity_intervals_are_those_of_every_pair_alone(bank):
    (block,) = curve_blocks(
        *bank,
        ["prompt_tokens_per_problem", "output_tokens_per_problem"],
        draws=50,
        seed=1,
        clusters=None,
    )
    table = build_token_elasticity(*bank, draws=50, seed=1)
    tokens = (
        block.costs["prompt_tokens_per_problem"].whole()
        + block.costs["output_tokens_per_problem"].whole()
    )
    place = {name: i for i, name in enumerate(block.outcomes["outcome_id"])}
    for row in table.iter_rows(named=True):
        mine, base = place[row["outcome_id"]], place[row["baseline_outcome_id"]]
        drawn, gains, same = [], [], []
        for count in block.counts.astype(float):
            (right, spent), (start, cheap) = (
                [(count @ m[i]) / count.sum() for m in (block.values.whole(), tokens)]
                for i in (mine, base)
            )
            gains.append(right - start)
            drawn.append((right / start - 1) / (spent / cheap - 1) if spent != cheap else np.nan)
            better, sign_of_cost = (
                np.sign(np.round(right - start, 12)),
                np.sign(np.round(spent - cheap, 12)),
            )
            words = (
                {1: "better", 0: "equal", -1: "worse"}[better],
                {1: "costlier", 0: "equal", -1: "cheaper"}[sign_of_cost],
            )
            same.append("_".join(words) == row["quadrant"])
        for name, values in (("accuracy_gain", gains), ("token_elasticity", drawn)):
            ends = percentile_interval(values, units=block.n_units)
            if row[name] is None:
                assert row[f"{name}_low"] is None and row[f"{name}_high"] is None
            else:
                assert (row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx(
                    (ends.low, ends.high), rel=1e-9
                )
        assert row["quadrant_ratio"] == pytest.approx(np.mean(same))


def test_effort_frontier_compares_efforts_at_equal_accuracy():
    rows = []
    for point, tokens, rights in (
        ("short", 100, 4),
        ("middle", 400, 5),
        ("long", 200, 6),
        ("wasteful", 800, 3),
    ):
        for i in range(10):
            finish = "length" if point == "wasteful" else "stop"
            base = {
                "point_id": point,
                "problem_id": f"p{i}",
                "sample_id": f"{point}:{i}",
                "task": "sums",
                "model_variant": "tiny",
            }
            rows.append(
                {
                    **base,
                    "prompt": point,
                    "is_valid": True,
                    "correct": i < rights,
                    "output_tokens": tokens,
                    "latency_s": tokens / 50,
                    "finish_reason": finish,
                }
            )
    table = build_effort_frontier(pl.DataFrame(rows)).rows_by_key(
        "point_id", named=True, unique=True
    )
    assert {p: r["is_on_effort_frontier"] for p, r in table.items()} == {
        "short": True,
        "middle": False,
        "long": True,
        "wasteful": False,
    }
    # Between short (.4 at 100) and long (.6 at 200) accuracy .5 costs 100 * sqrt(2) tokens; middle
    # spends 400 on it.
    assert table["middle"]["token_gain_at_accuracy"] == pytest.approx(100 * np.sqrt(2) / 400)
    assert table["wasteful"]["token_gain_at_accuracy"] is None
    assert (table["wasteful"]["length_ratio"], table["short"]["budget_control"]) == (1.0, 1.0)
    assert table["short"]["sequential_requests_per_s"] == pytest.approx(0.5)
    assert table["short"]["sequential_correct_per_s"] == pytest.approx(0.2)


def test_outcomes_that_share_a_budget_are_curves_of_their_own():
    one = make_frames(
        {("pt-a", "weighted"): np.tile(np.linspace(0.1, 0.6, len(K))[:, None], (1, 8))},
        n_problems=8,
    )
    two = [frame.with_columns(pl.col("outcome_id") + "x") for frame in one]
    two[0] = two[0].with_columns(pl.lit('{"filter":0.5}').alias("parameters"))
    fits = build_scaling(*(pl.concat([a, b]) for a, b in zip(one, two, strict=True)), draws=5)[
        "out_scaling_fits"
    ]
    named = fits.filter(pl.col("cost_axis") == "samples_per_problem")
    assert named["curve_id"].n_unique() == 2
    assert set(named["strategy_parameters"]) == {"{}", '{"filter":0.5}'}
    columns = (
        "task",
        "model_variant",
        "point_id",
        "prompt",
        "strategy",
        "strategy_parameters",
        "cost_axis",
    )
    assert curve_id({c: named[c][0] for c in columns}) == named["curve_id"][0]


@pytest.fixture(scope="module")
def sequential():
    """A real replay.

    80 % of the problems are solved by a sample in three of ten cases, the others never.
    """
    rng = np.random.default_rng(8)
    problems, samples = 150, 16
    right = (rng.random((problems, samples)) < 0.3) & (np.arange(problems) < 0.8 * problems)[
        :, None
    ]
    rows = pl.DataFrame(
        {
            "task": "sums",
            "model_variant": "tiny",
            "prompt": "plain",
            "point_id": "pt-a",
            "problem_id": np.repeat([f"p{i:03d}" for i in range(problems)], samples),
            "sample_index": np.tile(np.arange(samples), problems),
            "is_valid": True,
            "correct": right.ravel(),
            "answer_class": pl.Series(np.where(right, 0, 1).ravel(), dtype=pl.Int32),
            "output_tokens": rng.integers(20, 400, problems * samples),
            "prompt_tokens": 50,
        }
    )
    return build_scaling(
        *build_outcomes(rows, strategies=["retry_until_verified", "truncated_at_tokens"]), draws=60
    )


def test_a_sequential_strategy_of_the_bank_is_fitted_by_its_rounds(sequential):
    fits = sequential["out_scaling_fits"].filter(pl.col("strategy") == "retry_until_verified")
    row = fits.filter(pl.col("family") == "ttspm_sequential").row(0, named=True)
    assert (row["cost_axis"], row["cost_unit"], row["status"]) == (
        "rounds_per_problem",
        "rounds",
        "ok",
    )
    found = json.loads(row["parameters"])
    assert found["F_max"] == pytest.approx(0.8, abs=0.03) and found["p_rethink"] == pytest.approx(
        0.3, abs=0.04
    )
    assert row["asymptote_low"] < 0.8 < row["asymptote_high"]
    # The marginal round gains F_max p (1 - p)^N: at most 0.01 from N = ln(0.01 / 0.24) / ln(0.7) =
    # 8.9 on.
    assert row["saturation_budget"] in (8, 9, 10)
    spent = fits.filter(pl.col("cost_axis") == "samples_per_problem")
    assert "ttspm_sequential" not in set(spent["family"]), (
        "attempts stop early: their mean is no number of rounds"
    )
    reach = sequential["out_compute_targets"].filter(
        pl.col("cost_axis") == "rounds_per_problem", pl.col("target_accuracy") == 0.7
    )
    assert reach["cost"][0] == pytest.approx(np.log(1 - 0.7 / 0.8) / np.log(0.7), rel=0.25)


def test_truncation_budgets_are_an_anytime_curve(sequential):
    row = sequential["out_anytime"].filter(
        pl.col("strategy") == "truncated_at_tokens",
        pl.col("cost_axis") == "output_tokens_per_problem",
    )
    assert (
        row.height == 1
        and 0 < row["anytime_accuracy"][0] < row["budget_performance"][0]
        and 0 < row["cumulative_regret"][0] < 1
    )
    fitted = sequential["out_scaling_fits"].filter(pl.col("strategy") == "truncated_at_tokens")
    assert "ttspm_sequential" not in set(fitted["family"]), "tokens are no rounds"

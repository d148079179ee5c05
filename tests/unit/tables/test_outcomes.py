from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from isocost.errors import IsocostError
from isocost.schema.frames import empty, faults
from isocost.strategies import (
    ChainStrategy,
    best_of_k,
    expected_max,
    find_strategies,
    majority_at_k,
    pass_at_k,
    retry_until_verified,
)
from isocost.tables.outcomes.outcomes import (
    Bootstrap,
    build_outcomes,
    default_budgets,
    iter_outcomes,
)

FAST = Bootstrap(draws=200)


def sample_rows(
    problem: str,
    correct,
    classes,
    *,
    point="pt-1",
    model="small",
    task="sums",
    prompt="direct",
    **columns,
) -> pl.DataFrame:
    n = len(correct)
    rng = np.random.default_rng(len(problem) + 7 * n)
    tokens = columns.pop("output_tokens", list(range(10, 10 + n)))
    base = {
        "task": [task] * n,
        "model_variant": [model] * n,
        "prompt": [prompt] * n,
        "point_id": [point] * n,
        "problem_id": [problem] * n,
        "sample_index": list(range(n)),
        "session_id": ["s-1"] * n,
        "is_valid": [True] * n,
        "correct": pl.Series(correct, dtype=pl.Boolean),
        "score": pl.Series([None if c is None else float(c) for c in correct], dtype=pl.Float64),
        "answer_class": pl.Series(classes, dtype=pl.Int32),
        "output_tokens": tokens,
        "prompt_tokens": [50] * n,
        "latency_s": [t / 10 for t in tokens],
        "flops": [t * 1e9 for t in tokens],
        "energy_j": pl.Series([None] * n, dtype=pl.Float64),
        "energy_method": pl.Series([None] * n, dtype=pl.String),
        "logprob_mean": list(-rng.random(n)),
        "self_certainty_low": list(rng.random(n)),
        "confidence_lowest_group": list(1 + rng.random(n)),
        "completion_hash": [f"{problem}{i}" for i in range(n)],
        "is_truncated": [False] * n,
    }
    return pl.DataFrame(base | columns)


@pytest.fixture(scope="module")
def bank() -> pl.DataFrame:
    return pl.concat(
        [
            sample_rows("pr-a", [True, False, True, False], [0, 1, 0, 2]),
            sample_rows("pr-b", [False, False, True, False], [1, 1, 0, None]),
            sample_rows("pr-c", [True, True, True, True], [0, 0, 0, 0]),
            sample_rows("pr-d", [False, False, False, False], [None] * 4),
        ]
    )


@pytest.fixture(scope="module")
def built(bank):
    return build_outcomes(bank, bootstrap=FAST)


def row(outcomes: pl.DataFrame, strategy: str, budget: float, **where) -> dict:
    found = outcomes.filter(pl.col("strategy") == strategy, pl.col("budget") == budget, **where)
    assert found.height == 1
    return found.row(0, named=True)


def test_tables_conform_and_every_outcome_has_its_problems(built):
    outcomes, problems = built
    assert faults(outcomes, "out_strategy_outcomes") == []
    assert faults(problems, "out_strategy_problems") == []
    assert problems.height == 4 * outcomes.height
    means = problems.group_by("outcome_id").agg(
        pl.col("accuracy").mean(), pl.col("output_tokens_per_problem").mean()
    )
    joined = outcomes.join(means, on="outcome_id", suffix="_mean")
    assert (joined["accuracy"] - joined["accuracy_mean"]).abs().max() < 1e-12
    known = joined.filter(pl.col("output_tokens_per_problem").is_not_null())
    assert (
        known["output_tokens_per_problem"] - known["output_tokens_per_problem_mean"]
    ).abs().max() < 1e-9


def test_values_are_those_of_the_public_functions(built, bank):
    outcomes, _ = built
    correct = [2, 1, 4, 0]
    counts, abstained = np.array([[2, 1, 1], [1, 2, 0], [4, 0, 0], [0, 0, 0]]), [0, 1, 0, 4]
    for k in (1, 2, 4):
        assert row(outcomes, "pass_at_k", k)["accuracy"] == pytest.approx(
            pass_at_k(4, correct, k).mean(), abs=1e-14
        )
        votes = majority_at_k(counts, 0, k, abstained=abstained).mean()
        assert row(outcomes, "majority_at_k", k)["accuracy"] == pytest.approx(votes, abs=1e-14)
        scores = np.stack(
            [
                bank.filter(pl.col("problem_id") == p)["logprob_mean"]
                for p in ("pr-a", "pr-b", "pr-c", "pr-d")
            ]
        )
        values = np.array([[1, 0, 1, 0], [0, 0, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
        chosen = row(outcomes, "best_of_k_mean_logprob", k)
        assert chosen["accuracy"] == pytest.approx(best_of_k(scores, values, k).mean(), abs=1e-14)
        assert chosen["expected_score"] == pytest.approx(chosen["accuracy"], abs=1e-14)
    assert row(outcomes, "pass_at_k", 2)["marginal_accuracy"] == pytest.approx(
        (pass_at_k(4, correct, 3) - pass_at_k(4, correct, 2)).mean(), abs=1e-14
    )


def test_costs_of_parallel_and_sequential_policies(built):
    outcomes, _ = built
    parallel = row(outcomes, "majority_at_k", 2)
    assert parallel["samples_per_problem"] == 2
    assert parallel["output_tokens_per_problem"] == pytest.approx(2 * 11.5)
    assert parallel["prompt_tokens_per_problem"] == 50
    assert parallel["prompt_tokens_unshared_per_problem"] == 100
    assert parallel["latency_sequential_s_per_problem"] == pytest.approx(2 * 1.15)
    assert parallel["latency_parallel_s_per_problem"] == pytest.approx(
        float(expected_max([1.0, 1.1, 1.2, 1.3], 2))
    )
    retried = row(outcomes, "retry_until_verified", 4)
    assert retried["samples_per_problem"] == pytest.approx(
        retry_until_verified(4, [2, 1, 4, 0], 4).attempts.mean()
    )
    assert retried["latency_parallel_s_per_problem"] == retried["latency_sequential_s_per_problem"]


def test_sequential_costs_follow_from_every_order():
    """Costs differ by answer.

    Stopping early is correlated with which answers came, and the expectation must know.
    """
    import itertools

    from scipy.special import betainc

    classes, tokens = [0, 0, 0, 0, 1, 2], [10, 20, 30, 40, 500, 900]
    frame = sample_rows("pr-a", [c == 0 for c in classes], classes, output_tokens=tokens)
    outcomes, _ = build_outcomes(
        frame, strategies=["adaptive_consistency"], budgets=[6], bootstrap=FAST
    )
    spent, orders = 0.0, list(itertools.permutations(range(6)))
    for order in orders:
        votes = [0, 0, 0]
        for i in order:
            spent += tokens[i]
            votes[classes[i]] += 1
            lead = sorted(votes, reverse=True)
            if betainc(lead[1] + 1, lead[0] + 1, 0.5) >= 0.95:  # the Beta criterion
                break
    assert row(outcomes, "adaptive_consistency", 6)["output_tokens_per_problem"] == pytest.approx(
        spent / len(orders), rel=1e-12
    )


def test_unknown_energy_stays_unknown_and_methods_are_not_pooled(built, bank):
    outcomes, problems = built
    assert outcomes["energy_j_per_problem"].null_count() == outcomes.height
    assert problems["energy_j_per_problem"].null_count() == problems.height
    measured = bank.with_columns(energy_j=pl.lit(2.0), energy_method=pl.lit("counter"))
    known, _ = build_outcomes(measured, strategies=["majority_at_k"], bootstrap=FAST)
    found = row(known, "majority_at_k", 4)
    assert (found["energy_j_per_problem"], found["energy_method"]) == (8.0, "counter")
    mixed = measured.with_columns(
        energy_method=pl.when(pl.col("problem_id") == "pr-a")
        .then(pl.lit("model"))
        .otherwise("energy_method")
    )
    pooled, _ = build_outcomes(mixed, strategies=["majority_at_k"], bootstrap=FAST)
    assert row(pooled, "majority_at_k", 4)["energy_j_per_problem"] is None


def test_fewer_samples_are_undefined_beyond_them_and_counted(bank):
    short = bank.filter((pl.col("problem_id") != "pr-b") | (pl.col("sample_index") < 2))
    outcomes, problems = build_outcomes(short, bootstrap=FAST)
    whole = row(outcomes, "pass_at_k", 4)
    assert (whole["n_problems"], whole["n_problems_undefined"]) == (3, 1)
    assert whole["undefined_reasons"] == ["budget_exceeds_samples:1"]
    assert whole["accuracy"] == pytest.approx(2 / 3)
    lost = problems.filter(
        pl.col("outcome_id") == whole["outcome_id"], pl.col("problem_id") == "pr-b"
    ).row(0, named=True)
    assert lost["accuracy"] is None
    assert lost["samples_per_problem"] is None
    assert lost["undefined_reason"] == "budget_exceeds_samples"
    assert row(outcomes, "pass_at_k", 2)["n_problems_undefined"] == 0


def test_no_answer_one_class_and_truncation_are_visible(bank):
    cut = bank.with_columns(is_truncated=pl.col("problem_id") == "pr-d")
    outcomes, problems = build_outcomes(cut, bootstrap=FAST)
    found = row(outcomes, "majority_at_k", 4)
    assert found["n_samples_no_answer"] == 5
    assert found["n_problems_no_answer"] == 1
    assert found["n_problems_one_class"] == 1
    assert found["n_samples_truncated"] == 4
    assert found["n_problems_all_truncated"] == 1
    mute = problems.filter(
        pl.col("outcome_id") == found["outcome_id"], pl.col("problem_id") == "pr-d"
    )
    assert mute["accuracy"].to_list() == [0.0]
    one = problems.filter(
        pl.col("outcome_id") == found["outcome_id"], pl.col("problem_id") == "pr-c"
    )
    assert one["accuracy"].to_list() == [1.0]


def test_missing_scores_rank_last_and_none_at_all_is_undefined(bank):
    gaps = bank.with_columns(
        logprob_mean=pl.when(
            (pl.col("problem_id") == "pr-a")
            | ((pl.col("problem_id") == "pr-b") & (pl.col("sample_index") != 2))
        )
        .then(pl.lit(float("nan")))
        .otherwise("logprob_mean")
    )
    outcomes, problems = build_outcomes(
        gaps, strategies=["best_of_k", "weighted_majority_at_k"], bootstrap=FAST
    )
    for name in ("best_of_k_mean_logprob", "weighted_majority_at_k_probability"):
        found = row(outcomes, name, 4)
        assert found["undefined_reasons"] == ["no_sample_has_the_score:1"]
        assert found["n_samples_unscored"] == 7
    chosen = row(outcomes, "best_of_k_mean_logprob", 4)
    only = problems.filter(
        pl.col("outcome_id") == chosen["outcome_id"], pl.col("problem_id") == "pr-b"
    )
    assert only["accuracy"].to_list() == [1.0]


def test_ungraded_samples_make_a_problem_undefined_and_invalid_ones_are_left_out(bank):
    unclear = bank.with_columns(
        correct=pl.when((pl.col("problem_id") == "pr-a") & (pl.col("sample_index") == 1))
        .then(None)
        .otherwise("correct"),
        is_valid=~((pl.col("problem_id") == "pr-d") & (pl.col("sample_index") > 1)),
    )
    outcomes, _ = build_outcomes(unclear, bootstrap=FAST)
    found = row(outcomes, "pass_at_k", 2)
    assert found["undefined_reasons"] == ["ungraded_samples:1"]
    assert found["n_samples_invalid"] == 2
    assert row(outcomes, "pass_at_k", 4)["undefined_reasons"] == [
        "budget_exceeds_samples:1",
        "ungraded_samples:1",
    ]


def test_a_problem_without_valid_samples_stays_as_undefined(bank):
    outcomes, problems = build_outcomes(
        bank.with_columns(is_valid=pl.col("problem_id") != "pr-d"),
        strategies=["pass_at_k"],
        bootstrap=FAST,
    )
    assert row(outcomes, "pass_at_k", 1)["n_problems_undefined"] == 1
    assert problems["problem_id"].n_unique() == 4


def test_nothing_valid_at_all_gives_no_rows(bank):
    outcomes, problems = build_outcomes(bank.with_columns(is_valid=pl.lit(False)))
    assert (outcomes.height, problems.height) == (0, 0)
    assert outcomes.schema == empty("out_strategy_outcomes").schema
    assert build_outcomes(bank.clear())[0].height == 0


def test_classes_of_several_sessions_go_by_the_answers_text():
    first = sample_rows("pr-a", [True, False], [0, 1], answer=["4", "5"])
    second = sample_rows("pr-a", [True, False], [1, 0], answer=["4", "5"]).with_columns(
        session_id=pl.lit("s-2"), sample_index=pl.col("sample_index") + 2
    )
    outcomes, _ = build_outcomes(
        pl.concat([first, second]), strategies=["majority_at_k"], budgets=[4], bootstrap=FAST
    )
    assert row(outcomes, "majority_at_k_pessimistic", 4)["accuracy"] == 0.0
    assert row(outcomes, "majority_at_k_optimistic", 4)["accuracy"] == 1.0


def test_shares_get_the_score_interval_of_their_problems(built):
    from isocost.frontier import score_interval

    outcomes, problems = built
    found = row(outcomes, "pass_at_k", 2)
    values = problems.filter(pl.col("outcome_id") == found["outcome_id"])["accuracy"].to_numpy()
    assert [found["accuracy_low"], found["accuracy_high"]] == pytest.approx(
        [float(end) for end in score_interval(values)]
    )
    assert (found["interval_method"], found["interval_draws"], found["interval_confidence"]) == (
        "score",
        None,
        0.95,
    )


def test_what_is_no_share_gets_percentiles_of_resampled_problems():
    from isocost.frontier import resample_counts
    from isocost.tables.outcomes.outcomes import _are_shares, _interval

    values = np.array([[0.5], [1.5], [2.0], [0.0]])
    assert not _are_shares(values)
    weights = resample_counts(4, 200, 0).astype(float)
    low, high = _interval(values, weights, 0.95)
    assert [low[0], high[0]] == pytest.approx(
        list(np.quantile(weights @ values[:, 0] / 4, [0.025, 0.975]))
    )


def test_clusters_are_resampled_whole_and_one_problem_has_no_interval(bank):
    grouped = bank.with_columns(
        cluster_id=pl.when(pl.col("problem_id") < "pr-c").then(pl.lit("x")).otherwise(None)
    )
    outcomes, _ = build_outcomes(grouped, strategies=["pass_at_k"], bootstrap=FAST)
    assert set(outcomes["interval_method"]) == {"score-clustered"}
    single, _ = build_outcomes(
        bank.filter(pl.col("problem_id") == "pr-a"), strategies=["pass_at_k"], bootstrap=FAST
    )
    assert single["accuracy_low"].null_count() == single.height
    assert single["interval_method"].null_count() == single.height


def test_sampled_rows_say_so_with_their_bound():
    rng = np.random.default_rng(0)
    parts = [
        sample_rows(f"pr-{i}", list(rng.random(24) < 0.4), list(rng.integers(0, 3, 24)))
        for i in range(3)
    ]
    outcomes, _ = build_outcomes(
        pl.concat(parts), strategies=["weighted_majority_at_k", "majority_at_k"], bootstrap=FAST
    )
    found = row(outcomes, "weighted_majority_at_k_probability", 8)
    assert (found["estimator"], found["sampling_draws"]) == ("sampled", 256)
    assert found["error_bound"] == pytest.approx(np.sqrt(np.log(40) / (2 * 3 * 256)))
    assert row(outcomes, "weighted_majority_at_k_probability", 24)["estimator"] == "exact"
    exact = outcomes.filter(pl.col("strategy_family") == "majority_at_k")
    assert set(exact["estimator"]) == {"exact"}
    assert exact["error_bound"].max() == 0


@pytest.fixture(scope="module")
def two_models() -> pl.DataFrame:
    rng = np.random.default_rng(4)
    parts = []
    for model, skill, tokens in (("small", 0.4, 20), ("large", 0.8, 200)):
        for i in range(12):
            right = rng.random(6) < skill
            parts.append(
                sample_rows(
                    f"pr-{i:02d}",
                    list(right),
                    [0 if r else 1 for r in right],
                    point=f"pt-{model}",
                    model=model,
                    output_tokens=[tokens] * 6,
                )
            )
    return pl.concat(parts)


def test_chains_of_two_models_run_from_cheap_to_expensive(two_models):
    outcomes, problems = build_outcomes(two_models, bootstrap=FAST)
    chained = outcomes.filter(pl.col("budget_unit") == "models")
    assert set(chained["model_variant"]) == {"small + large"}
    assert set(chained["strategy_family"]) == {
        "cascade",
        "router",
        "oracle_cascade",
        "oracle_router",
    }
    bound = row(outcomes, "oracle_cascade", 2)["accuracy"]
    policies = chained.filter(pl.col("strategy_family") == "cascade")
    assert policies["accuracy"].max() <= bound
    assert policies["output_tokens_per_problem"].is_between(20, 220).all()
    assert row(outcomes, "oracle_cascade", 2)["point_ids"] == ["pt-small", "pt-large"]
    assert faults(problems, "out_strategy_problems") == []


def test_oracles_of_a_chain_equal_their_definition(two_models):
    outcomes, _ = build_outcomes(
        two_models, strategies=["oracle_cascade", "oracle_router"], bootstrap=FAST
    )
    chances = (
        two_models.group_by("problem_id", "model_variant")
        .agg(pl.col("correct").mean())
        .pivot("model_variant", index="problem_id")
    )
    small, large = chances["small"].to_numpy(), chances["large"].to_numpy()
    assert row(outcomes, "oracle_router", 2)["accuracy"] == pytest.approx(
        np.maximum(small, large).mean()
    )
    assert row(outcomes, "oracle_cascade", 2)["accuracy"] == pytest.approx(
        (small + (1 - small) * large).mean()
    )


def test_three_models_make_chains_of_two_and_three(two_models):
    middle = two_models.filter(pl.col("model_variant") == "large").with_columns(
        model_variant=pl.lit("middle"), point_id=pl.lit("pt-middle"), flops=pl.col("flops") / 2
    )
    outcomes, _ = build_outcomes(
        pl.concat([two_models, middle]), strategies=["oracle_router"], bootstrap=FAST
    )
    assert sorted(outcomes["budget"].to_list()) == [2, 2, 2, 3]
    assert "small + middle + large" in set(outcomes["model_variant"])


@pytest.mark.slow
def test_many_models_make_few_chains_of_those_that_none_beats():
    problems, parts = 4, []
    for number in range(40):  # every fourth model is worth its price
        right = number // 4 if number % 4 == 0 else 0
        model = f"m{number:02d}"
        for i in range(problems):
            marks = [s < right for s in range(10)]
            parts.append(
                sample_rows(
                    f"pr-{i}",
                    marks,
                    [0 if m else 1 for m in marks],
                    point=f"pt-{model}",
                    model=model,
                    output_tokens=[number + 1] * 10,
                )
            )
    outcomes, _ = build_outcomes(pl.concat(parts), strategies=["oracle_router"], bootstrap=FAST)
    chained = outcomes.filter(pl.col("budget_unit") == "models")
    assert chained.height == 21 + 35
    kept = {name for names in chained["model_variant"].str.split(" + ") for name in names}
    assert (
        len(kept) == 7 and all(int(name[1:]) % 4 == 0 for name in kept) and {"m00", "m36"} <= kept
    )


@pytest.mark.slow
def test_rows_do_not_depend_on_the_order_of_samples_or_on_other_points(two_models):
    names = ["majority_at_k", "weighted_majority_at_k", "adaptive_consistency", "borda_at_k"]
    together, problems = build_outcomes(two_models, strategies=names, bootstrap=FAST)
    shuffled, other = build_outcomes(
        two_models.sample(fraction=1, shuffle=True, seed=3), strategies=names, bootstrap=FAST
    )
    assert together.equals(shuffled)
    assert problems.equals(other)
    alone, _ = build_outcomes(
        two_models.filter(pl.col("model_variant") == "small"), strategies=names, bootstrap=FAST
    )
    assert alone.equals(together.filter(pl.col("model_variant") == "small"))


def test_invariants_between_strategies_hold_in_the_table(built):
    outcomes, _ = built
    by = {(r["strategy"], r["budget"]): r["accuracy"] for r in outcomes.iter_rows(named=True)}
    selectors = outcomes.filter(
        pl.col("selection_efficiency").is_not_null()
        | (pl.col("strategy_family") == "majority_at_k")
    )
    for r in selectors.iter_rows(named=True):
        assert (
            by["pass_hat_k", r["budget"]] - 1e-12
            <= r["accuracy"]
            <= by["pass_at_k", r["budget"]] + 1e-12
        )
    for strategy in outcomes.filter(pl.col("budget_unit") == "samples", pl.col("budget") == 1)[
        "strategy"
    ]:
        if not strategy.startswith("majority_at_k_"):
            assert by[strategy, 1] == pytest.approx(by["pass_at_k", 1], abs=1e-12)


def test_every_registered_strategy_says_what_it_is():
    for strategy in find_strategies():
        assert strategy.summary.endswith(".")
        assert strategy.kind in ("policy", "oracle", "metric")
        json.dumps(dict(strategy.parameters), allow_nan=False)
        assert strategy.budget_unit == (
            "models" if isinstance(strategy, ChainStrategy) else strategy.budget_unit
        )
    assert "rpc" not in {s.name for s in find_strategies()}
    assert find_strategies(["rpc"])[0].name == "rpc"


def test_rpc_by_name_replays_the_whole_bank():
    classes = [0] * 6 + [1] * 6
    logprob = list(np.log(np.r_[np.linspace(0.6, 0.8, 6), np.linspace(0.05, 0.2, 6)]))
    frame = pl.concat(
        [
            sample_rows(f"pr-{i}", [c == 0 for c in classes], classes, logprob_mean=logprob)
            for i in "ab"
        ]
    )
    outcomes, _ = build_outcomes(frame, strategies=["rpc"], bootstrap=FAST)
    assert outcomes["budget"].to_list() == [12.0]
    assert outcomes["accuracy"].to_list() == [1.0]


def test_mistakes_are_reported(bank):
    with pytest.raises(IsocostError, match="majority_at_k"):
        build_outcomes(bank, strategies=["majority"])
    with pytest.raises(IsocostError, match="external_score"):
        build_outcomes(bank, strategies=["best_of_k_external"])
    with pytest.raises(IsocostError, match="two model variants"):
        build_outcomes(bank, strategies=["oracle_router"])
    with pytest.raises(IsocostError, match="column correct is missing"):
        build_outcomes(bank.drop("correct"))
    with pytest.raises(IsocostError, match="infinite"):
        build_outcomes(bank.with_columns(flops=pl.lit(float("inf"))))


def test_default_budgets_and_task_by_task_building(bank):
    assert default_budgets(np.array([16, 16, 16, 3])).tolist() == [1, 2, 4, 5, 8, 10, 16]
    assert default_budgets(np.array([100])).tolist() == [1, 2, 4, 5, 8, 10, 16, 32, 64, 100]
    assert default_budgets(np.array([10_000])).tolist() == sorted(
        [2**i for i in range(14)] + [5, 10, 100, 10_000]
    )
    two = pl.concat([bank, bank.with_columns(task=pl.lit("words"), point_id=pl.lit("pt-2"))])
    parts = list(iter_outcomes(two, strategies=["pass_at_k"], bootstrap=FAST))
    assert [part[0]["task"].unique().to_list() for part in parts] == [["sums"], ["words"]]


@pytest.mark.filterwarnings("error")
def test_models_without_a_common_problem_or_a_known_cost_are_chained_without_a_warning(two_models):
    hidden = pl.col("model_variant") == "small"
    names = [
        name
        for name in ("output_tokens", "flops", "latency_s", "energy_j", "cost_usd")
        if name in two_models.columns
    ]
    elsewhere = (
        pl.when(hidden)
        .then("other-" + pl.col("problem_id"))
        .otherwise(pl.col("problem_id"))
        .alias("problem_id")
    )
    apart = two_models.with_columns(
        elsewhere,
        *(pl.when(hidden).then(None).otherwise(pl.col(name)).alias(name) for name in names),
    )
    outcomes, _ = build_outcomes(apart, bootstrap=FAST)
    chained = outcomes.filter(pl.col("budget_unit") == "models")
    assert chained.height and chained["accuracy"].null_count() == chained.height

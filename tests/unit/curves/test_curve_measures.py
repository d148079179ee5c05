"""Anytime measures, token elasticity, budget control and compute-optimal allocation.

Published vectors and properties.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.curves import allocation, anytime
from isocost.errors import IsocostError


def test_completion_curve_gives_the_worked_vector():
    accuracy, spent = anytime.completion_curve(
        [500, 1500, 3000, 7000, 9000], [1, 0, 1, 1, 1], [1000, 2000, 4000, 8000, 16000]
    )
    assert accuracy == pytest.approx([0.2, 0.2, 0.4, 0.6, 0.8])
    assert spent == pytest.approx([900, 1600, 2600, 4000, 4200])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 500), st.booleans()), min_size=1, max_size=30),
    st.lists(st.integers(1, 600), min_size=1, max_size=6),
)
def test_completion_curve_agrees_with_brute_force(samples, budgets):
    tokens, correct = np.array([t for t, _ in samples]), np.array([c for _, c in samples])
    accuracy, spent = anytime.completion_curve(tokens, correct, budgets)
    assert accuracy == pytest.approx([np.mean(correct & (tokens <= b)) for b in budgets])
    assert spent == pytest.approx([np.mean(np.minimum(tokens, b)) for b in budgets])


def test_anytime_scores_give_the_worked_vectors():
    budgets, accuracy = [2000, 4000, 6000, 8000], [0.2, 0.35, 0.42, 0.45]
    scores = [
        anytime.anytime_score(budgets, accuracy, prior) for prior in ("uniform", "linear", "base")
    ]
    assert scores == pytest.approx([0.355, 0.396, 0.45])
    assert anytime.anytime_area(budgets, accuracy) == pytest.approx(0.340376, abs=5e-7)
    assert anytime.anytime_area(budgets, accuracy, scale="linear") == pytest.approx(0.365)
    assert anytime.anytime_area(budgets, accuracy, low=8000, high=16000) == pytest.approx(0.45)
    assert anytime.anytime_area([5], [0.3]) is None
    with pytest.raises(IsocostError, match="prior"):
        anytime.anytime_score(budgets, accuracy, "cubic")
    with pytest.raises(IsocostError, match="twice"):
        anytime.anytime_area([1, 1], [0.1, 0.2])


def test_regret_gives_the_worked_vectors():
    tokens, accuracy = [1000, 3000, 5000], [0.2, 0.5, 0.6]
    assert anytime.cumulative_regret(tokens, accuracy, 4096) == pytest.approx(0.66356680, abs=5e-9)
    assert anytime.cumulative_regret(tokens, accuracy, 8192) == pytest.approx(0.53427734, abs=5e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(1, 1e5))
def test_regret_is_a_share_and_starts_at_the_origin(accuracy, horizon):
    tokens = 100.0 * np.arange(1, len(accuracy) + 1)
    assert -1e-12 <= anytime.cumulative_regret(tokens, accuracy, horizon) <= 1 + 1e-12
    if horizon >= tokens[0]:
        assert anytime.cumulative_regret(tokens, np.ones(len(tokens)), horizon) == pytest.approx(
            tokens[0] / (2 * horizon)
        )


def test_budget_metrics_give_the_worked_vectors():
    budgets, accuracy = [500, 1000, 2000, 4000], [0.3, 0.38, 0.45, 0.47]
    assert anytime.budget_scaling(budgets, accuracy) == pytest.approx(6.976190e-5, rel=1e-6)
    assert anytime.budget_performance(accuracy) == 0.47
    assert anytime.budget_scaling([500], [0.3]) is None
    assert anytime.budget_control([90, 100, 150, 201], 100, 200) == 0.5


def test_elasticity_gives_the_worked_vectors_with_the_quadrant():
    up = anytime.token_elasticity(60, 1000, 66, 3000)
    down = anytime.token_elasticity(60, 3000, 58, 1000)
    both = anytime.token_elasticity(60, 3000, 66, 2000)
    assert (up.elasticity, down.elasticity, both.elasticity) == pytest.approx((0.05, 0.05, -0.3))
    assert (up.quadrant, down.quadrant, both.quadrant) == (
        "better_costlier",
        "worse_cheaper",
        "better_cheaper",
    )
    assert anytime.token_elasticity(66, 3000, 60, 1000).arc == pytest.approx(up.arc)
    assert anytime.token_elasticity(0, 10, 0.5, 20).elasticity is None
    assert anytime.token_elasticity(0.5, 10, 0.5, 10) == anytime.TokenElasticity(
        None, None, "equal_equal"
    )


def test_request_rates_give_the_worked_vectors():
    rate = anytime.requests_per_s([1000, 1000, 1630, 1630], [800, 2000, 900, 2600])
    assert rate == pytest.approx([1.25, 0.5, 1.811111, 0.626923], abs=5e-7)
    assert rate * [0.60, 0.75, 0.61, 0.755] == pytest.approx(
        [0.75, 0.375, 1.104778, 0.473327], abs=5e-7
    )
    assert rate[3] / rate[1] == pytest.approx(1.253846, abs=5e-7)
    gain = anytime.matched_accuracy_gain(rate[:2], [0.60, 0.75], rate[2:], [0.61, 0.755], 0.75)
    assert 1.2 < gain < rate[2] / rate[1]
    assert (
        anytime.matched_accuracy_gain(rate[:2], [0.60, 0.75], rate[2:], [0.61, 0.755], 0.9) is None
    )


A, B = [1, 1, 1, 0, 0, 0, 1, 0], [1, 0, 1, 1, 1, 1, 0, 0]
SUCCESS = [0.95, 0.9, 0.8, 0.7, 0.3, 0.2, 0.1, 0.05]


def test_cross_fit_gives_the_worked_vector():
    accuracy = np.array([A, B], dtype=float)
    bins = allocation.difficulty_bins(SUCCESS, 2)
    assert bins.tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    result = allocation.cross_fit(accuracy, np.ones_like(accuracy), bins, folds=np.arange(8) % 2)
    # Rows: held-out fold even, odd; columns: hard, easy.
    assert result.choices[0].tolist() == [[1, 0], [0, 0]]
    assert result.accuracy == 0.5
    in_sample = allocation.choose_arms(
        accuracy, np.ones_like(accuracy), bins, np.ones(8, dtype=bool), 2
    )
    assert accuracy[in_sample[bins], np.arange(8)].mean() == 0.625
    assert accuracy.max(axis=0).mean() == 0.875


def test_choice_respects_the_budget_and_prefers_the_cheaper_of_equals():
    accuracy = np.array([[0.5, 0.5], [0.5, 0.5], [0.9, 0.9]])
    cost = np.array([[2.0, 2], [1, 1], [9, 9]])
    every = np.ones(2, dtype=bool)
    pick = [
        int(allocation.choose_arms(accuracy, cost, np.zeros(2, int), every, 1, budget)[0])
        for budget in (10, 5, 0.5)
    ]
    assert pick == [2, 1, -1]
    none = allocation.cross_fit(accuracy, cost, np.zeros(2, int), budget=0.5)
    assert not none.is_complete
    assert np.isnan(none.accuracy)


def test_every_budget_chooses_as_it_would_alone():
    rng = np.random.default_rng(5)
    accuracy, cost = (
        np.round(rng.random((6, 24)), 1),
        np.repeat(2.0 ** np.arange(6)[:, None], 24, axis=1),
    )
    bins, budgets = allocation.difficulty_bins(rng.random(24), 3), [0.5, 1.0, 5.0, 40.0]
    splits = [allocation.stratified_folds(bins, 2, rng) for _ in range(4)]
    found = allocation.cross_fit_budgets(accuracy, cost, bins, budgets, folds=splits)
    assert [one.is_complete for one in found] == [False, True, True, True]
    for budget, one in zip(budgets, found, strict=True):
        for split, choices in zip(splits, one.choices, strict=True):
            for fold in (0, 1):
                expected = allocation.choose_arms(accuracy, cost, bins, split != fold, 3, budget)
                assert choices[fold].tolist() == expected.tolist()
        got = [
            [accuracy[c[split[i], bins[i]], i] for i in range(24)]
            for split, c in zip(splits, one.choices, strict=True)
        ]
        if one.is_complete:
            assert one.problem_accuracy == pytest.approx(np.mean(got, axis=0))
            assert one.accuracy == pytest.approx(np.mean(got))


def test_bins_break_ties_by_order_and_differ_by_one_problem_at_most():
    assert allocation.difficulty_bins([0, 0, 0, 0, 1], 2).tolist() == [0, 0, 0, 1, 1]
    assert np.bincount(allocation.difficulty_bins(np.zeros(23), 5)).tolist() in (
        [5, 5, 4, 5, 4],
        [5, 4, 5, 4, 5],
        [5, 5, 5, 4, 4],
    )
    with pytest.raises(IsocostError, match="difficulty"):
        allocation.difficulty_bins([0.1, np.nan])


def test_bins_help_when_difficulty_decides_and_not_when_it_does_not():
    rng = np.random.default_rng(3)
    rate = np.repeat([0.1, 0.9], 200)
    bins = allocation.difficulty_bins(rng.binomial(16, rate) / 16, 2)
    opposed = np.stack([rate, 1 - rate])
    cost = np.ones_like(opposed)
    split = allocation.cross_fit(opposed, cost, bins, seed=1)
    uniform = allocation.cross_fit(opposed, cost, np.zeros(400, int), seed=1)
    assert split.accuracy == pytest.approx(0.9, abs=0.01)
    assert uniform.accuracy < 0.55
    # Arms of pure noise: an in-sample choice would show a gain, the cross-fitted one must not.
    noise = rng.binomial(1, 0.5, (20, 400)).astype(float)
    fair = allocation.cross_fit(
        noise,
        np.ones_like(noise),
        allocation.difficulty_bins(rng.random(400), 10),
        repetitions=30,
        seed=2,
    )
    assert fair.accuracy == pytest.approx(0.5, abs=0.03)


def test_efficiency_ratio_gives_the_worked_vector():
    n = [1, 4, 16, 64, 256]
    base, best = [0.1, 0.2, 0.3, 0.4, 0.45], [0.15, 0.30, 0.38, 0.44, 0.46]
    ratios = [allocation.efficiency_ratio(n, base, n, best, q) for q in (0.2, 0.3, 0.4)]
    assert ratios == pytest.approx([2.519842, 4.0, 2.519842], abs=5e-7)
    assert allocation.efficiency_ratio(n, base, n, best, 0.46) is None
    assert allocation.efficiency_ratio(n, base, n, best, 0.12) is None


def test_exchange_of_size_for_tokens_gives_the_worked_vector():
    assert [allocation.equal_flops_token_factor(14, r) for r in (1, 0.16, 22)] == pytest.approx(
        [53, 257.75, 15.772727], abs=5e-7
    )

"""Cost-of-pass, intelligence per watt, request efficiency, money."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from isocost.costs import (
    correct_per_second,
    cost_of_pass,
    cost_of_pass_counts,
    device_usd,
    group_essentialness,
    intelligence,
    latency_summary,
    load_book,
    local_coverage,
    per_correct,
    requests_per_second,
    speedup_at_accuracy,
    token_usd,
)
from isocost.costs.money import price_per_output_token
from isocost.errors import IsocostError

COSTS, RATES = [[0.002] * 3, [0.02, 0.03, 0.05]], [[6 / 8, 1 / 8, 0], [1, 4 / 8, 0]]


def test_cost_of_pass_worked_vectors():
    result = cost_of_pass(COSTS, RATES, 0.5)
    np.testing.assert_allclose(
        result.per_model, [[0.00266667, 0.016, np.inf], [0.02, 0.06, np.inf]], atol=5e-9
    )
    np.testing.assert_allclose(result.frontier, [0.00266667, 0.016, 0.5], atol=5e-9)
    assert result.value == pytest.approx(0.17288889, abs=5e-9) and result.gain == pytest.approx(
        0.5 - 0.17288889, abs=5e-9
    )
    np.testing.assert_allclose(result.essentialness, [0.10574713, 0.0], atol=5e-9)
    assert group_essentialness(result, {"second": [1], "both": [0, 1]}) == pytest.approx(
        {"second": 0.0, "both": (0.5 - result.value) / 0.5}
    )


def test_without_a_human_an_unsolved_problem_is_infinite():
    result = cost_of_pass(COSTS, RATES)
    assert np.isinf(result.value) and np.isnan(result.essentialness).all() and np.isnan(result.gain)
    solved = cost_of_pass([[1.0, 1.0], [2.0, 2.0]], [[0.5, 0.0], [0.5, 0.5]])
    assert solved.value == pytest.approx((2 + 4) / 2)
    np.testing.assert_allclose(solved.essentialness, [(4 - 3) / 4, 1.0])


def test_one_model_one_dimension():
    result = cost_of_pass([1.0, 3.0], [0.5, 1.0], [9.0, 2.0])
    np.testing.assert_array_equal(result.frontier, [2.0, 2.0])
    assert result.essentialness[0] == pytest.approx((5.5 - 2) / 5.5)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), models=st.integers(1, 5))
def test_more_models_never_raise_the_value(seed, models):
    generator = np.random.default_rng(seed)
    costs, rates = (
        generator.uniform(0.01, 1, (models + 1, 6)),
        generator.integers(0, 5, (models + 1, 6)) / 4,
    )
    with_all, fewer = cost_of_pass(costs, rates, 2.0), cost_of_pass(costs[:-1], rates[:-1], 2.0)
    assert with_all.value <= fewer.value + 1e-12
    assert ((with_all.essentialness >= 0) & (with_all.essentialness <= 1)).all()
    assert with_all.essentialness[-1] == pytest.approx((fewer.value - with_all.value) / fewer.value)


def test_estimators_and_their_bias():
    counts, chance = np.arange(9), binom.pmf(np.arange(9), 8, 0.25)
    smoothed = np.array(
        [cost_of_pass_counts([[1.0]], [[c]], [[8]], estimator="smoothed").value for c in counts]
    )
    plug_in = np.array([cost_of_pass_counts([[1.0]], [[c]], [[8]]).value for c in counts])
    assert (smoothed * chance).sum() == pytest.approx(3.699661, abs=5e-7)
    assert np.isinf(plug_in[0]) and chance[0] == pytest.approx(0.100113, abs=5e-7)
    assert (plug_in[1:] * chance[1:]).sum() / chance[1:].sum() == pytest.approx(4.612592, abs=5e-7)
    with pytest.raises(IsocostError, match="estimator"):
        cost_of_pass_counts([[1.0]], [[1]], [[8]], estimator="median")
    with pytest.raises(IsocostError, match="no more correct"):
        cost_of_pass_counts([[1.0]], [[9]], [[8]])
    with pytest.raises(IsocostError, match="successes"):
        cost_of_pass([1.0], [1.5])


def test_intelligence_worked_vectors():
    result = intelligence([1, 0, 1, 1], [120, 300, 80, 100], [1, 2, 0.8, 0.9])
    assert result.per_joule == pytest.approx(0.005) and result.power_mean_w == pytest.approx(
        120.2778, abs=5e-5
    )
    assert result.per_watt_mean == pytest.approx(0.00623557, abs=5e-9)
    assert result.power_pooled_w == pytest.approx(
        127.6596, abs=5e-5
    ) and result.per_watt_pooled == pytest.approx(0.005875)
    assert result.joules_per_correct == 200
    assert per_correct([120, 300, 80, 100], [1, 0, 1, 1]) == 200
    assert (
        intelligence([0], [5], [1]).joules_per_correct == np.inf and per_correct([5], [0]) == np.inf
    )


def test_unknown_energy_is_refused_not_divided_by():
    for energy in ([0, 1], [-1, 1], [np.nan, 1], [1]):
        with pytest.raises(IsocostError):
            intelligence([1, 1], energy, [1, 1])
    with pytest.raises(IsocostError):
        intelligence([], [], [])


def test_coverage():
    scores = [[1, 0, 0, 0.5], [0, 0, 1, 0.2]]
    assert local_coverage(scores) == 0.5
    assert local_coverage(scores, [1, 0, 1, 0.5]) == 1.0
    assert local_coverage(scores, [1, 1, 1, 0.6]) == 0.5


def test_request_efficiency_worked_vectors():
    np.testing.assert_allclose(
        requests_per_second([1000, 1000, 1630, 1630], [800, 2000, 900, 2600]),
        [1.25, 0.5, 1.811111, 0.626923],
        atol=5e-7,
    )
    np.testing.assert_allclose(
        correct_per_second(
            [1000, 1000, 1630, 1630], [800, 2000, 900, 2600], [0.6, 0.75, 0.61, 0.755]
        ),
        [0.75, 0.375, 1.104778, 0.473327],
        atol=5e-7,
    )
    assert requests_per_second(1630, 2600) / requests_per_second(1000, 2000) == pytest.approx(
        1.253846, abs=5e-7
    )
    with pytest.raises(IsocostError, match="positive mean length"):
        requests_per_second(10, 0)


def test_speedup_at_matched_accuracy_interpolates_and_never_extrapolates():
    a, b = ([1.25, 0.5], [0.6, 0.75]), ([1.811111, 0.626923], [0.61, 0.755])
    expected = np.interp(0.7, [0.61, 0.755], [1.811111, 0.626923]) / np.interp(
        0.7, [0.6, 0.75], [1.25, 0.5]
    )
    assert speedup_at_accuracy(*a, *b, 0.7) == pytest.approx(expected)
    assert np.isnan(speedup_at_accuracy(*a, *b, 0.605)) and np.isnan(
        speedup_at_accuracy(*a, *b, 0.9)
    )


def test_latency_summary_is_pandas_describe():
    values = np.random.default_rng(0).gamma(2, 1, 101)
    summary = latency_summary(values)
    assert summary["p95"] == pytest.approx(np.percentile(values, 95)) and summary[
        "stddev"
    ] == pytest.approx(values.std(ddof=1))
    assert np.isnan(latency_summary([1.0])["stddev"])
    with pytest.raises(IsocostError):
        latency_summary([])


def test_money():
    book = load_book()
    mini, hour = book.price("gpt-4o-mini"), book.price("h100-sxm-on-demand")
    assert token_usd(mini, 1_000_000, 100_000, cached_tokens=400_000) == pytest.approx(
        0.6 * 0.15 + 0.4 * 0.075 + 0.06
    )
    uncached_price = mini.model_copy(update={"usd_per_million_cached_input_tokens": None})
    assert token_usd(uncached_price, 1000, 0, cached_tokens=1000) == token_usd(mini, 1000, 0)
    assert device_usd(hour, 8 * 1800) == pytest.approx(8.0)
    for call in (
        lambda: token_usd(hour, 1, 1),
        lambda: device_usd(mini, 1),
        lambda: token_usd(mini, 1, 1, cached_tokens=2),
    ):
        with pytest.raises(IsocostError):
            call()


def test_baselines_and_groups_that_do_not_fit_are_reported():
    with pytest.raises(IsocostError, match="2 baselines for 3 problems"):
        cost_of_pass([[1.0, 2.0, 3.0]], [[0.5, 0.5, 0.5]], [1.0, 2.0])
    with pytest.raises(IsocostError, match="group 'new': there is no model 7"):
        group_essentialness(cost_of_pass([[1.0, 2.0]], [[0.5, 0.5]], 9.0), {"new": [7]})


@settings(max_examples=50, deadline=None)
@given(
    fee=st.floats(0, 1e-3),
    price=st.floats(1e-8, 1e-4),
    of_prompt=st.floats(0, 1e-4),
    seed=st.integers(0, 99),
)
def test_a_price_list_is_read_off_the_prices_that_follow_it(fee, price, of_prompt, seed):
    rng = np.random.default_rng(seed)
    prompt, output = rng.integers(10, 500, 12), rng.integers(1, 900, 12)
    cached = prompt // 2 * (rng.random(12) < 0.5)
    paid = fee + of_prompt * (prompt - cached / 2) + price * output
    assert price_per_output_token(prompt, output, cached, paid) == pytest.approx(price, rel=1e-6)
    assert price_per_output_token(prompt[:2], output[:2], cached[:2], paid[:2]) is None
    one_length = np.full(12, 7)
    assert price_per_output_token(prompt, one_length, cached, fee + of_prompt * prompt) is None
    assert price_per_output_token(output, output, cached * 0, paid) is None
    paid[3] *= 1.01
    assert price_per_output_token(prompt, output, cached, paid) is None

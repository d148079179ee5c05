"""Intervals, comparisons, bands: worked vectors and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from isocost.errors import IsocostError
from isocost.frontier import (
    benjamini_hochberg,
    clopper_pearson,
    clustered_se,
    comparison_power,
    detectable_difference,
    fixed_benchmark_se,
    holm,
    jeffreys,
    mcnemar,
    mean_interval,
    paired_comparison,
    problems_needed,
    rate_faults,
    score_interval,
    simultaneous_band,
    stratified_score_interval,
    variance_split,
    wilson,
)


@pytest.mark.parametrize(
    ("rule", "x", "n", "expected"),
    [
        (wilson, 7, 10, (0.396778, 0.892209)),
        (jeffreys, 7, 10, (0.394182, 0.907305)),
        (clopper_pearson, 7, 10, (0.347547, 0.933260)),
        (wilson, 0, 10, (0, 0.277533)),
        (jeffreys, 0, 10, (0, 0.217196)),
        (clopper_pearson, 0, 10, (0, 0.308497)),
        (wilson, 10, 10, (0.722467, 1)),
        (wilson, 27, 30, (0.743789, 0.965400)),
        (jeffreys, 27, 30, (0.756598, 0.971019)),
        (clopper_pearson, 27, 30, (0.734712, 0.978883)),
    ],
)
def test_worked_binomial_intervals(rule, x, n, expected):
    assert np.array(rule(x, n)) == pytest.approx(expected, abs=5e-7)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.sampled_from([0.8, 0.95, 0.99]),
)
def test_binomial_intervals_hold_their_order_and_match_scipy(counts, level):
    x, n = counts
    low, high = wilson(x, n, level)
    assert 0 <= low <= x / n <= high <= 1
    exact, middle = clopper_pearson(x, n, level), jeffreys(x, n, level)
    assert exact[0] <= middle[0] + 1e-12 and middle[1] <= exact[1] + 1e-12
    result = stats.binomtest(x, n)
    assert np.array(wilson(x, n, level)) == pytest.approx(
        result.proportion_ci(level, "wilson"), abs=1e-9
    )
    assert np.array(exact) == pytest.approx(result.proportion_ci(level, "exact"), abs=1e-9)


def test_binomial_intervals_refuse_impossible_counts():
    for x, n in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(IsocostError, match="successes"):
            wilson(x, n)


def test_worked_standard_errors():
    scores = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0.0]])
    problems = np.repeat([0, 1, 2], 4)
    assert clustered_se(scores.ravel(), problems, small_sample=False) == pytest.approx(
        0.235702, abs=5e-7
    )
    assert clustered_se(scores.ravel(), problems) == pytest.approx(0.288675, abs=5e-7)
    assert clustered_se(scores.ravel(), problems) == pytest.approx(
        scores.mean(axis=1).std(ddof=1) / np.sqrt(3)
    )
    assert fixed_benchmark_se([4, 2, 0], 4) == pytest.approx(0.0962250, abs=5e-8)
    split = variance_split(scores)
    assert (split.intraclass, split.design_effect) == pytest.approx((0.666667, 3), abs=5e-7)
    assert (split.between, split.within) == pytest.approx((0.222222, 0.111111), abs=5e-7)
    assert np.isnan(clustered_se([1, 0], [1, 1])) and np.isnan(fixed_benchmark_se([1, 0], 1))


def test_clustered_error_is_the_naive_one_times_the_root_design_effect():
    rng = np.random.default_rng(0)
    scores = (rng.random((4000, 6)) < rng.beta(1, 1, (4000, 1))).astype(float)
    naive = scores.std() / np.sqrt(scores.size)
    clustered = clustered_se(scores.ravel(), np.repeat(np.arange(4000), 6))
    assert clustered == pytest.approx(
        naive * np.sqrt(variance_split(scores).design_effect), rel=1e-3
    )


def test_mean_interval_is_students():
    x = np.array([0.2, 0.4, 0.9, 0.1])
    expected = stats.t.interval(0.9, 3, x.mean(), stats.sem(x))
    assert np.array(mean_interval(x, 0.9)) == pytest.approx(expected)


def test_worked_paired_comparison():
    first, second = [0.5, 0.75, 1, 0.25], [0.5, 0.5, 0.75, 0.25]
    found = paired_comparison(first, second)
    assert (found.difference[0], found.se[0]) == pytest.approx((0.125, 0.0721688), abs=5e-8)
    oracle = stats.ttest_rel(first, second)
    assert found.p_value[0] == pytest.approx(oracle.pvalue)
    assert (found.low[0], found.high[0]) == pytest.approx(oracle.confidence_interval(0.95))


def test_paired_comparison_without_spread():
    found = paired_comparison([[1, 0, 1], [0.3, 0.1, 0.6]], [[1, 0, 1], [0.1, -0.1, 0.4]])
    assert found.p_value[0] == 1 and np.isnan(found.p_value[1])


def test_clustered_comparison_of_repeated_problems_sees_no_more_than_one_copy():
    rng = np.random.default_rng(0)
    a, b = rng.random(12), rng.random(12)
    copies = paired_comparison(
        np.repeat(a, 5), np.repeat(b, 5), clusters=np.repeat(np.arange(12), 5)
    )
    single = paired_comparison(a, b)
    assert copies.p_value[0] == pytest.approx(single.p_value[0]) and copies.units == 12
    with pytest.raises(IsocostError, match="single unit"):
        paired_comparison(a, b, clusters=np.zeros(12))


def test_holm_and_benjamini_hochberg():
    p = [0.01, 0.04, 0.03, 0.005, np.nan]
    assert holm(p)[:4] == pytest.approx([0.03, 0.06, 0.06, 0.02]) and np.isnan(holm(p)[4])
    assert benjamini_hochberg(p)[:4] == pytest.approx(stats.false_discovery_control(p[:4]))
    assert benjamini_hochberg([]).shape == (0,)
    with pytest.raises(IsocostError, match="outside"):
        holm([1.5])


def test_worked_mcnemar():
    found = mcnemar(8, 2)
    assert (found.exact, found.mid_p) == pytest.approx((0.109375, 0.0654297), abs=5e-8)
    assert (found.statistic, found.p_value) == pytest.approx((2.5, 0.113846), abs=5e-7)
    assert mcnemar(0, 0).exact == 1 and mcnemar(3, 3).mid_p == pytest.approx(1)
    with pytest.raises(IsocostError, match="negative"):
        mcnemar(-1, 2)


def test_worked_power():
    assert problems_needed(0.1, 0.05) == 314
    assert comparison_power(0.1, 0.05, 314) == pytest.approx(0.8, abs=2e-3)
    assert detectable_difference(0.1, 314) == pytest.approx(0.05, abs=1e-4)
    with pytest.raises(IsocostError, match="difference of 0"):
        problems_needed(0.1, 0)


def test_power_is_kept_in_simulation():
    rng = np.random.default_rng(1)
    d = rng.normal(0.05, np.sqrt(0.1), (4000, 314))
    found = paired_comparison(d, np.zeros_like(d))
    assert (found.p_value < 0.05).mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.slow
def test_band_is_wider_than_pointwise_and_covers_the_whole_curve():
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(200, 8, 150)).cumsum(axis=1)
    inside = [
        ((b.low <= 0) & (b.high >= 0)).all()
        for b in (simultaneous_band(x, draws=400, seed=1) for x in steps)
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.04)
    band = simultaneous_band(steps[0], draws=400)
    assert band.critical > 1.96
    # One grid point: the normal quantile, times sqrt((n - 1) / n) because the multipliers see the
    # sample's own spread.
    one = simultaneous_band(rng.normal(size=(1, 100)), draws=60_000)
    assert one.critical == pytest.approx(1.95, abs=0.03)


@pytest.mark.slow
def test_band_gives_adjusted_p_values_that_know_what_hangs_together():
    rng = np.random.default_rng(0)
    one = rng.normal(0.25, 1, 100)
    alone = simultaneous_band(one[None], draws=20_000)
    assert alone.p_value[0] == pytest.approx(stats.ttest_1samp(one, 0).pvalue, abs=0.01)
    copies = simultaneous_band(np.repeat(one[None], 50, axis=0), draws=20_000)
    assert copies.p_value == pytest.approx(np.full(50, alone.p_value[0]), abs=0.01), (
        "fifty copies of one question are one question"
    )
    others = simultaneous_band(np.vstack([one, rng.normal(0, 1, (49, 100))]), draws=20_000)
    assert others.p_value[0] > 5 * alone.p_value[0]
    flat = simultaneous_band(np.array([[0.0, 0.0, 0.0], [0.2, 0.2, 0.2]]))
    assert flat.p_value[0] == 1 and np.isnan(flat.p_value[1])


def test_band_of_clusters_is_that_of_their_sums():
    x = np.random.default_rng(2).normal(size=(5, 20))
    single = simultaneous_band(x, draws=3000)
    grouped = simultaneous_band(
        np.repeat(x, 4, axis=1), draws=3000, clusters=np.repeat(np.arange(20), 4)
    )
    assert grouped.se == pytest.approx(single.se) and grouped.critical == pytest.approx(
        single.critical
    )
    with pytest.raises(IsocostError, match="cluster"):
        simultaneous_band(x, clusters=np.zeros(20))


def test_band_of_a_difference_and_of_a_flat_curve():
    up = np.array([[0.9, 1.0, 0.8, 1.0], [0.1, 0.2, 0.1, 0.0], [0.5, 0.5, 0.5, 0.5]])
    down = np.array([[0.1, 0.0, 0.1, 0.2], [0.9, 0.8, 1.0, 1.0], [0.5, 0.5, 0.5, 0.5]])
    band = simultaneous_band(up, down, draws=2000)
    assert band.sign.tolist() == [1, -1, 0] and band.low[2] == band.high[2] == 0
    with pytest.raises(IsocostError, match="Pair them"):
        simultaneous_band(up, down[:2])
    with pytest.raises(IsocostError, match="contains nan"):
        simultaneous_band([[0.5, np.nan]])


def test_reported_rates_are_held_to_their_counts():
    assert rate_faults([53, 139, 160], [224, 224, 224], [0.237, 0.617, 0.714], decimals=3) == [
        (),
        ("rate_differs",),
        (),
    ]
    assert rate_faults([1], [8], [0.13], decimals=2, other_trials=[9]) == [("trials_disagree",)]
    with pytest.raises(IsocostError, match="do not fit"):
        rate_faults([1], [0], [0.1], decimals=2)


def test_score_interval_is_wilsons_for_one_sample_per_problem():
    x = np.array([1.0] * 700 + [0.0] * 300)
    assert np.array(score_interval(x)) == pytest.approx(np.array(wilson(700, 1000)), abs=1e-12)
    full = score_interval(np.ones(30))
    assert np.array(full) == pytest.approx(np.array(wilson(30, 30)), abs=1e-12) and full[1] == 1
    with pytest.raises(IsocostError, match="outside"):
        score_interval([0.5, 1.5])


def test_score_interval_of_single_samples_covers_what_wilsons_covers():
    """Exact coverage over all counts, not a simulation: hard problems, one sample each."""
    n, p = 30, 1 / 11
    x = np.arange(n + 1)
    low, high = score_interval((np.arange(n)[None] < x[:, None]).astype(float))
    chance = stats.binom.pmf(x, n, p)[(low <= p) & (p <= high)].sum()
    assert chance == pytest.approx(0.9499, abs=1e-4)


def test_stratified_interval_of_one_stratum_and_of_equal_ones():
    x = np.random.default_rng(1).binomial(4, 0.4, 40) / 4
    one = stratified_score_interval([x], [1.0])
    assert np.array(one) == pytest.approx(np.array(score_interval(x)), abs=1e-12)
    low, high = stratified_score_interval([x, x], [0.5, 0.5])
    # Half the variance of one, and twice the degrees of freedom.
    assert (high - low) / (one[1] - one[0]) == pytest.approx(np.sqrt(0.5), rel=0.03)
    sure = stratified_score_interval([np.ones(10), np.ones(400)], [0.5, 0.5])
    assert sure[1] == 1 and 0.9 < sure[0] < 1
    mixed = stratified_score_interval([np.ones(10), x], [0.5, 0.5])
    assert mixed[1] - mixed[0] > 0.5 * (one[1] - one[0]), (
        "a task that was all right is not known without error"
    )
    with pytest.raises(IsocostError, match="weights"):
        stratified_score_interval([x], [0.5, 0.5])


@pytest.mark.slow
def test_stratified_interval_keeps_its_level_where_percentiles_do_not():
    rng = np.random.default_rng(3)
    parts = [rng.binomial(2, rng.beta(0.3, 3, (1500, 15))) / 2 for _ in range(2)]
    truth = 0.3 / 3.3
    low, high = stratified_score_interval(parts, [0.5, 0.5])
    assert 0.935 < ((low <= truth) & (truth <= high)).mean() < 0.985


def test_score_interval_sees_clusters_and_repeated_samples():
    rng = np.random.default_rng(0)
    p = rng.random(40)
    low, high = score_interval(np.repeat(p, 5), clusters=np.repeat(np.arange(40), 5))
    assert (low, high) == pytest.approx(tuple(map(float, score_interval(p))))
    half = 0.5 * (high - low)
    assert half == pytest.approx(stats.t.ppf(0.975, 39) * stats.sem(p), rel=0.05)


@pytest.mark.parametrize(("alpha", "beta", "problems"), [(0.3, 3, 30), (8, 0.5, 30), (1, 1, 100)])
def test_score_interval_keeps_its_level_where_the_bootstrap_does_not(alpha, beta, problems):
    rng = np.random.default_rng(problems)
    values = rng.binomial(8, rng.beta(alpha, beta, (2000, problems))) / 8
    low, high = score_interval(values)
    truth = alpha / (alpha + beta)
    assert 0.935 < ((low <= truth) & (truth <= high)).mean() < 0.985


def test_counts_that_are_none_or_do_not_fit_are_reported():
    with pytest.raises(IsocostError, match="do not fit each other"):
        wilson([1, 2], [10, 10, 10])
    with pytest.raises(IsocostError, match="are not counts"):
        mcnemar(1.5, 2)

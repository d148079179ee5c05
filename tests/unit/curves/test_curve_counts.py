"""Beta-binomial likelihood fits: published vectors, scipy as oracle, properties, bootstrap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import betabinom

from isocost.curves import (
    beta_binomial_fit,
    bootstrap_counts,
    coverage,
    fit_counts_many,
    posterior_coverage,
    zero_inflated_beta_binomial_fit,
)
from isocost.errors import IsocostError


def test_beta_binomial_gives_the_worked_vector():
    c = np.array([0, 0, 0, 1, 2, 5, 12, 20])
    result = beta_binomial_fit(20, c)
    assert result.parameters == pytest.approx({"alpha": 0.186906, "beta": 0.443406}, abs=1e-6)
    assert result.log_likelihood == pytest.approx(-18.535751, abs=5e-7)
    assert coverage(result, [1, 10, 20, 100, 1000]) == pytest.approx(
        [0.296529, 0.536946, 0.593050, 0.698681, 0.804049], abs=1e-6
    )
    assert posterior_coverage(result, 20, [0, 1, 2, 5], 100) == pytest.approx(
        [0.284365, 0.883507, 0.981860, 0.999949], abs=1e-6
    )
    assert posterior_coverage(result, 20, c, 100).mean() == pytest.approx(0.714801, abs=1e-6)
    inflated = zero_inflated_beta_binomial_fit(20, c)
    assert inflated.parameters["pi"] == pytest.approx(0, abs=1e-6)
    assert inflated.log_likelihood == pytest.approx(result.log_likelihood, abs=1e-7)
    assert inflated.status == "at_bound"


def test_zero_inflation_gives_the_worked_vector():
    c = np.array([0] * 8 + [30, 35, 40, 25])
    plain, inflated = beta_binomial_fit(50, c), zero_inflated_beta_binomial_fit(50, c)
    assert plain.parameters == pytest.approx({"alpha": 0.0762805, "beta": 0.467921}, abs=5e-7)
    assert plain.log_likelihood == pytest.approx(-25.970524, abs=5e-7)
    assert coverage(plain, [1, 50, 1000]) == pytest.approx([0.140170, 0.359971, 0.490716], abs=1e-6)
    assert inflated.parameters["pi"] == pytest.approx(0.666667, abs=5e-7)
    assert inflated.parameters["alpha"] == pytest.approx(17.7108, abs=5e-5)
    assert inflated.parameters["beta"] == pytest.approx(9.5308, abs=5e-5)
    assert inflated.log_likelihood == pytest.approx(-20.142910, abs=5e-7)
    assert coverage(inflated, [1, 50, 1000]) == pytest.approx(
        [0.216713, 0.333333, 0.333333], abs=1e-6
    )
    assert inflated.asymptote == pytest.approx(1 / 3, abs=1e-6)
    assert plain.aic - inflated.aic == pytest.approx(9.66, abs=0.005)


def test_unequal_samples_agree_with_scipy():
    rng = np.random.default_rng(5)
    n = rng.integers(4, 40, 60)
    c = rng.binomial(n, rng.beta(0.7, 2, 60) * (rng.random(60) > 0.3))

    def negative(theta, share=1.0):
        pmf = share * betabinom.pmf(c, n, *np.exp(theta[:2])) + (1 - share) * (c == 0)
        return -np.log(pmf).sum()

    def inflated(theta):
        return negative(theta, 1 / (1 + np.exp(-theta[2])))

    assert beta_binomial_fit(n, c).log_likelihood == pytest.approx(
        -minimize(negative, [0.0, 0.0]).fun, abs=1e-6
    )
    best = min(minimize(inflated, [a, 1.0, 1.0]).fun for a in (-1.0, 0.5))
    assert zero_inflated_beta_binomial_fit(n, c).log_likelihood == pytest.approx(-best, abs=1e-6)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 1)), min_size=1, max_size=25))
def test_any_counts_give_finite_results_and_rising_coverage(problems):
    n = np.array([size for size, _ in problems])
    c = np.array([round(size * share) for size, share in problems])
    plain, inflated = beta_binomial_fit(n, c), zero_inflated_beta_binomial_fit(n, c)
    for result in (plain, inflated):
        numbers = [
            *result.parameters.values(),
            result.asymptote,
            result.aic,
            result.aicc,
            result.bic,
            result.log_likelihood,
            result.level,
        ]
        assert all(v is None or np.isfinite(v) for v in numbers)
        assert result.status != "not_converged"
        if result.status not in ("flat", "too_few_points"):
            curve = coverage(result, np.geomspace(1, 1e6, 20))
            assert (np.diff(curve) >= -1e-12).all()
            assert (curve <= result.asymptote + 1e-12).all()
    if plain.log_likelihood is not None:
        alpha, beta = plain.parameters["alpha"], plain.parameters["beta"]
        assert coverage(plain, 1) == pytest.approx(alpha / (alpha + beta), rel=1e-8)
        assert inflated.log_likelihood >= plain.log_likelihood - 1e-6
        single = posterior_coverage(plain, n, c, 1)
        assert single == pytest.approx((alpha + c) / (alpha + beta + n), rel=1e-8)


@pytest.mark.parametrize(
    ("c", "status", "level"),
    [([0, 0, 0], "flat", 0.0), ([9, 9, 9], "flat", 1.0), ([4], "too_few_points", None)],
)
def test_counts_that_hold_no_curve_give_a_status(c, status, level):
    for result in (beta_binomial_fit(9, c), zero_inflated_beta_binomial_fit(9, c)):
        assert (result.status, result.asymptote) == (status, level)


def test_impossible_counts_are_refused():
    with pytest.raises(IsocostError, match="not a valid count"):
        beta_binomial_fit([5, 5], [3, 6])
    with pytest.raises(IsocostError, match="not a valid count"):
        beta_binomial_fit([5, 5], [3, 0.5])


@pytest.mark.parametrize("name", ["beta_binomial", "zero_inflated_beta_binomial"])
def test_bootstrap_equals_refitting_repeated_problems(name):
    rng = np.random.default_rng(2)
    c = rng.binomial(16, rng.beta(1.0, 2.0, 40) * (rng.random(40) > 0.3))
    weights = rng.multinomial(40, np.full(40, 1 / 40), size=6)
    batch = fit_counts_many(name, 16, c, weights)
    one = beta_binomial_fit if name == "beta_binomial" else zero_inflated_beta_binomial_fit
    for row, multiplicity in enumerate(weights):
        alone = one(16, np.repeat(c, multiplicity))
        assert batch.predict([1.0, 8, 64])[row] == pytest.approx(
            alone.predict([1.0, 8, 64]), abs=1e-5
        )
    again = [bootstrap_counts(name, 16, c, draws=20, seed=3).parameters for _ in range(2)]
    assert np.array_equal(*again)


@pytest.mark.parametrize("fit_of", [beta_binomial_fit, zero_inflated_beta_binomial_fit])
def test_one_sample_a_problem_does_not_say_how_difficulty_spreads(fit_of):
    fit = fit_of(np.ones(40), [0, 1] * 20)
    assert fit.status == "too_few_points" and np.isnan(coverage(fit, 10))
    assert fit_of(np.ones(40), np.zeros(40)).status == "flat"
    assert fit_of([1] * 39 + [2], [0, 1] * 19 + [0, 2]).status != "too_few_points"


def test_a_posterior_of_counts_that_cannot_be_is_refused():
    fit = beta_binomial_fit([20] * 4, [1, 3, 9, 18])
    for n, c, k in ((20, 21, 1), (20, -1, 1), (20, 1, -1)):
        with pytest.raises(IsocostError, match="posterior_coverage"):
            posterior_coverage(fit, n, c, k)

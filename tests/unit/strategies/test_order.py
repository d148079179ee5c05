from __future__ import annotations

import math

import numpy as np
import pytest
from brute import mean_over_subsets
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.strategies import (
    best_of_k,
    expected_max,
    expected_min,
    pass_at_k,
    pass_hat_k,
    selection_efficiency,
)
from isocost.strategies.estimators.order import rank_weights

SAMPLES = st.integers(1, 10).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 4), min_size=n, max_size=n),
        st.lists(st.sampled_from([0.0, 1.0]), min_size=n, max_size=n),
        st.integers(1, n),
    )
)


def test_published_vectors():
    latency = [3, 5, 8, 13, 21, 34]
    assert np.round(expected_max(latency, [1, 2, 3, 6]), 6).tolist() == [
        14.0,
        20.933333,
        25.65,
        34.0,
    ]
    assert np.round(expected_min(latency, [1, 2, 3, 6]), 6).tolist() == [14.0, 7.066667, 4.85, 3.0]
    assert np.allclose(
        expected_max([0, 0.2, 0.5, 0.9], [1, 2, 3, 4]), [0.4, 0.65, 0.8, 0.9], atol=1e-15
    )
    right = [0, 1, 1, 0, 1, 0]
    distinct = best_of_k([0.95, 0.9, 0.8, 0.7, 0.6, 0.1], right, range(1, 7))
    assert np.round(distinct, 6).tolist() == [0.5, 0.533333, 0.45, 0.333333, 0.166667, 0.0]
    tied = best_of_k([0.9, 0.9, 0.8, 0.7, 0.6, 0.1], right, range(1, 7))
    assert np.round(tied, 6).tolist() == [0.5, 0.566667, 0.55, 0.533333, 0.5, 0.5]


def test_rank_weights_published_and_summing_to_one():
    weights = rank_weights(6, np.array([2, 3]))
    assert np.allclose(weights[:, 0] * 15, [5, 4, 3, 2, 1, 0])
    assert np.allclose(weights[:, 1], [0.5, 0.3, 0.15, 0.05, 0, 0])
    for n, k in ((7, 3), (40, 11), (100, 64)):
        closed = [math.comb(n - r, k - 1) / math.comb(n, k) for r in range(1, n + 1)]
        assert np.allclose(rank_weights(n, np.array([k]))[:, 0], closed, rtol=1e-12, atol=0)
    assert np.allclose(rank_weights(1000, np.array([1, 7, 500, 1000])).sum(axis=0), 1, atol=1e-12)


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(SAMPLES)
def test_best_of_against_every_subset(drawn):
    scores, values, k = drawn

    def value(subset):
        top = max(scores[i] for i in subset)
        chosen = [values[i] for i in subset if scores[i] == top]
        return sum(chosen) / len(chosen)

    assert float(best_of_k(scores, values, k)) == pytest.approx(
        mean_over_subsets(len(scores), k, value), abs=1e-12
    )
    largest = mean_over_subsets(len(scores), k, lambda s: max(scores[i] for i in s))
    smallest = mean_over_subsets(len(scores), k, lambda s: min(scores[i] for i in s))
    assert float(expected_max(scores, k)) == pytest.approx(largest, abs=1e-12)
    assert float(expected_min(scores, k)) == pytest.approx(smallest, abs=1e-12)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(SAMPLES)
def test_invariants(drawn):
    scores, values, k = drawn
    n, c = len(values), int(sum(values))
    y = np.array(values)
    assert float(best_of_k(y, y, k)) == pytest.approx(float(pass_at_k(n, c, k)), abs=1e-12)
    assert float(best_of_k(-y, y, k)) == pytest.approx(float(pass_hat_k(n, c, k)), abs=1e-12)
    assert float(best_of_k(np.zeros(n), y, k)) == pytest.approx(c / n, abs=1e-12)
    chosen = float(best_of_k(scores, y, k))
    assert float(pass_hat_k(n, c, k)) - 1e-12 <= chosen <= float(pass_at_k(n, c, k)) + 1e-12
    shuffled = np.random.default_rng(0).permutation(n)
    assert float(best_of_k(np.array(scores)[shuffled], y[shuffled], k)) == pytest.approx(
        chosen, abs=1e-12
    )


def test_rows_of_unequal_length():
    scores = np.array([[3.0, 2.0, 1.0, 0.0], [5.0, 9.0, 0.0, 0.0]])
    values = np.array([[0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 1.0, 1.0]])
    valid = np.array([[True] * 4, [True, True, False, False]])
    result = best_of_k(scores, values, [1, 2, 3], valid=valid)
    assert np.allclose(result[0], best_of_k(scores[0], values[0], [1, 2, 3]))
    assert np.allclose(result[1, :2], best_of_k(scores[1, :2], values[1, :2], [1, 2]))
    assert np.isnan(result[1, 2])
    assert np.isnan(expected_max(scores, 3, valid=valid)[1])


def test_a_sample_scored_minus_infinity_comes_before_a_missing_one():
    valid = np.array([[True, True, False]])
    assert float(best_of_k([[-np.inf, -np.inf, 9.0]], [[1.0, 0.0, 1.0]], 2, valid=valid)[0]) == 0.5


def test_nan_and_foreign_shapes_are_refused_with_their_place():
    with pytest.raises(IsocostError, match="problem row 0, sample 1"):
        best_of_k([1.0, np.nan], [1.0, 0.0], 1)
    with pytest.raises(IsocostError, match="expected shape"):
        best_of_k([1.0, 2.0], [1.0], 1)


def test_selection_efficiency():
    assert float(selection_efficiency(0.6, 0.5, 0.75)) == pytest.approx(0.4)
    assert float(selection_efficiency(0.4, 0.5, 0.75)) == pytest.approx(-0.4)
    assert np.isnan(selection_efficiency(0.5, 0.5, 0.5))

from __future__ import annotations

import math

import numpy as np
import pytest
from brute import credit, mean_over_subsets
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.strategies import (
    borda_at_k,
    borda_weights,
    deepconf_offline_at_k,
    majority_at_k,
    perplexity_consistency_at_k,
    shortest_majority_at_k,
    weighted_majority_at_k,
    weighted_majority_estimate,
)

CLASSES = [0, 1, 0, 1, 2, 0]
WEIGHTS = [0.9, 0.8, 0.2, 0.7, 0.6, 0.1]
SAMPLES = st.integers(2, 10).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(-1, 2), min_size=n, max_size=n),
        st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.5]), min_size=n, max_size=n),
    )
)


def summed(classes, weight_of):
    """value(indices) of the class with the largest sum of weights, class 0 being right."""

    def value(subset):
        votes: dict[int, float] = {}
        for i, w in weight_of(subset):
            if classes[i] >= 0:
                votes[classes[i]] = votes.get(classes[i], 0.0) + w
        return credit(votes, {g: float(g == 0) for g in votes})

    return value


def test_published_vector():
    found = weighted_majority_at_k(CLASSES, WEIGHTS, 0, range(1, 7))
    assert np.round(found, 6).tolist() == [0.5, 0.4, 0.45, 0.466667, 0.333333, 0.0]


def test_perplexity_consistency_chooses_by_probability_and_counts_a_text_once():
    classes, p = [0, 0, 1, 1, 1, 2], np.array([0.62, 0.58, 0.55, 0.20, 0.18, 0.60])
    assert float(perplexity_consistency_at_k(classes, np.log(p), [0, 1, 2, 3, 4, 5], 0, 6)) == 1.0
    assert float(majority_at_k([2, 3, 1], 0, 6)) == 0.0
    # The first two completions are one and the same text: its .62 alone still beats .60, but not a
    # second copy of .58.
    assert (
        float(
            weighted_majority_at_k([0, 0, 1, 1], [0.6, 0.6, 0.5, 0.4], 0, 4, distinct=[7, 7, 8, 9])
        )
        == 0.0
    )
    assert float(weighted_majority_at_k([0, 0, 1, 1], [0.6, 0.6, 0.5, 0.4], 0, 4)) == 1.0


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(SAMPLES, st.data())
def test_every_rule_against_every_subset(drawn, data):
    classes, weights = drawn
    n = len(classes)
    k = data.draw(st.integers(1, n))
    expected = mean_over_subsets(n, k, summed(classes, lambda s: [(i, weights[i]) for i in s]))
    assert float(weighted_majority_at_k(classes, weights, 0, k)) == pytest.approx(
        expected, abs=1e-12
    )

    def ranked(subset):
        order = sorted(subset, key=lambda i: -weights[i])
        return [(i, (k - r) ** 0.5) for r, i in enumerate(order)]

    expected = mean_over_subsets(n, k, summed(classes, ranked))
    assert float(borda_at_k(classes, weights, 0, k, 0.5)) == pytest.approx(expected, abs=1e-12)

    def filtered(subset):
        bar = np.percentile([weights[i] for i in subset], 60)
        return [(i, weights[i]) for i in subset if weights[i] >= bar - 1e-12]

    expected = mean_over_subsets(n, k, summed(classes, filtered))
    assert float(deepconf_offline_at_k(classes, weights, 0, k, 0.4)) == pytest.approx(
        expected, abs=1e-12
    )

    lengths = [int(10 * w) + 3 for w in weights]

    def brief(subset):
        votes: dict[int, list[int]] = {}
        for i in subset:
            if classes[i] >= 0:
                votes.setdefault(classes[i], []).append(lengths[i])
        scores = {g: len(own) / math.log(1 + sum(own) / len(own)) for g, own in votes.items()}
        return credit(scores, {g: float(g == 0) for g in scores})

    assert float(shortest_majority_at_k(classes, lengths, 0, k)) == pytest.approx(
        mean_over_subsets(n, k, brief), abs=1e-12
    )


def test_reductions_to_the_plain_majority():
    expected = majority_at_k([3, 2, 1], 0, range(1, 7))
    assert np.allclose(
        weighted_majority_at_k(CLASSES, np.full(6, 3.0), 0, range(1, 7)), expected, atol=1e-12
    )
    assert np.allclose(borda_at_k(CLASSES, WEIGHTS, 0, range(1, 7), 0.0), expected, atol=1e-12)
    assert np.allclose(
        shortest_majority_at_k(CLASSES, np.full(6, 50), 0, range(1, 7)), expected, atol=1e-12
    )
    assert np.allclose(
        deepconf_offline_at_k(CLASSES, WEIGHTS, 0, range(1, 7), 1.0),
        weighted_majority_at_k(CLASSES, WEIGHTS, 0, range(1, 7)),
    )


def test_borda_weights_published():
    assert np.round(borda_weights(5, 0.5), 6).tolist() == [2.236068, 2.0, 1.732051, 1.414214, 1.0]


def test_no_answer_never_wins_even_against_weights_of_zero():
    assert float(weighted_majority_at_k([-1, 0], [5.0, 0.0], 0, 2)) == 1.0
    assert float(weighted_majority_at_k([-1, -1], [5.0, 1.0], 0, 1)) == 0.0


def test_random_subsets_stay_within_their_bound_and_depend_on_the_seed_alone():
    rng = np.random.default_rng(2)
    classes, weights = rng.integers(0, 4, (20, 14)), rng.random((20, 14))
    exact = weighted_majority_estimate(classes, weights, 0, [3, 7, 14])
    sampled = weighted_majority_estimate(
        classes, weights, 0, [3, 7, 14], most_subsets=1, draws=2000
    )
    assert exact.is_exact.all()
    assert sampled.is_exact[:, 2].all()
    assert not sampled.is_exact[:, :2].any()
    assert np.all(np.abs(sampled.accuracy - exact.accuracy) <= sampled.error_bound + 1e-12)
    again = weighted_majority_estimate(classes, weights, 0, [14, 3, 7], most_subsets=1, draws=2000)
    assert np.array_equal(again.accuracy, sampled.accuracy[:, [2, 0, 1]])
    other = weighted_majority_estimate(classes, weights, 0, [3], most_subsets=1, draws=2000, seed=1)
    assert not np.array_equal(other.accuracy[:, 0], sampled.accuracy[:, 0])


def test_what_is_correct_may_be_given_by_sample_or_class():
    expected = weighted_majority_at_k(CLASSES, WEIGHTS, 0, 3)
    assert weighted_majority_at_k(CLASSES, WEIGHTS, [True, False, False], 3) == expected
    assert weighted_majority_at_k(CLASSES, WEIGHTS, [c == 0 for c in CLASSES], 3) == expected


def test_nonsense_is_refused():
    with pytest.raises(IsocostError, match="negative"):
        weighted_majority_at_k(CLASSES, [-1.0, *WEIGHTS[1:]], 0, 2)
    with pytest.raises(IsocostError, match="NaN"):
        weighted_majority_at_k(CLASSES, [np.nan, *WEIGHTS[1:]], 0, 2)
    with pytest.raises(IsocostError, match="keep"):
        deepconf_offline_at_k(CLASSES, WEIGHTS, 0, 2, 0.0)
    assert np.isnan(weighted_majority_at_k(CLASSES, WEIGHTS, 0, 7))

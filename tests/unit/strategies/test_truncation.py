from __future__ import annotations

import itertools

import numpy as np
import pytest
from brute import mean_over_subsets
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.strategies import (
    generate_then_verify,
    mean_verdict,
    shortest_of_k,
    surprisal_guided,
    truncate_at,
    verification_cost,
)


def test_published_completion_curve():
    found = truncate_at(
        [1, 0, 1, 1, 1], [500, 1500, 3000, 7000, 9000], [1000, 2000, 4000, 8000, 16000]
    )
    assert np.allclose(found.accuracy, [0.2, 0.2, 0.4, 0.6, 0.8])
    assert found.tokens.tolist() == [900.0, 1600.0, 2600.0, 4000.0, 4200.0]


def test_truncation_of_unequal_rows_and_unknown_lengths():
    found = truncate_at(
        [[1, 1], [1, 0]], [[5, 20], [5, 9]], 10, valid=[[True, True], [True, False]]
    )
    assert found.accuracy.tolist() == [0.5, 1.0]
    assert found.tokens.tolist() == [7.5, 5.0]
    with pytest.raises(IsocostError, match="tokens"):
        truncate_at([1, 0], [5, np.nan], 10)


def test_published_accounting_of_generate_then_verify():
    assert float(verification_cost(8, 16, 1)) == 136.0
    assert float(verification_cost(8, 16, 2)) == 264.0
    assert float(verification_cost(4, 32, 0.5)) == 68.0
    assert float(verification_cost(136, 0)) == 136.0


def test_verified_choice_against_every_subset():
    verdicts = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1]], dtype=float)
    values = [1, 0, 0, 1]
    means = verdicts.mean(axis=1)

    def value(subset):
        top = max(means[i] for i in subset)
        tied = [values[i] for i in subset if means[i] == top]
        return sum(tied) / len(tied)

    found = generate_then_verify(verdicts, values, [1, 2, 3], 3)
    assert np.allclose(
        found.accuracy, [mean_over_subsets(4, k, value) for k in (1, 2, 3)], atol=1e-12
    )
    assert found.cost.tolist() == [4.0, 8.0, 12.0]
    assert found.error_bound == 0.0


def over_all_choices(verdicts, values, solutions, verifications):
    """Every set of solutions, with every set of verdicts for each of them."""
    total = count = 0.0
    for chosen in itertools.combinations(range(len(values)), solutions):
        for picks in itertools.product(
            itertools.combinations(range(verdicts.shape[1]), verifications), repeat=solutions
        ):
            means = [mean_verdict(verdicts[j, list(p)]) for j, p in zip(chosen, picks, strict=True)]
            tied = [values[j] for j, mean in zip(chosen, means, strict=True) if mean == max(means)]
            total, count = total + sum(tied) / len(tied), count + 1
    return total / count


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.booleans())
def test_fewer_verifications_than_banked_against_every_choice(
    seed, verifications, some_are_unparsable
):
    rng = np.random.default_rng(seed)
    verdicts = rng.integers(0, 2, (4, 3)).astype(float)
    if some_are_unparsable:
        verdicts[rng.random((4, 3)) < 0.3] = np.nan
    values = rng.integers(0, 2, 4).astype(float)
    found = generate_then_verify(verdicts, values, [1, 2, 3], verifications)
    expected = [over_all_choices(verdicts, values, s, verifications) for s in (1, 2, 3)]
    assert found.error_bound == 0.0
    assert np.allclose(found.accuracy, expected, atol=1e-12)


@pytest.mark.slow
def test_chances_of_yes_are_sampled_with_a_bound_below_all_verifications():
    rng = np.random.default_rng(0)
    verdicts, values = rng.random((4, 3)), [1.0, 0.0, 1.0, 0.0]
    found = generate_then_verify(verdicts, values, [1, 2], 2, draws=2000)
    assert found.error_bound > 0
    expected = [over_all_choices(verdicts, values, s, 2) for s in (1, 2)]
    assert np.all(np.abs(found.accuracy - expected) <= found.error_bound)
    assert generate_then_verify(verdicts, values, 1, 3).error_bound == 0.0
    with pytest.raises(IsocostError, match="banked"):
        generate_then_verify(verdicts, values, 1, 4)


def test_unparsable_verdicts_are_dropped_and_none_left_scores_zero():
    assert mean_verdict([[1, np.nan, 0], [np.nan, np.nan, np.nan]]).tolist() == [0.5, 0.0]


def test_shortest_of_k_against_every_subset():
    lengths, values = [9, 4, 4, 7], [1, 1, 0, 0]

    def value(subset):
        low = min(lengths[i] for i in subset)
        tied = [values[i] for i in subset if lengths[i] == low]
        return sum(tied) / len(tied)

    found = shortest_of_k(lengths, values, [1, 2, 3])
    assert np.allclose(
        found.accuracy, [mean_over_subsets(4, k, value) for k in (1, 2, 3)], atol=1e-12
    )
    tokens = [k * mean_over_subsets(4, k, lambda s: min(lengths[i] for i in s)) for k in (1, 2, 3)]
    assert np.allclose(found.tokens, tokens, atol=1e-12)


def test_surprise_chooses_among_verified_samples_only():
    logprob, verified, grade = (
        [-0.1, -0.9, -2.0, -0.5],
        [True, True, False, False],
        [0.3, 0.8, 1.0, 1.0],
    )

    def value(subset):
        passed = [i for i in subset if verified[i]]
        return grade[min(passed, key=lambda i: logprob[i])] if passed else 0.0

    found = surprisal_guided(logprob, verified, grade, [1, 2, 3, 4])
    assert np.allclose(found, [mean_over_subsets(4, k, value) for k in (1, 2, 3, 4)], atol=1e-12)

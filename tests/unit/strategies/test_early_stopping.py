from __future__ import annotations

import itertools

import numpy as np
import pytest
from brute import credit, orders, orders_of, sequence_of
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.strategies import (
    early_stopping_consistency,
    expected_max,
    majority_at_k,
    window_latency,
)

BANKS = st.lists(st.integers(1, 6), min_size=1, max_size=4).filter(
    lambda c: 4 <= sum(c) <= 10 and orders_of(c) <= 1500
)


def replayed(counts, window, cap):
    """Accuracy, samples and draws of class 0 by walking through every order."""
    accuracy = samples = drawn = 0.0
    everything = orders(sequence_of(counts))
    for order in everything:
        for m in range(1, cap // window + 1):
            last = order[(m - 1) * window : m * window]
            if len(set(last)) == 1:
                accuracy += last[0] == 0
                break
        else:
            votes = {g: order[:cap].count(g) for g in set(order[:cap])}
            accuracy += credit(votes, {g: float(g == 0) for g in votes})
        samples += m * window
        drawn += order[: m * window].count(0)
    return accuracy / len(everything), samples / len(everything), drawn / len(everything)


def test_published_expectations():
    result = early_stopping_consistency([8, 2], 0, 2, 6)
    assert float(result.samples) == pytest.approx(26 / 9, abs=1e-12)
    assert round(float(result.accuracy), 6) == 0.977778
    # The second window is opened unless the first was unanimous: 2 + 2 (1 - q_1), with q_1 =
    # .644444.
    assert float(early_stopping_consistency([8, 2], 0, 2, 4).samples) == pytest.approx(
        4 - 2 * 0.644444, abs=2e-6
    )
    # Independent draws, as from a bank without end: q = .68.
    assert float(early_stopping_consistency([800_000, 200_000], 0, 2, 6).samples) == pytest.approx(
        2.8448, abs=1e-4
    )


def test_approaches_the_closed_form_of_independent_draws():
    """E[N] = w (1 - (1 - q)^M) / q for class shares .8, .15, .05, w = 5, L = 40: 14.618981."""
    counts = np.array([800, 150, 50])
    q = ((counts / 1000) ** 5).sum()
    expected = 5 * (1 - (1 - q) ** 8) / q
    assert round(expected, 6) == 14.618981
    result = early_stopping_consistency(counts, 0, 5, 40, most_work=0, orders=10)
    assert float(result.samples) == pytest.approx(expected, rel=0.02)


@settings(max_examples=25, deadline=None)
@given(BANKS, st.integers(1, 3), st.data())
def test_against_every_order(counts, window, data):
    cap = window * data.draw(st.integers(1, sum(counts) // window))
    found = early_stopping_consistency(counts, 0, window, cap)
    expected = replayed(counts, window, cap)
    assert bool(found.is_exact)
    assert float(found.accuracy) == pytest.approx(expected[0], abs=1e-12)
    assert float(found.samples) == pytest.approx(expected[1], abs=1e-12)
    assert float(found.draws[0]) == pytest.approx(expected[2], abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(BANKS)
def test_invariants(counts):
    n = sum(counts)
    single = early_stopping_consistency(counts, 0, 1, n)
    assert float(single.samples) == pytest.approx(1)
    assert float(single.accuracy) == pytest.approx(counts[0] / n, abs=1e-12)
    whole = early_stopping_consistency(counts, 0, n, n)
    assert float(whole.samples) == pytest.approx(n)
    assert float(whole.accuracy) == pytest.approx(float(majority_at_k(counts, 0, n)), abs=1e-12)


def test_random_orders_for_the_final_vote_stay_within_their_bound():
    exact = early_stopping_consistency([9, 6, 4, 1], 0, 4, [4, 8, 20])
    sampled = early_stopping_consistency([9, 6, 4, 1], 0, 4, [4, 8, 20], most_work=0, orders=4000)
    assert not sampled.is_exact.any()
    assert np.all(np.abs(sampled.accuracy - exact.accuracy) <= sampled.error_bound)
    assert np.allclose(sampled.samples, exact.samples, atol=1e-12)


def test_no_answer_is_one_common_answer_that_is_wrong():
    result = early_stopping_consistency([2, 1], 0, 2, 4, abstained=2)
    as_class = early_stopping_consistency([2, 1, 2], 0, 2, 4)
    assert float(result.accuracy) == pytest.approx(float(as_class.accuracy), abs=1e-14)
    assert float(result.samples) == pytest.approx(float(as_class.samples), abs=1e-14)


def test_caps_must_be_whole_windows_and_inside_the_bank():
    with pytest.raises(IsocostError, match="multiples of the window"):
        early_stopping_consistency([8, 2], 0, 4, 6)
    assert np.isnan(early_stopping_consistency([3, 1], 0, 4, 8).accuracy)


def waited(classes, times, window, cap):
    """Seconds by walking through every order of the samples."""
    total = 0.0
    everything = list(itertools.permutations(range(len(classes))))
    for order in everything:
        for m in range(cap // window):
            own = order[m * window : (m + 1) * window]
            total += max(times[i] for i in own)
            if len({classes[i] for i in own}) == 1:
                break
    return total / len(everything)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(-1, 2), min_size=3, max_size=6), st.integers(1, 3), st.integers(0, 10**6)
)
def test_parallel_latency_against_every_order(classes, window, seed):
    times = np.random.default_rng(seed).integers(1, 9, len(classes)).astype(float)
    for cap in range(window, len(classes) + 1, window):
        found = window_latency(classes, times, window, cap)
        assert float(found) == pytest.approx(waited(classes, times, window, cap), rel=1e-11)


@pytest.mark.slow
def test_parallel_latency_of_one_window_and_of_too_many_for_exact_sums():
    rng = np.random.default_rng(0)
    classes, times = rng.integers(-1, 3, (2, 40)), rng.random((2, 40))
    assert np.allclose(window_latency(classes, times, 4, 4), expected_max(times, 4), rtol=1e-12)
    exact = window_latency(classes, times, 2, [8, 32])
    sampled = window_latency(classes, times, 2, [8, 32, 34], orders=20_000)
    assert np.allclose(sampled[:, :2], exact, rtol=0.02)
    assert np.all(np.diff(exact, axis=1) > 0)
    times[0, 3] = np.nan
    assert np.isnan(window_latency(classes, times, 4, 8)[0])
    assert np.isnan(window_latency(classes[:, :6], times[:, :6], 4, [4, 8])[:, 1]).all()

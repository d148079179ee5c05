from __future__ import annotations

import numpy as np
import pytest
from brute import credit, orders, orders_of, sequence_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.special import betainc
from stop_tables import beta_stop_table, sprt_stop_table

from isocost.errors import IsocostError
from isocost.strategies import adaptive_consistency, majority_at_k, sequential_ratio_test

BANKS = st.tuples(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 1)).filter(
    lambda b: 2 <= sum(b[0]) + b[1] <= 10 and orders_of([*b[0], b[1]]) <= 1500
)


def replayed(counts, abstained, stop, cap):
    """Accuracy, samples and draws of class 0 by walking through every order."""
    accuracy = samples = drawn = 0.0
    everything = orders([*sequence_of(counts), *[-1] * abstained])
    for order in everything:
        votes: dict[int, int] = {}
        for t, g in enumerate(order[:cap], start=1):
            if g >= 0:
                votes[g] = votes.get(g, 0) + 1
            top = sorted([*votes.values(), 0, 0], reverse=True)
            if stop[top[0], top[1]] or t == cap:
                break
        accuracy += credit(votes, {g: float(g == 0) for g in votes})
        samples += t
        drawn += votes.get(0, 0)
    return accuracy / len(everything), samples / len(everything), drawn / len(everything)


def test_the_criterion_is_the_published_integral():
    table = beta_stop_table(0.95, 14)
    chances = {
        (3, 0): 0.9375,
        (4, 0): 0.96875,
        (5, 1): 0.9375,
        (6, 1): 0.964844,
        (7, 2): 0.945313,
        (8, 2): 0.967285,
        (9, 3): 0.953857,
    }
    for (a, b), expected in chances.items():
        assert float(betainc(b + 1, a + 1, 0.5)) == pytest.approx(expected, abs=6e-7)
        total = integrate.quad(lambda x, a=a, b=b: x**a * (1 - x) ** b, 0, 1)[0]
        upper = integrate.quad(lambda x, a=a, b=b: x**a * (1 - x) ** b, 0.5, 1)[0]
        assert bool(table[a, b]) == (upper / total >= 0.95)
    assert [int(np.argmax(table[:, b])) for b in range(6)] == [4, 6, 8, 9, 11, 12]


@pytest.mark.slow
def test_published_expectations():
    result = adaptive_consistency([6, 3, 1], 0, 0.95, 10)
    assert float(result.samples) == pytest.approx(66 / 7, abs=1e-12)
    assert float(result.accuracy) == pytest.approx(1.0, abs=1e-12)
    wide = adaptive_consistency([28, 9, 3], 0, 0.95, 40)
    assert round(float(wide.samples), 6) == 11.110107
    assert round(float(wide.accuracy), 6) == 0.998477
    unanimous = adaptive_consistency([40], 0, 0.95, 40)
    assert (float(unanimous.samples), float(unanimous.accuracy)) == (4.0, 1.0)
    assert bool(wide.is_exact)
    assert float(wide.error_bound) == 0.0


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(BANKS, st.sampled_from([0.7, 0.9, 0.95]), st.data())
def test_against_every_order(bank, threshold, data):
    counts, abstained = bank
    cap = data.draw(st.integers(1, sum(counts) + abstained))
    found = adaptive_consistency(counts, 0, threshold, cap, abstained=abstained)
    expected = replayed(counts, abstained, beta_stop_table(threshold, 10), cap)
    assert float(found.accuracy) == pytest.approx(expected[0], abs=1e-12)
    assert float(found.samples) == pytest.approx(expected[1], abs=1e-12)
    assert float(found.draws[0]) == pytest.approx(expected[2], abs=1e-12)
    assert float(found.draws.sum()) == pytest.approx(float(found.samples), abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(BANKS, st.data())
def test_ratio_test_against_every_order(bank, data):
    counts, abstained = bank
    cap = data.draw(st.integers(1, sum(counts) + abstained))
    found = sequential_ratio_test(counts, 0, 0.8, 0.1, 0.1, cap, abstained=abstained)
    expected = replayed(counts, abstained, sprt_stop_table(0.8, 0.1, 0.1, 10), cap)
    assert float(found.accuracy) == pytest.approx(expected[0], abs=1e-12)
    assert float(found.samples) == pytest.approx(expected[1], abs=1e-12)


def test_the_ratio_test_stops_at_walds_margin():
    table = sprt_stop_table(0.75, 0.05, 0.05, 10)
    margin = int(np.ceil(np.log(19) / np.log(3)))
    assert np.array_equal(table, np.subtract.outer(np.arange(11), np.arange(11)) >= margin)


@settings(max_examples=20, deadline=None)
@given(BANKS)
def test_a_threshold_out_of_reach_is_the_majority(bank):
    counts, _ = bank
    cap = sum(counts)
    found = adaptive_consistency(counts, 0, 1 - 2.0 ** -(cap + 2), cap)
    assert float(found.samples) == pytest.approx(cap)
    assert float(found.accuracy) == pytest.approx(float(majority_at_k(counts, 0, cap)), abs=1e-12)


def test_random_orders_stay_within_their_bound_and_repeat():
    exact = adaptive_consistency([14, 9, 5, 1, 1], 0, 0.95, [4, 16, 30])
    sampled = adaptive_consistency(
        [14, 9, 5, 1, 1], 0, 0.95, [4, 16, 30], most_states=1, orders=2000, seed=7
    )
    assert not sampled.is_exact.any()
    assert np.all(np.abs(sampled.accuracy - exact.accuracy) <= sampled.error_bound)
    assert np.allclose(sampled.samples, exact.samples, rtol=0.03)
    again = adaptive_consistency(
        [14, 9, 5, 1, 1], 0, 0.95, [4, 16, 30], most_states=1, orders=2000, seed=7
    )
    assert np.array_equal(sampled.accuracy, again.accuracy)


def test_caps_beyond_the_bank_are_undefined():
    result = adaptive_consistency([[3, 2], [2, 1]], 0, 0.95, [3, 5])
    assert np.isnan(result.accuracy[1, 1])
    assert np.isnan(result.samples[1, 1])
    assert not np.isnan(result.accuracy[0]).any()
    assert result.draws.shape == (2, 2, 3)


def test_impossible_thresholds_are_refused():
    with pytest.raises(IsocostError, match="threshold"):
        adaptive_consistency([2, 1], 0, 1.5, 2)
    with pytest.raises(IsocostError, match="sprt"):
        sequential_ratio_test([2, 1], 0, 0.4)

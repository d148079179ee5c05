from __future__ import annotations

import time
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from brute import exact_majority, majority, mean_over_subsets, sequence_of
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.strategies import majority_at_k, pass_at_k, pass_hat_k
from isocost.strategies.estimators.majority import LARGEST_TABLE

BANKS = st.tuples(st.lists(st.integers(0, 4), min_size=1, max_size=5), st.integers(0, 2)).filter(
    lambda b: 0 < sum(b[0]) + b[1] <= 10
)


def test_published_vectors():
    counts, budgets = [3, 2, 1], range(1, 7)
    assert np.allclose(
        majority_at_k(counts, 0, budgets), [1 / 2, 1 / 2, 3 / 5, 7 / 10, 3 / 4, 1], atol=1e-14
    )
    order = [0, 1, 0, 1, 2, 0]
    first = majority_at_k(counts, 0, budgets, "first", order=order)
    assert np.round(first, 6).tolist() == [0.5, 0.533333, 0.65, 0.733333, 0.833333, 1.0]
    assert np.allclose(
        majority_at_k(counts, 0, budgets, "pessimistic"), [0.5, 0.2, 0.5, 0.6, 0.5, 1], atol=1e-14
    )
    assert np.allclose(
        majority_at_k(counts, 0, budgets, "optimistic"), [0.5, 0.8, 0.8, 0.8, 1, 1], atol=1e-14
    )
    wide = majority_at_k([30, 20, 10, 4], 0, [1, 2, 3, 4, 8, 16, 32, 64])
    # The sixth is printed as .784818 where the rational is .7848189664...: cut, not rounded; hence
    # a unit in the last digit.
    assert np.allclose(
        wide,
        [0.46875, 0.46875, 0.529234, 0.571414, 0.667979, 0.784818, 0.921227, 1.0],
        atol=1e-6,
        rtol=0,
    )
    # With replacement, as from a bank without end: .555556 in place of .6.
    assert float(majority_at_k([3000, 2000, 1000], 0, 3)) == pytest.approx(0.555556, abs=2e-4)
    wrong = majority_at_k([20, 30, 14], 0, [1, 4, 16, 64])
    assert np.round(wrong, 6).tolist() == [0.3125, 0.290812, 0.19307, 0.0]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(BANKS, st.sampled_from(["uniform", "pessimistic", "optimistic"]), st.data())
def test_against_every_subset(bank, ties, data):
    counts, abstained = bank
    n = sum(counts) + abstained
    k = data.draw(st.integers(1, n))
    worth = data.draw(
        st.lists(st.sampled_from([0.0, 1.0, 0.25]), min_size=len(counts), max_size=len(counts))
    )
    classes = [*sequence_of(counts), *[-1] * abstained]
    expected = mean_over_subsets(n, k, majority(classes, worth, ties))
    assert float(majority_at_k(counts, worth, k, ties, abstained=abstained)) == pytest.approx(
        expected, abs=1e-12
    )
    votes = {**dict(enumerate(worth)), -1: 0.0}
    expected = mean_over_subsets(n, k, majority(classes, votes, ties, ignore=None))
    found = majority_at_k(counts, worth, k, ties, abstained=abstained, abstentions="wrong")
    assert float(found) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(BANKS.filter(lambda b: sum(b[0]) > 0), st.data())
def test_first_seen_against_every_subset(bank, data):
    counts, abstained = bank
    order = data.draw(st.permutations([*sequence_of(counts), *[-1] * abstained]))
    k = data.draw(st.integers(1, len(order)))

    def value(subset):
        votes: dict[int, int] = {}
        for i in subset:
            if order[i] >= 0:
                votes[order[i]] = votes.get(order[i], 0) + 1
        return 1.0 if votes and max(votes, key=votes.get) == 0 else 0.0

    found = majority_at_k(counts, 0, k, "first", abstained=abstained, order=order)
    assert float(found) == pytest.approx(mean_over_subsets(len(order), k, value), abs=1e-12)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(BANKS.filter(lambda b: sum(b[0]) > 1))
def test_invariants(bank):
    counts, _ = bank
    n, budgets = sum(counts), np.arange(1, sum(counts) + 1)
    wins = np.stack([majority_at_k(counts, g, budgets) for g in range(len(counts))])
    assert np.allclose(wins.sum(axis=0), 1, atol=1e-12)
    assert wins[0, 0] == pytest.approx(counts[0] / n, abs=1e-13)
    assert wins[0, 1] == pytest.approx(counts[0] / n, abs=1e-13)
    relabelled = majority_at_k([counts[0], *reversed(counts[1:])], 0, budgets)
    assert np.allclose(relabelled, wins[0], atol=1e-13)
    assert np.all(wins[0] <= pass_at_k(n, counts[0], budgets) + 1e-12)
    assert np.all(wins[0] >= pass_hat_k(n, counts[0], budgets) - 1e-12)
    assert np.allclose(majority_at_k(counts, 0, budgets, "first"), wins[0])


@pytest.mark.parametrize("k", [1, 3, 8, 16, 31, 63])
def test_against_exact_rationals_of_the_same_polynomials(k):
    assert float(majority_at_k([30, 20, 10, 4], 0, k)) == pytest.approx(
        float(exact_majority([30, 20, 10, 4], k)), abs=1e-14
    )


def test_digits_hold_at_a_hundred_samples():
    """Two classes: the winner is a tail of one hypergeometric law, known in exact rationals."""
    a, b, k = 55, 45, 63
    exact = sum(
        Fraction(comb(a, v) * comb(b, k - v), comb(a + b, k))
        for v in range(k // 2 + 1, min(a, k) + 1)
        if k - v <= b
    )
    assert float(majority_at_k([a, b], 0, k)) == pytest.approx(float(exact), abs=1e-14)


def test_a_bank_past_the_table_of_binomials():
    a, b = LARGEST_TABLE, 500
    for k in (2, 5, 300):
        lead = sum(
            Fraction(comb(a, v) * comb(b, k - v), comb(a + b, k)) for v in range(k // 2 + 1, k + 1)
        )
        half = Fraction(comb(a, k // 2) * comb(b, k // 2), comb(a + b, k)) / 2 if k % 2 == 0 else 0
        assert float(majority_at_k([a, b], 0, k)) == pytest.approx(float(lead + half), abs=1e-11)


def test_equals_a_shuffling_loop_within_its_error():
    rng = np.random.default_rng(5)
    classes = np.array(sequence_of([12, 9, 5, 3, 1, 1]))
    wins = 0.0
    for _ in range(4000):
        votes = np.bincount(rng.permutation(classes)[:8], minlength=6)
        tied = np.flatnonzero(votes == votes.max())
        wins += (0 in tied) / len(tied)
    assert float(majority_at_k([12, 9, 5, 3, 1, 1], 0, 8)) == pytest.approx(
        wins / 4000, abs=4 * 0.5 / np.sqrt(4000)
    )


def test_stated_behaviour_at_the_edges():
    assert np.isnan(majority_at_k([2, 1], 0, 4))
    assert float(majority_at_k([0, 0], 0, 2, abstained=3)) == 0.0
    assert float(majority_at_k([4], 0, 3)) == 1.0
    assert float(majority_at_k([4], -1, 3)) == 0.0
    rows = majority_at_k([[3, 2, 1], [1, 1, 0]], [0, 1], [1, 2, 5])
    assert rows.shape == (2, 3)
    assert np.isnan(rows[1, 2])
    assert rows[1, 0] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([3, 2], 5, 1), "class numbers"),
        (([3, 2], [1, 0, 0], 1), "class index"),
        (([3, -2], 0, 1), "counts"),
        (([3, 2], 0, 1, "coin"), "unknown rule"),
        (([3, 2], 0, 0), "at least 1"),
    ],
)
def test_nonsense_is_refused(arguments, message):
    with pytest.raises(IsocostError, match=message):
        majority_at_k(*arguments)


def test_an_order_that_does_not_fit_is_refused():
    with pytest.raises(IsocostError, match="does not contain the counted samples"):
        majority_at_k([2, 1], 0, 2, "first", order=[0, 1, 1])


def test_a_thousand_problems_take_a_fraction_of_a_second():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(12, 0.4), 1000)
    counts = np.array([rng.multinomial(64, p) for p in shares])
    majority_at_k(counts[:1], 0, [1, 2, 4])
    start = time.process_time()
    majority_at_k(counts, 0, [1, 2, 4, 8, 16, 32, 64])
    assert time.process_time() - start < 2.0

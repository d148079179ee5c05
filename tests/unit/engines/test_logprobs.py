"""Statistics of log-probabilities against worked numbers, brute force and the bounds they claim to
be.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from isocost.engines.logprobs import (
    TokenLogprobs,
    bottom_tenth,
    entropy_bounds,
    self_certainty_low,
    statistics,
    token_confidence,
    window_means,
)

P = np.array([[0.7, 0.1, 0.1, 0.1]])


def test_worked_numbers_of_entropy_and_its_bounds():
    low, high = entropy_bounds(np.log(P), 4)
    assert (
        low[0] == pytest.approx(0.940448, abs=5e-7)
        and high is not None
        and high[0] == pytest.approx(0.940448, abs=5e-7)
    )
    low, high = entropy_bounds(np.log(np.array([[0.5, 0.5]])), 2)
    assert low[0] == pytest.approx(0.693147, abs=5e-7)
    low, high = entropy_bounds(np.log(P[:, :3]), 50_000)
    assert (
        low[0] == pytest.approx(0.940448, abs=5e-7)
        and high is not None
        and high[0] == pytest.approx(2.022420, abs=5e-7)
    )


def test_worked_numbers_of_self_certainty():
    assert self_certainty_low(np.log(P), 4)[0] == pytest.approx(0.429813, abs=5e-7)
    assert self_certainty_low(np.log(np.full((1, 4), 0.25)), 4)[0] == pytest.approx(0, abs=1e-12)
    assert self_certainty_low(np.log(P[:, :3]), 50_000)[0] == pytest.approx(2.301837, abs=5e-7)


def test_worked_numbers_of_confidence():
    assert token_confidence(np.log(P[:, :3]))[0] == pytest.approx(1.653948, abs=5e-7)
    c = np.array([2, 4, 6, 1, 1, 7.0])
    means = window_means(c, 3)
    assert means == pytest.approx([4, 11 / 3, 8 / 3, 3])
    top = -c[:, None]
    found = statistics(TokenLogprobs(np.zeros(6), top, None), window=3)
    assert found.confidence_lowest_group == pytest.approx(
        8 / 3
    ) and found.confidence_bottom_tenth == pytest.approx(8 / 3)
    assert statistics(
        TokenLogprobs(np.zeros(6), top, None), window=2
    ).confidence_tail == pytest.approx(4)
    assert found.confidence_sum == pytest.approx(6 * 3.5)
    short = statistics(TokenLogprobs(np.zeros(6), top, None))
    assert short.confidence_lowest_group == short.confidence_tail == pytest.approx(3.5)


def test_sums_of_the_sampled_tokens():
    sampled = np.array([-0.1, -0.2, -1.5, -0.05])
    found = statistics(TokenLogprobs(sampled, np.zeros((4, 0)), 10))
    assert (
        found.logprob_sum == pytest.approx(-1.85)
        and found.entropy_low_sum is None
        and found.token_confidences is None
    )
    assert statistics(TokenLogprobs(np.zeros(0), np.zeros((0, 5)), 10)).logprob_sum is None


def test_what_is_not_finite_or_not_known_is_none_never_nan():
    top = np.array([[0.0, -math.inf]])
    found = statistics(TokenLogprobs(np.array([-math.inf]), top, 100))
    assert (
        found.logprob_sum is None
        and found.confidence_sum is None
        and found.token_confidences is None
    )
    assert found.entropy_low_sum == 0.0
    unknown = statistics(TokenLogprobs(np.array([-0.1]), np.log(P), None))
    assert (
        unknown.entropy_high_sum is None
        and unknown.self_certainty_low_sum is None
        and unknown.entropy_low_sum is not None
    )


@settings(max_examples=60, deadline=None)
@given(
    logits=arrays(
        np.float64, st.tuples(st.integers(1, 6), st.integers(3, 40)), elements=st.floats(-12, 12)
    ),
    k=st.integers(1, 3),
)
def test_bounds_hold_against_the_whole_distribution(logits, k):
    logits = logits - logits.max(axis=1, keepdims=True)
    lp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    top = -np.sort(-lp, axis=1)[:, :k]
    entropy = -(np.exp(lp) * lp).sum(axis=1)
    certainty = -lp.mean(axis=1) - math.log(lp.shape[1])
    low, high = entropy_bounds(top, lp.shape[1])
    assert (low <= entropy + 1e-9).all() and high is not None and (entropy <= high + 1e-9).all()
    assert (self_certainty_low(top, lp.shape[1]) <= certainty + 1e-9).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 30), min_size=1, max_size=60), st.integers(1, 70))
def test_windows_agree_with_a_plain_loop(values, window):
    c = np.array(values)
    if len(values) <= window:
        naive = [sum(values) / len(values)]
    else:
        naive = [sum(values[i : i + window]) / window for i in range(len(values) - window + 1)]
    assert window_means(c, window) == pytest.approx(naive, abs=1e-9)
    lowest = sorted(naive)[: max(1, int(0.1 * len(naive)))]
    assert bottom_tenth(window_means(c, window)) == pytest.approx(
        sum(lowest) / len(lowest), abs=1e-9
    )

from __future__ import annotations

import itertools

import numpy as np
import pytest
from brute import credit
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.strategies import (
    Records,
    confidence_records,
    confidence_threshold,
    deepconf_online,
    stop_token,
    trace_confidence,
    weighted_majority_at_k,
)


def test_published_windows_and_summaries():
    found = trace_confidence([2, 4, 6, 1, 1, 7], window=3, tail=2)
    assert np.round(found.windows, 6).tolist() == [4.0, 3.666667, 2.666667, 3.0]
    assert (round(found.lowest_group, 6), found.tail, found.mean) == (2.666667, 4.0, 3.5)
    assert round(found.bottom_tenth, 6) == 2.666667
    short = trace_confidence([1.0, 2.0], window=2048)
    assert short.windows.tolist() == [1.5]


def test_published_thresholds():
    confidences = np.arange(1.0, 11.0)
    assert confidence_threshold(confidences, 0.1) == pytest.approx(9.1)
    assert (confidences >= confidence_threshold(confidences, 0.1)).sum() == 1
    assert confidence_threshold(confidences, 0.9) == pytest.approx(1.9)
    assert (confidences >= confidence_threshold(confidences, 0.9)).sum() == 9


@pytest.mark.slow
def test_online_replay_with_everyone_kept_is_the_weighted_vote():
    """All traces equally confident.

    None lies below the threshold, so nothing is cut and equal weights vote.
    """
    classes = np.array([[0, 0, 0, 1, 1, 2]])
    result = deepconf_online(
        classes, np.full((1, 6), 3.0), 0, 6, warmup=2, tokens=np.full((1, 6), 10)
    )
    assert float(result.accuracy[0]) == float(
        weighted_majority_at_k(classes, np.full((1, 6), 3.0), 0, 6)[0]
    )
    assert (float(result.cut[0]), float(result.tokens[0])) == (0.0, 60.0)


def test_online_replay_cuts_and_counts_tokens_up_to_the_crossing():
    """One hopeless trace.

    It is cut whenever it is not among the warm-ups, after its first window.
    """
    classes = np.array([[0, 0, 0, 0, 1]])
    lowest = np.array([[5.0, 5.0, 5.0, 5.0, 1.0]])
    records = Records.from_lists([[[10]] * 5], [[[5.0]] * 4 + [[1.0]]])
    result = deepconf_online(
        classes,
        lowest,
        0,
        5,
        warmup=2,
        keep=0.9,
        tokens=np.full((1, 5), 100),
        records=records,
        orders=4000,
    )
    assert float(result.accuracy[0]) == 1.0
    assert float(result.cut[0]) == pytest.approx(3 / 5, abs=0.03)
    assert float(result.tokens[0]) == pytest.approx(500 - 90 * 3 / 5, abs=3)


def traces(seed, n=6, window=4):
    """Token confidences of traces around the window's length, with their records, lowest groups,
    lengths and classes.
    """
    rng = np.random.default_rng(seed)
    tokens = [rng.random(int(rng.integers(2, 14))) + 1 for _ in range(n)]
    records = [confidence_records(t, window) for t in tokens]
    lowest = np.array([trace_confidence(t, window).lowest_group for t in tokens])
    return (
        tokens,
        records,
        lowest,
        np.array([float(len(t)) for t in tokens]),
        rng.integers(-1, 2, n),
    )


def walked(tokens, lowest, classes, warmup, keep, k, window=4):
    """Accuracy, cuts and tokens over every order, token by token as the engine would."""
    totals = np.zeros(3)
    everything = list(itertools.permutations(range(len(tokens)), k))
    for order in everything:
        bar = np.percentile(lowest[list(order[:warmup])], 100 * (1 - keep))
        votes: dict[int, float] = {}
        for i, j in enumerate(order):
            stop = next(
                (
                    t
                    for t in range(window, len(tokens[j]) + 1)
                    if tokens[j][t - window : t].mean() < bar - 1e-12
                ),
                None,
            )
            is_cut = i >= warmup and stop is not None
            totals[1:] += (is_cut, stop if is_cut else len(tokens[j]))
            if lowest[j] >= bar and classes[j] >= 0:
                votes[classes[j]] = votes.get(classes[j], 0.0) + lowest[j]
        totals[0] += credit(votes, {g: float(g == 0) for g in votes})
    return totals / len(everything)


@pytest.mark.slow
@pytest.mark.parametrize("keep", [0.9, 0.5, 0.1])
def test_online_replay_against_every_order_walked_token_by_token(keep):
    tokens, records, lowest, lengths, classes = traces(1)
    banked = Records.from_lists([[r[0] for r in records]], [[r[1] for r in records]])
    found = deepconf_online(
        classes, lowest, 0, [3, 6], warmup=2, keep=keep, tokens=lengths, records=banked, orders=6000
    )
    for i, k in enumerate((3, 6)):
        accuracy, cut, spent = walked(tokens, lowest, classes, 2, keep, k)
        assert found.accuracy[i] == pytest.approx(accuracy, abs=found.error_bound)
        assert found.cut[i] == pytest.approx(cut, abs=0.05)
        assert found.tokens[i] == pytest.approx(spent, abs=0.4)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=20), st.integers(1, 6), st.floats(0, 6))
def test_records_say_where_any_threshold_stops_a_trace(trace, window, threshold):
    """Against looking at every window.

    The first full one below the threshold ends with the token reported.
    """
    at, low = confidence_records(trace, window)
    first = next(
        (
            t
            for t in range(window, len(trace) + 1)
            if np.mean(trace[t - window : t]) < threshold - 1e-9
        ),
        None,
    )
    found = stop_token(at, low, threshold - 1e-9)
    assert found == first
    assert np.all(np.diff(at) > 0)
    assert np.all(np.diff(low) < 0)
    assert len(trace) < window or low[-1] == pytest.approx(
        trace_confidence(trace, window).lowest_group
    )


def test_a_trace_shorter_than_the_window_is_never_stopped_and_records_not_banked_make_tokens_unknown():
    assert [len(part) for part in confidence_records([1.0, 2.0], 3)] == [0, 0]
    lowest, lengths = np.array([5.0, 5.0, 5.0, 1.0]), np.full(4, 2.0)
    none = Records.from_lists([[[], [], [], []]], [[[], [], [], []]])
    short = deepconf_online(
        [0, 0, 0, 1], lowest, 0, 4, warmup=2, tokens=lengths, records=none, orders=50
    )
    assert (float(short.cut), float(short.tokens), float(short.accuracy)) == (0.0, 8.0, 1.0)
    unbanked = Records.from_lists([[[], [], [], None]], [[[], [], [], None]])
    assert np.isnan(
        deepconf_online(
            [0, 0, 0, 1], lowest, 0, 4, warmup=2, tokens=lengths, records=unbanked, orders=50
        ).tokens
    )
    with pytest.raises(IsocostError, match="finite"):
        confidence_records([1.0, np.nan], 1)
    with pytest.raises(IsocostError, match="as many tokens as values"):
        Records.from_lists([[[3]]], [[[]]])


def test_tokens_of_cut_traces_are_unknown_without_their_crossings():
    lowest = np.array([[5.0, 4.0, 3.0, 2.0, 1.0]])
    result = deepconf_online(
        np.zeros((1, 5), dtype=int), lowest, 0, 5, warmup=2, tokens=np.full((1, 5), 100)
    )
    assert np.isnan(result.tokens[0])


def test_budgets_and_gaps_are_refused():
    with pytest.raises(IsocostError, match="warm-up"):
        deepconf_online([0, 1], [1.0, 2.0], 0, 2, warmup=3)
    with pytest.raises(IsocostError, match="NaN"):
        deepconf_online([0, 1], [1.0, np.nan], 0, 2, warmup=1)
    assert np.isnan(deepconf_online([0, 1], [1.0, 2.0], 0, 3, warmup=1).accuracy)

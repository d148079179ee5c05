from __future__ import annotations

import numpy as np
import pytest

from isocost.errors import IsocostError
from isocost.strategies import confidence_threshold, deepconf_online, trace_confidence, weighted_majority_at_k


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


def test_online_replay_with_everyone_kept_is_the_weighted_vote():
    """All traces equally confident: none lies below the threshold, so nothing is cut and equal weights vote."""
    classes = np.array([[0, 0, 0, 1, 1, 2]])
    result = deepconf_online(classes, np.full((1, 6), 3.0), 0, 6, warmup=2, tokens=np.full((1, 6), 10))
    assert float(result.accuracy[0]) == float(weighted_majority_at_k(classes, np.full((1, 6), 3.0), 0, 6)[0])
    assert (float(result.cut[0]), float(result.tokens[0])) == (0.0, 60.0)


def test_online_replay_cuts_and_counts_tokens_up_to_the_crossing():
    """One hopeless trace: it is cut whenever it is not among the warm-ups, after its first window."""
    classes = np.array([[0, 0, 0, 0, 1]])
    lowest = np.array([[5.0, 5.0, 5.0, 5.0, 1.0]])
    minima = np.array([[[5.0, 5.0]] * 4 + [[1.0, 1.0]]])
    result = deepconf_online(
        classes, lowest, 0, 5, warmup=2, keep=0.9, tokens=np.full((1, 5), 100), running_minima=minima, window=10, orders=4000
    )
    assert float(result.accuracy[0]) == 1.0
    assert float(result.cut[0]) == pytest.approx(3 / 5, abs=0.03)
    assert float(result.tokens[0]) == pytest.approx(500 - 90 * 3 / 5, abs=3)


def test_tokens_of_cut_traces_are_unknown_without_their_crossings():
    lowest = np.array([[5.0, 4.0, 3.0, 2.0, 1.0]])
    result = deepconf_online(np.zeros((1, 5), dtype=int), lowest, 0, 5, warmup=2, tokens=np.full((1, 5), 100))
    assert np.isnan(result.tokens[0])


def test_budgets_and_gaps_are_refused():
    with pytest.raises(IsocostError, match="warm-up"):
        deepconf_online([0, 1], [1.0, 2.0], 0, 2, warmup=3)
    with pytest.raises(IsocostError, match="NaN"):
        deepconf_online([0, 1], [1.0, np.nan], 0, 2, warmup=1)
    assert np.isnan(deepconf_online([0, 1], [1.0, 2.0], 0, 3, warmup=1).accuracy)

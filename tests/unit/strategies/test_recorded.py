"""Votes in recorded order, first-seen ties and windows against plain Python, sample by sample and
order by order.
"""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.strategies import PointBank, majority_at_k
from isocost.strategies.estimators.recorded import early_stopping_recorded, majority_recorded
from isocost.strategies.options import ReplayOptions
from isocost.strategies.policies.early_stopping import EarlyStopping
from isocost.strategies.policies.majority import Majority
from isocost.strategies.policies.pass_at_k import PassAtK
from isocost.strategies.registry import asked_strategies, find_strategies

CLASSES = st.lists(st.integers(-1, 3), min_size=1, max_size=12)
WORTH = np.array([1.0, 0.0, 0.25, 0.0])


def counted(sequence) -> float:
    """What the majority answer is worth, ties to the class seen first.

    Counter keeps the order in which it met its keys.
    """
    votes = Counter(g for g in sequence if g >= 0)
    return float(WORTH[votes.most_common(1)[0][0]]) if votes else 0.0


def shared(sequence) -> float:
    votes = Counter(g for g in sequence if g >= 0)
    tied = [WORTH[g] for g, v in votes.items() if v == max(votes.values())]
    return float(np.mean(tied)) if tied else 0.0


def stopped(sequence, window: int, cap: int) -> tuple[float, int]:
    """Early stopping as its authors run it: no answer is one answer more, which is wrong."""
    seen = []
    for start in range(0, cap, window):
        part = sequence[start : start + window]
        seen += part
        if len(set(part)) == 1:
            return (0.0 if part[0] < 0 else float(WORTH[part[0]])), len(seen)
    answer = Counter(seen).most_common(1)[0][0]
    return (0.0 if answer < 0 else float(WORTH[answer])), cap


@settings(deadline=None)  # the first call compiles
@given(CLASSES)
def test_the_recorded_majority_is_the_counter_of_the_first_k(sequence):
    ks = np.array([len(sequence), 1, len(sequence) + 1])
    for ties, value in (("first", counted), ("uniform", shared)):
        got = majority_recorded(
            np.array([sequence]), WORTH[None], np.array([len(sequence)]), ks, ties
        )[0]
        assert got[:2].tolist() == pytest.approx(
            [value(sequence), value(sequence[:1])]
        ) and np.isnan(got[2])


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(0, 2), min_size=1, max_size=6), st.data())
def test_first_seen_ties_over_all_orders_share_the_credit(sequence, data):
    k = data.draw(st.integers(1, len(sequence)))
    value = np.mean([counted(order[:k]) for order in itertools.permutations(sequence)])
    counts = np.bincount(sequence, minlength=3)
    assert majority_at_k(counts, WORTH[:3], k, "first") == pytest.approx(value, abs=1e-12)
    assert majority_at_k(counts, WORTH[:3], k) == pytest.approx(value, abs=1e-12)


@settings(deadline=None)  # the first call compiles
@given(CLASSES, st.integers(2, 5))
def test_recorded_windows_stop_where_the_authors_do(sequence, window):
    caps = np.arange(window, len(sequence) + window + 1, window)
    got = early_stopping_recorded(
        np.array([sequence]), WORTH[None], np.array([len(sequence)]), window, caps
    )
    for i, cap in enumerate(caps):
        if cap > len(sequence):
            assert np.isnan(got.accuracy[0, i]) and got.used[0, i] == 0
        else:
            assert (got.accuracy[0, i], got.used[0, i]) == pytest.approx(
                stopped(sequence, window, int(cap))
            )


def bank(classes, correct, seconds) -> PointBank:
    shape = np.shape(classes)
    tokens = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    columns = {"output_tokens": tokens, "latency_s": np.array(seconds, dtype=float)}
    ids = tuple(f"q{i}" for i in range(shape[0]))
    return PointBank(
        "pt",
        ids,
        np.full(shape[0], shape[1]),
        np.array(correct, dtype=float),
        np.array(classes),
        columns,
    )


def test_costs_are_those_of_the_samples_that_were_used():
    one = bank([[0, 1, 1, 0, 0]], [[1, 0, 0, 1, 1]], [[5, 1, 9, 2, 2]])
    vote = Majority(ties="first", order="as_recorded").replay(one, np.array([1, 2, 3, 5]))
    assert vote.accuracy[0].tolist() == [1.0, 1.0, 0.0, 1.0]
    assert vote.costs["output_tokens"][0].tolist() == [1, 3, 6, 15] and vote.costs["samples"][
        0
    ].tolist() == [1, 2, 3, 5]
    assert vote.costs["latency_parallel_s"][0].tolist() == [5, 5, 9, 9] and vote.costs[
        "latency_sequential_s"
    ][0].tolist() == [5, 6, 15, 19]
    found = PassAtK(order="as_recorded").replay(
        bank([[0, 1]], [[0, 1]], [[1, 1]]), np.array([1, 2])
    )
    assert found.accuracy[0].tolist() == [0.0, 1.0]
    early = EarlyStopping(window=2, order="as_recorded").replay(one, np.array([2, 4]))
    assert early.accuracy[0].tolist() == [1.0, 1.0] and early.costs["samples"][0].tolist() == [2, 4]
    assert early.costs["latency_parallel_s"][0].tolist() == [5, 14]


def test_what_is_asked_for_stands_beside_or_in_place_of_the_usual():
    usual = {s.name for s in find_strategies()}
    assert {s.name for s in asked_strategies(ReplayOptions())} == usual
    asked = asked_strategies(
        ReplayOptions(windows=(4, 5), ties=("first",), orders=("exchangeable", "as_recorded"))
    )
    names = {s.name: s for s in asked}
    assert names.keys() - usual == {
        "early_stopping_consistency_as_recorded",
        "early_stopping_consistency_window_5",
        "early_stopping_consistency_window_5_as_recorded",
        "majority_at_k_first",
        "majority_at_k_first_as_recorded",
        "pass_at_k_as_recorded",
    }
    assert len(names) == len(asked) and names["majority_at_k_first"].tie_rule == "first"
    assert names["majority_at_k_first_as_recorded"].parameters["order"] == "as_recorded"
    only = {s.name for s in asked_strategies(ReplayOptions(orders=("as_recorded",)))}
    assert (
        "pass_at_k_as_recorded" in only
        and "pass_at_k" not in only
        and "best_of_k_mean_logprob" in only
    )
    twenty = bank([[0] * 20], [[1] * 20], [[1] * 20])
    assert names["early_stopping_consistency_window_5"].budgets(
        twenty, np.array([1, 5, 8, 12])
    ).tolist() == [5, 10]


def test_counts_have_no_recorded_order():
    counts = PointBank(
        "pt",
        ("q",),
        np.array([9]),
        np.zeros((1, 0)),
        np.zeros((1, 0), dtype=np.int64),
        {},
        tallies=np.array([4]),
    )
    asked = asked_strategies(ReplayOptions(orders=("exchangeable", "as_recorded")))
    assert not [s.name for s in asked if s.name.endswith("as_recorded") and s.applies(counts)]
    with pytest.raises(IsocostError, match="more samples than classes"):
        majority_recorded(counts.classes, np.zeros((1, 1)), counts.sizes, np.array([3]))

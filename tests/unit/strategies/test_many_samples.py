"""Banks of many samples.

What replaces an exact computation keeps its bound, and what closed forms give is what the sums
give.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stop_tables import beta_stop_table, sprt_stop_table

from isocost.stopping import beta_leads, sprt_leads
from isocost.strategies import pass_at_k, retry_until_verified
from isocost.strategies.estimators.coverage import miss_rate
from isocost.strategies.estimators.majority import majority_of_rows
from isocost.strategies.estimators.majority_sampled import affordable, estimate_majority
from isocost.strategies.estimators.verification import verified_rows
from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Strategy, find_strategies


@settings(deadline=None)  # the first call compiles
@given(st.integers(1, 60), st.data())
def test_attempts_are_the_sum_of_the_chances_to_go_on(n, data):
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    expected = sum(float(miss_rate(n, c, j)) for j in range(k))
    found = retry_until_verified(n, c, k)
    assert found.attempts == pytest.approx(expected, rel=1e-12) and found.success == pytest.approx(
        float(pass_at_k(n, c, k))
    )


@settings(deadline=None)  # the first call compiles
@given(st.floats(0.5, 1.0), st.integers(1, 40))
def test_leads_are_the_edge_of_the_table(threshold, most):
    beta = beta_leads(threshold, most), beta_stop_table(threshold, most)
    sprt = sprt_leads(0.7, 0.05, 0.1, most), sprt_stop_table(0.7, 0.05, 0.1, most)
    for leads, table in (beta, sprt):
        for second in range(most + 1):
            stops = np.flatnonzero(table[:, second])
            assert leads[second] == (stops[0] if stops.size else most + 1)


def test_votes_of_many_samples_keep_their_bound_and_small_ones_are_exact():
    rng = np.random.default_rng(3)
    votes = rng.multinomial(120, rng.dirichlet(np.ones(6), 12))
    values = np.zeros(votes.shape)
    values[:, 0], values[:, 1] = 1.0, 0.4
    free, ks = rng.integers(0, 9, 12), np.array([120, 3, 40])
    exact = majority_of_rows(votes, values, free, ks)
    same = estimate_majority(votes, values, free, ks)
    assert same.is_exact.all() and np.array_equal(same.accuracy, exact)
    for ties in ("uniform", "pessimistic", "optimistic"):
        rough = estimate_majority(votes, values, free, ks, ties, most_work=100.0)
        sampled = ~rough.is_exact
        assert sampled[:, [0, 2]].any() and (rough.draws[sampled] == 256).all()
        apart = np.abs(rough.accuracy - majority_of_rows(votes, values, free, ks, ties))
        assert (apart <= rough.error_bound + 1e-12).all() and apart[rough.is_exact].max(
            initial=0
        ) == 0
    again = estimate_majority(votes, values, free, ks, most_work=100.0)
    assert np.array_equal(
        again.accuracy, estimate_majority(votes, values, free, ks, most_work=100.0).accuracy
    )


def test_the_quick_look_never_calls_an_expensive_vote_affordable():
    rng = np.random.default_rng(5)
    votes = rng.integers(0, 30, (40, 5))
    values, ks = (rng.random((40, 5)) < 0.4).astype(float), np.array([1, 8, 30])
    sizes = votes.sum(axis=1)
    for limit in (1e2, 1e4, 1e6):
        # With a limit that only the closer look can pass, both looks say the same.
        close = affordable(votes, values, sizes, ks, limit)
        assert (close <= affordable(votes, values, sizes, ks, limit * 10)).all()


def test_verdicts_of_many_solutions_are_drawn_where_the_closed_form_is_expensive(monkeypatch):
    from isocost.strategies.estimators import verification

    rng = np.random.default_rng(1)
    verdicts, values = (
        (rng.random((3, 12, 4)) < 0.5).astype(float),
        (rng.random((3, 12)) < 0.5).astype(float),
    )
    listed = (
        verdicts,
        np.full((3, 12), 4),
        values,
        np.ones((3, 12), dtype=bool),
        np.array([1, 4, 12]),
        2,
    )
    starts = np.arange(3, dtype=np.uint64)
    exact, is_exact = verified_rows(*listed, draws=400, starts=starts)
    monkeypatch.setattr(verification, "MOST_WORK", 10)
    drawn, is_drawn = verified_rows(*listed, draws=400, starts=starts)
    assert is_exact.all() and not is_drawn.any()
    assert np.abs(exact - drawn).max() <= np.sqrt(np.log(2 / 0.05) / 800)


def test_a_bank_of_counts_replays_what_counts_suffice_for_and_says_why_not_the_rest():
    sizes, correct = np.array([50, 20]), np.array([10, 0])
    nothing = np.zeros((2, 0))
    counts = PointBank(
        "pt", ("a", "b"), sizes, nothing, nothing.astype(np.int64), {}, tallies=correct
    )
    samples = np.where(np.arange(50) < correct[:, None], 1.0, 0.0)
    full = PointBank("pt", ("a", "b"), sizes, samples, np.full((2, 50), -1), {})
    ks = np.array([1, 5, 20, 50])
    for strategy in find_strategies():
        if not isinstance(strategy, Strategy) or not strategy.applies(counts):
            continue
        budgets = strategy.budgets(counts, ks)
        mine, theirs = strategy.replay(counts, budgets), strategy.replay(full, budgets)
        assert np.array_equal(mine.accuracy, theirs.accuracy, equal_nan=True), strategy.name
        if strategy.reads_answers:
            assert np.isnan(mine.accuracy).all() and mine.undefined["answers_not_banked"].all()
    assert counts.aligned(("b", "c", "a")).n_correct.tolist() == [0, 0, 10]

"""The sweep over draws.

The compiled loops equal the plain ones, and both equal the definitions, whatever ties and copies
there are.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.frontier import draws as module
from isocost.frontier import (
    frontier_draws,
    frontier_membership,
    joint,
    joint_membership,
    percentile_interval,
    replicates,
    resample_counts,
)
from isocost.frontier.bootstrap import replicate_means
from isocost.frontier.dominance import frontier_rows
from isocost.frontier.draws import margin_rows, pair_up, sweep
from isocost.frontier.replication import ROUNDING, Replicates, standard_error

COSTS = ("ties", "near ties", "chains", "all equal", "zeros", "spread")


def bank(
    kind: str, seed: int, outcomes: int = 60, problems: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Values and costs with copies of outcomes, copies in one of the two only, and costs of the
    kind asked for.
    """
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(1, 5))
    values = rng.integers(0, steps + 1, (outcomes, problems)) / steps
    costs = rng.integers(1, 5, (outcomes, problems)) / 3 * rng.integers(1, 4, (outcomes, 1))
    if kind == "near ties":
        costs = costs * (1 + rng.integers(-2, 3, costs.shape) * 0.4 * ROUNDING)
    elif kind == "chains":
        # Links within rounding whose ends are not: 1, 1 + 0.7e-12, 1 + 1.4e-12, ...
        costs = np.repeat(
            1 + rng.integers(0, 6, (outcomes, 1)) * 0.7 * ROUNDING, problems, axis=1
        ) * rng.integers(1, 3, (outcomes, 1))
    elif kind == "all equal":
        costs = np.full(costs.shape, 2.0)
    elif kind == "zeros":
        costs = costs * (rng.random((outcomes, 1)) < 0.5)
    elif kind == "spread":
        costs = costs * rng.lognormal(0, 2, costs.shape)
    values[: outcomes // 6], costs[: outcomes // 6] = (
        values[-(outcomes // 6) :],
        costs[-(outcomes // 6) :],
    )
    values[outcomes // 6 : outcomes // 3] = values[0]
    return values, costs


def drawn(
    values: np.ndarray, costs: np.ndarray, seed: int, draws: int = 90, **options
) -> tuple[Replicates, Replicates]:
    counts = (
        resample_counts(values.shape[1], draws, seed, **options)
        if values.shape[1] > 1
        else np.ones((draws, 1))
    )
    return replicates(values, counts), replicates(costs, counts)


@pytest.mark.slow
@pytest.mark.parametrize("kind", COSTS)
@given(
    seed=st.integers(0, 2**31),
    tile=st.integers(1, 64),
    layers=st.integers(1, 3),
    problems=st.sampled_from([1, 2, 8]),
)
@settings(max_examples=25, deadline=None)
def test_the_compiled_sweep_equals_the_plain_one(kind, seed, tile, layers, problems):
    quality, cost = drawn(*bank(kind, seed, problems=problems), seed)
    pairs = pair_up(quality, cost)
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TILE", tile)
        patch.setattr(module, "MOST", tile)
        patch.setattr(module, "LAYERS", layers)
        for small in (0, 1 << 40):
            patch.setattr(module, "SMALL", small)
            place = frontier_draws(quality, cost)
            found.append((*sweep(pairs), place.membership, place.low, place.high))
    for compiled, plain in zip(*found, strict=True):
        assert np.array_equal(compiled, plain)


@pytest.mark.slow
@pytest.mark.parametrize("kind", COSTS)
@given(seed=st.integers(0, 2**31), chunk=st.sampled_from([100, 1 << 21]))
@settings(max_examples=20, deadline=None)
def test_the_compiled_joint_membership_equals_the_plain_one(kind, seed, chunk):
    values, first = bank(kind, seed)
    _, second = bank(COSTS[seed % len(COSTS)], seed + 1)
    counts = resample_counts(values.shape[1], 60, seed)
    sides = [replicates(matrix, counts) for matrix in (values, first, second)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joint, "CHUNK", chunk)
        found = []
        for small in (0, 1 << 40):
            patch.setattr(module, "SMALL", small)
            found.append(joint_membership(*sides))
    assert np.array_equal(*found)


@pytest.mark.parametrize("kind", COSTS)
def test_margins_by_definition(kind):
    quality, cost = drawn(*bank(kind, 3, outcomes=24), 5, draws=12)
    pairs = pair_up(quality, cost)
    margin, hits = sweep(pairs)
    price, grade = pairs.rows(slice(None))
    for c, g, column in zip(price, grade, margin.T, strict=True):
        for i in range(len(c)):
            rivals = (c <= c[i] + ROUNDING * c[i]) & (np.arange(len(c)) != i)
            lead = g[i] - g[rivals].max() if rivals.any() else np.inf
            assert column[i] == (0 if abs(lead) <= ROUNDING * g[i] else lead)
    assert hits.tolist() == frontier_rows(price, grade, rounding=ROUNDING).sum(axis=0).tolist()


def test_a_rival_that_costs_the_same_up_to_rounding_is_a_rival():
    cost, quality = np.array([[1.0, 1 + 4e-16, 1 + 1e-9]]), np.array([[0.5, 0.75, 1.0]])
    assert margin_rows(cost, quality, rounding=ROUNDING).tolist() == [[-0.25, 0.25, 0.25]]
    assert margin_rows(cost, quality).tolist() == [[np.inf, 0.25, 0.25]]


def test_pairs_are_numbered_by_first_appearance():
    values, costs = (
        np.array([[1, 0], [0, 1], [1, 0], [1, 0], [0, 1.0]]),
        np.array([[2, 2], [2, 2], [2, 2], [3, 3], [2, 2.0]]),
    )
    pairs = pair_up(*drawn(values, costs, 0))
    assert pairs.copy_of.tolist() == [0, 1, 0, 2, 1]
    assert np.array_equal(pairs.quality.rows[pairs.grade_of], values[[0, 1, 3]])
    assert np.array_equal(pairs.cost.rows[pairs.price_of], costs[[0, 1, 3]])
    taken = pair_up(*(side.take(np.array([3, 4])) for side in (pairs.quality, pairs.cost)))
    assert taken.copy_of.tolist() == [0, 1] and np.array_equal(
        taken.quality.rows[taken.grade_of], values[[3, 4]]
    )


def test_replicates_are_the_means_of_the_draws():
    values, _ = bank("spread", 2)
    values[3] = -0.0
    values[4] = 0.0
    counts = resample_counts(8, 50, 1, clusters=np.array([0, 0, 1, 2, 3, 3, 4, 5]))
    found = replicates(values, counts)
    plain = np.concatenate([part for _, part in replicate_means(values, counts)])
    assert np.allclose(found.means[found.copy_of].T, plain, rtol=0, atol=1e-14)
    assert found.copy_of[3] == found.copy_of[4] and len(found.rows) < len(values)
    with pytest.raises(IsocostError, match="draw 1 takes no problem"):
        replicates(values, np.stack([counts[0], counts[0] * 0]))


@pytest.mark.parametrize("draws", [2, 3, 40, 999, 1000])
@pytest.mark.parametrize("block", [1, 1 << 17])
def test_intervals_are_those_of_numpy_to_the_bit(draws, block, monkeypatch):
    monkeypatch.setattr("isocost.frontier.replication.BLOCK", block)
    means = np.random.default_rng(draws).lognormal(size=(7, draws))
    means[2] = 0.1
    for confidence in (0.95, 0.5, 0.9):
        tails = [(1 - confidence) / 2, (1 + confidence) / 2]
        assert np.array_equal(
            percentile_interval(means, confidence), np.quantile(means, tails, axis=1)
        )
    assert np.array_equal(standard_error(means), means.std(axis=1, ddof=1))


def test_negative_costs_are_judged_by_the_plain_sweep(monkeypatch):
    values, costs = bank("ties", 1)
    counts = resample_counts(8, 60, 2)
    plain = frontier_membership(values, costs - 3, counts)
    monkeypatch.setattr(module, "SMALL", 0)
    assert np.array_equal(frontier_membership(values, costs - 3, counts), plain)


@pytest.mark.slow
def test_neither_order_nor_company_changes_a_place():
    values, costs = bank("spread", 7, outcomes=200)
    counts = resample_counts(8, 1500, 3)
    order = np.random.default_rng(0).permutation(200)
    here = frontier_draws(replicates(values, counts), replicates(costs, counts))
    there = frontier_draws(replicates(values[order], counts), replicates(costs[order], counts))
    assert np.array_equal(here.membership[order], there.membership)
    assert here.low[:, order] == pytest.approx(there.low, abs=1e-14) and here.high[
        :, order
    ] == pytest.approx(there.high, abs=1e-14)
    # One that costs more than all and knows nothing is no rival of anyone.
    more = frontier_draws(
        replicates(np.r_[values, values[:1] * 0], counts),
        replicates(np.r_[costs, costs.max() * np.ones((1, 8))], counts),
    )
    assert np.array_equal(more.membership[:200], here.membership) and more.low[
        :, :200
    ] == pytest.approx(here.low, abs=1e-14)

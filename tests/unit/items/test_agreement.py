"""Agreement and abilities of judges: oracles, and intervals that hold the planted truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize
from scipy.special import expit, logit

from isocost.frontier.intervals import score_interval, wilson
from isocost.items.abilities import NO_DUEL, NO_LIMIT, abilities
from isocost.items.agreement import difference, kappa, rate

CELLS = st.lists(st.tuples(*[st.integers(0, 5)] * 4), min_size=2, max_size=12)


def kappa_by_definition(rows: list[tuple[int, ...]]) -> float:
    """Oracle: answer by answer."""
    pairs = [
        pair
        for row in rows
        for n, pair in zip(row, [(1, 1), (1, 0), (0, 1), (0, 0)], strict=True)
        for _ in range(n)
    ]
    if not pairs:
        return np.nan
    judge, gold = np.array(pairs).T
    agreed = (judge == gold).mean()
    chance = sum((judge == value).mean() * (gold == value).mean() for value in (0, 1))
    return np.nan if chance > 1 - 1e-12 else (agreed - chance) / (1 - chance)


@given(CELLS)
def test_kappa_is_its_definition(rows: list[tuple[int, ...]]) -> None:
    found, expected = kappa(rows), kappa_by_definition(rows)
    if np.isnan(expected):
        assert found.value is None
    else:
        assert found.value == pytest.approx(expected, abs=1e-12)
        if found.low is not None and found.high is not None:
            assert -1 <= found.low <= found.value <= found.high <= 1


@given(CELLS)
def test_the_order_of_problems_and_swapping_roles_do_not_matter(
    rows: list[tuple[int, ...]],
) -> None:
    one, other = kappa(rows), kappa([(tp, fn, fp, tn) for tp, fp, fn, tn in rows[::-1]])
    assert (one.value is None) == (other.value is None)
    if one.value is not None:
        assert one.value == pytest.approx(other.value, abs=1e-9)


def test_a_rate_of_independent_answers_is_wilsons() -> None:
    hits = [1] * 7 + [0] * 3
    low, high = wilson(7, 10)
    found = rate(hits, [1] * 10)
    assert (found.low, found.high) == pytest.approx((low.item(), high.item()))
    for share in (0, 1):
        edge = rate([share] * 10, [1] * 10)
        low, high = wilson(10 * share, 10)
        assert (edge.value, edge.low, edge.high) == pytest.approx((share, low.item(), high.item()))


def test_a_rate_of_equal_clusters_is_the_score_interval_of_their_means() -> None:
    hits, n = np.array([0, 1, 2, 4, 3, 4, 4, 0]), np.full(8, 4)
    low, high = score_interval(hits / n)
    found = rate(hits, n)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_what_was_never_tried_is_undefined() -> None:
    assert rate([0, 0], [0, 0]).value is None and rate([], []).value is None
    assert rate([1, 0], [2, 0]).low is None  # one problem says nothing of the others
    assert kappa([(3, 0, 0, 0)] * 4).value is None  # all alike: no agreement beyond chance
    assert difference([], [], []).value is None


def judged(
    dice: np.random.Generator, problems: int, false_positive: float, false_negative: float
) -> np.ndarray:
    """Cells per problem, where problems differ in difficulty and one error is of a whole problem."""
    per = 3
    gold = dice.random((problems, per)) < dice.beta(2, 1, size=(problems, 1))
    error = np.where(gold, false_negative, false_positive)
    # Of correlated answers: with probability 1/2 all answers of a problem share one draw.
    shared = dice.random((problems, 1)) < 0.5
    draw = np.where(shared, dice.random((problems, 1)), dice.random((problems, per)))
    said = np.where(draw < error, ~gold, gold)
    return np.stack(
        [
            (said & gold).sum(1),
            (said & ~gold).sum(1),
            (~said & gold).sum(1),
            (~said & ~gold).sum(1),
        ],
        axis=1,
    )


def test_intervals_hold_planted_error_rates_as_often_as_they_say() -> None:
    """95% of 400 draws, less three binomial standard errors; intervals that ignore problems fail."""
    dice = np.random.default_rng(11)
    held = dict.fromkeys(("fpr", "fnr", "kappa", "pooled"), 0)
    big = judged(dice, 400_000, 0.25, 0.1).sum(axis=0)
    true_kappa = kappa([big, np.zeros(4)]).value
    draws = 400
    for _ in range(draws):
        cells = judged(dice, 80, 0.25, 0.1)
        tp, fp, fn, tn = cells.T
        one, two, three = rate(fp, fp + tn), rate(fn, fn + tp), kappa(cells)
        held["fpr"] += one.low <= 0.25 <= one.high
        held["fnr"] += two.low <= 0.1 <= two.high
        held["kappa"] += three.low <= true_kappa <= three.high
        low, high = wilson(fp.sum(), (fp + tn).sum())
        held["pooled"] += bool(low <= 0.25 <= high)
    least = draws * (0.95 - 3 * (0.95 * 0.05 / draws) ** 0.5)
    assert min(held["fpr"], held["fnr"], held["kappa"]) >= least, held
    assert held["pooled"] < held["fpr"]


def test_a_planted_position_bias_is_held() -> None:
    dice, held = np.random.default_rng(12), 0
    for _ in range(300):
        base = dice.random((60, 3)) < 0.5
        first = base | (dice.random((60, 3)) < 0.2)
        found = difference(first.sum(1), base.sum(1), np.full(60, 3))
        held += found.low <= 0.1 <= found.high
    assert held >= 300 * (0.95 - 3 * (0.95 * 0.05 / 300) ** 0.5)


def duels_of(dice: np.random.Generator, errors: list[float], problems: int) -> np.ndarray:
    right = dice.random((problems, 3, len(errors))) >= np.array(errors)
    return (right[:, :, :, None] & ~right[:, :, None, :]).sum(axis=1).astype(float)


def test_abilities_are_the_maximum_of_the_likelihood() -> None:
    """Oracle: a general optimiser of the same likelihood."""
    duels = duels_of(np.random.default_rng(1), [0.1, 0.2, 0.3, 0.45], 100)
    won = duels.sum(axis=0)

    def loss(free: np.ndarray) -> float:
        ability = np.concatenate([free, [-free.sum()]])
        return -(won * np.log(expit(ability[:, None] - ability[None, :]))).sum()

    expected = optimize.minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-8}).x
    found = abilities(duels)
    assert found.value[:3] == pytest.approx(expected, abs=1e-5)
    assert found.value.sum() == pytest.approx(0, abs=1e-9)


def test_planted_abilities_are_held_as_often_as_they_say() -> None:
    dice, errors, draws = np.random.default_rng(2), [0.1, 0.2, 0.35], 300
    truth = logit(1 - np.array(errors))
    truth -= truth.mean()
    held = np.zeros(3)
    for _ in range(draws):
        found = abilities(duels_of(dice, errors, 100))
        held += (found.low <= truth) & (truth <= found.high)
    assert held.min() >= draws * (0.95 - 3 * (0.95 * 0.05 / draws) ** 0.5), held


def test_abilities_without_a_maximum_have_a_reason() -> None:
    assert abilities(np.zeros((3, 2, 2))).reason == NO_DUEL
    never_loses = np.array([[[0, 3], [0, 0]]])
    assert abilities(never_loses).reason == NO_LIMIT
    assert np.isnan(abilities(never_loses).value).all()
    apart = np.zeros((1, 4, 4))
    apart[0, 0, 1] = apart[0, 1, 0] = apart[0, 2, 3] = apart[0, 3, 2] = 1
    assert abilities(apart).reason == NO_LIMIT  # two groups that never met
    extreme = np.array([[[0, 10**6], [1, 0]]] * 2)
    assert abilities(extreme).value == pytest.approx([np.log(10**6) / 2, -np.log(10**6) / 2])

"""Intervals, compute to a target, held-out extrapolation and the choice of a family."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.curves import (
    bootstrap_fits,
    choose_family,
    compute_to_target,
    extrapolation_score,
    families,
    family,
    fit,
    fit_many,
    percentile_interval,
    problem_weights,
    profile_interval,
    resampled_means,
)
from isocost.curves.extrapolation import choose_many, decide, default_cuts
from isocost.curves.shapes.sigmoid_log_compute import SigmoidLogCompute
from isocost.errors import IsocostError

pytestmark = pytest.mark.slow

C = np.array([1.0, 4, 16, 64, 256, 1024])
Y = np.array([0.30, 0.545, 0.68, 0.735, 0.77, 0.782])


def test_profile_interval_gives_the_worked_vector():
    interval = profile_interval(fit("saturating_power_law", C, Y))
    assert (interval.low, interval.high) == pytest.approx((0.785220, 0.815428), abs=1e-6)


def test_profile_interval_ends_at_the_bound_or_is_unknown():
    straight = profile_interval(fit("saturating_power_law", C, 0.2 + 0.05 * np.log(C)))
    assert straight.high == 1.0
    for name, y in (
        ("log_linear", Y),
        ("exponentiated_power_law", Y),
        ("saturating_power_law", Y * 0 + 0.5),
    ):
        assert profile_interval(fit(name, C, y)).low is None
    assert profile_interval(fit("saturating_power_law", C[:3], Y[:3])).high is None


def test_compute_to_target_by_profile():
    result = fit("saturating_power_law", C, Y)
    inside = compute_to_target(result, 0.75)
    assert result.predict(inside.compute) == pytest.approx(0.75, abs=1e-12)
    assert inside.low < inside.compute < inside.high
    assert inside.status == "observed"
    # At the ends the best curve through the target is exactly as bad as the F limit allows (F(.95;
    # 1, 3) = 10.128).
    for end in (inside.low, inside.high):
        held = fit(
            "saturating_power_law",
            np.append(C, end),
            np.append(Y, 0.75),
            np.append(np.ones(6), 1e7),
        )
        assert np.sum((held.predict(C) - Y) ** 2) == pytest.approx(
            result.rss * (1 + 10.127964 / 3), rel=1e-3
        )
    far = compute_to_target(result, 0.79)
    assert (far.status, far.is_bounded, far.high) == ("extrapolated", False, None)
    assert far.low > 64
    never = compute_to_target(result, 0.9)
    assert (never.status, never.compute, never.high) == ("unreachable", None, None)
    assert compute_to_target(result, 0.1).status == "below_range"
    assert (
        compute_to_target(fit("saturating_power_law", [1, 2], [0.1, 0.2]), 0.5).status == "no_fit"
    )
    flat = fit("saturating_power_law", C, Y * 0 + 0.4)
    assert (compute_to_target(flat, 0.3).compute, compute_to_target(flat, 0.5).status) == (
        0.0,
        "unreachable",
    )
    with pytest.raises(IsocostError, match="not percent"):
        compute_to_target(result, 75)


def test_compute_to_target_gives_the_worked_vector():
    k = C[:-1]
    assert compute_to_target(
        fit("exponentiated_power_law", k, np.exp(-1.2 * k**-0.5)), 0.95
    ).compute == pytest.approx(547.32, abs=5e-3)


def test_bootstrap_keeps_the_correlation_of_points_and_counts_unreached_draws():
    rng = np.random.default_rng(0)
    solved_at = rng.random(120)
    truth = 0.8 - 0.5 * C**-0.5
    values = (solved_at[None] < truth[:, None]).astype(float)
    means = resampled_means(values, 300, seed=1)
    assert means.shape == (300, 6)
    assert (np.diff(means, axis=1) >= 0).all()
    centre = fit("saturating_power_law", C, values.mean(axis=1))
    draws = bootstrap_fits("saturating_power_law", C, means, centre=centre)
    cold = fit_many("saturating_power_law", C, means)
    assert draws.rss == pytest.approx(cold.rss, rel=1e-4, abs=1e-9)
    target = compute_to_target(centre, 0.79, draws=draws)
    assert 0 < target.share_reached < 1
    assert (target.high, target.is_bounded) == (None, False)
    near = compute_to_target(centre, 0.6, draws=draws)
    assert near.low < near.compute < near.high
    assert near.share_reached == 1.0


def test_percentiles_stand_between_order_statistics_and_leave_unknown_draws_out():
    values = np.append(np.arange(1.0, 101), [np.nan] * 50)
    interval = percentile_interval(values, 0.9)
    assert (interval.low, interval.high) == pytest.approx((5.05, 95.95))
    # Between 95 and infinity there is nothing: the end is the outer one.
    assert percentile_interval(np.append(np.arange(1.0, 96), [np.inf] * 5), 0.9).high is None


def test_few_problems_widen_the_percentiles_to_the_level_of_the_t_interval():
    rng = np.random.default_rng(0)
    hits = np.zeros(2)
    for _ in range(1500):
        x = rng.normal(size=15)
        drawn = rng.multinomial(15, np.full(15, 1 / 15), size=200) @ x / 15
        for i, units in enumerate((None, 15)):
            interval = percentile_interval(drawn, units=units)
            hits[i] += interval.low <= 0 <= interval.high
    plain, expanded = hits / 1500
    assert plain < 0.94 < expanded < 0.97
    assert percentile_interval(np.append(np.arange(50.0), [np.inf] * 50)).high is None
    assert percentile_interval([np.nan, np.nan]).low is None
    assert percentile_interval([]).low is None


def test_clusters_are_resampled_whole():
    clusters = np.array(["a", "a", "b", "c", "c", "c"])
    weights = problem_weights(6, 50, seed=4, clusters=clusters)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()
    assert np.array_equal(weights, problem_weights(6, 50, seed=4, clusters=clusters))
    assert problem_weights(0, 5, seed=1).shape == (5, 0)


@pytest.mark.parametrize(
    ("name", "rmse"),
    [
        ("saturating_power_law", 0.002834),
        (SigmoidLogCompute(baseline=0.10), 0.034477),
        ("log_linear", 0.230645),
    ],
)
def test_extrapolation_gives_the_worked_vectors(name, rmse):
    score = extrapolation_score(name, C[::-1], Y[::-1], n_train=4)
    assert score.rmse == pytest.approx(rmse, abs=5e-7)
    assert (score.factor, score.n_train, score.n_test) == (16.0, 4, 2)
    if name == "saturating_power_law":
        assert score.signed_error == pytest.approx((-0.000156 + 0.004005) / 2, abs=1e-6)


def test_extrapolation_without_enough_budgets_has_no_score():
    assert extrapolation_score("saturating_power_law", C, Y, n_train=2).rmse is None
    with pytest.raises(IsocostError, match="held in"):
        extrapolation_score("log_linear", C, Y, n_train=6)


def test_choice_is_by_held_out_error_and_falls_back_to_bic():
    names = ["saturating_power_law", "log_linear", "sigmoid_log_compute", "exponentiated_power_law"]
    choice = choose_family(names, C, Y)
    assert (choice.family, choice.method) == ("saturating_power_law", "held_out_extrapolation")
    assert set(choice.scores) == set(names)
    assert choose_family(names, C, 0.1 + 0.03 * np.log(C)).family == "log_linear"
    few = choose_family(names, C[:3], Y[:3])
    assert few.method == "bic"
    assert choose_family(names, C[:1], Y[:1]).family is None
    assert default_cuts(3) == ()
    assert default_cuts(9) == (5, 6)


def test_choice_beats_the_worst_fixed_family_out_of_sample():
    """Curves of every family, observed with noise up to 64 units, predicted at 256 and 1024."""
    names = [name for name in families() if family(name).axis == "any"]
    truths = {
        "exponentiated_power_law": [-1.5, -0.35],
        "log_linear": [0.15, 0.07],
        "saturating_power_law": [0.75, 0.55, 0.6],
        "sigmoid_log_compute": [0.7, 12.0, 0.9, 0.0],
    }
    assert set(truths) == set(names)
    seen, unseen, repeats = 2.0 ** np.arange(7), np.array([256.0, 1024.0]), 12
    clean, target = (
        np.repeat(
            [family(t).predict(np.array([p]), x)[0] for t, p in truths.items()], repeats, axis=0
        )
        for x in (seen, unseen)
    )
    y = clean + np.random.default_rng(11).normal(0, 0.008, clean.shape)
    errors = {
        name: ((fit_many(name, seen, y).predict(unseen) - target) ** 2).mean(axis=1)
        for name in names
    }
    scores, bic = choose_many(names, np.broadcast_to(seen, y.shape), y, np.ones_like(y))
    picked = [
        decide([family(name) for name in names], scores[:, row], bic[:, row])[0]
        for row in range(len(y))
    ]
    errors["chosen"] = np.array([errors[names[choice]][row] for row, choice in enumerate(picked)])
    assert names[picked[0]] == choose_family(names, seen, y[0]).family
    rmse = {name: np.sqrt(np.mean(values)) for name, values in errors.items()}
    chosen = rmse.pop("chosen")
    assert chosen < 0.7 * max(rmse.values())
    assert chosen < np.median(list(rmse.values()))


@settings(max_examples=10, deadline=None)
@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_more_accuracy_never_needs_less_compute(first, second):
    draws = fit_many(
        "saturating_power_law", C, Y + np.random.default_rng(0).normal(0, 0.01, (20, 6))
    )
    low, high = sorted((first, second))
    assert (draws.compute_to_target(low) <= draws.compute_to_target(high)).all()


@pytest.mark.parametrize("name", families())
def test_accuracies_in_per_cent_are_refused_and_noise_around_one_is_not(name):
    with pytest.raises(IsocostError, match=r"78\.2 is not an accuracy.*not percent"):
        fit(name, [1, 4, 16, 64], [30.0, 54.5, 68.0, 78.2])
    assert fit(name, [1, 4, 16, 64], [0.5, 0.9, 1.01, 1.02]).n == 4


def test_a_level_in_per_cent_is_refused():
    line = fit("log_linear", [1, 2, 4, 8], [0.1, 0.2, 0.3, 0.4])
    for asked in (
        lambda: compute_to_target(line, 0.25, level=95),
        lambda: profile_interval(line, 95),
    ):
        with pytest.raises(IsocostError, match="level 95 is outside"):
            asked()
    with pytest.raises(IsocostError, match="no family to choose from"):
        choose_family([], [1, 2, 4], [0.1, 0.2, 0.3])

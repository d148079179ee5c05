"""fit and fit_many.

Published vectors, agreement with scipy, behaviour on data that no curve fits.
"""

import numpy as np
import pytest
from scipy.optimize import least_squares

from isocost.curves import fit, fit_many
from isocost.errors import IsocostError

C = np.array([1.0, 4, 16, 64, 256, 1024])
Y = np.array([0.30, 0.545, 0.68, 0.735, 0.77, 0.782])


def test_saturating_power_law_gives_the_worked_vector():
    result = fit("saturating_power_law", C, Y)
    assert result.status == "ok"
    assert result.parameters["y_inf"] == pytest.approx(0.799564, abs=5e-7)
    assert result.parameters["a"] == pytest.approx(0.500533, abs=5e-7)
    assert result.parameters["b"] == pytest.approx(0.500031, abs=5e-7)
    assert result.asymptote == result.parameters["y_inf"]
    assert result.rss == pytest.approx(6.10646e-5, rel=1e-5)
    assert (result.aic, result.aicc, result.bic) == pytest.approx(
        (-60.9720, -20.9720, -61.8050), abs=5e-5
    )


def test_exponentiated_power_law_gives_the_worked_vector():
    k = np.array([1.0, 4, 16, 64, 256])
    y = np.array([0.301194, 0.548812, 0.740818, 0.860708, 0.927743])
    result = fit("exponentiated_power_law", k, y)
    assert result.parameters == pytest.approx({"a": -1.2, "b": -0.5}, abs=5e-6)
    assert result.predict(k) == pytest.approx(y, abs=1e-6)
    assert result.asymptote == 1.0


@pytest.mark.parametrize("name", ["saturating_power_law", "exponentiated_power_law"])
def test_weighted_batch_agrees_with_scipy(name):
    rng = np.random.default_rng(3)
    x = np.geomspace(1, 300, 7)
    y = np.clip(0.75 - 0.5 * x**-0.6 + rng.normal(0, 0.01, (20, 7)), 0.01, 0.99)
    weight = rng.uniform(0.5, 2, (20, 7))
    batch = fit_many(name, x, y, weight)
    for row in range(20):

        def residual(p, row=row):
            curve = (
                np.exp(-np.exp(p[0]) * x ** -p[1])
                if name[0] == "e"
                else p[0] - np.exp(p[1]) * x ** -np.exp(p[2])
            )
            return np.sqrt(batch.weight[row]) * (y[row] - curve)

        ours = batch.theta[row]
        theirs = least_squares(residual, ours, xtol=1e-15, ftol=1e-15, gtol=1e-15)
        assert batch.rss[row] <= 2 * theirs.cost * (1 + 1e-9)
        far = least_squares(residual, ours + 0.3, xtol=1e-15, ftol=1e-15, gtol=1e-15)
        assert batch.rss[row] <= 2 * far.cost * (1 + 1e-9) or batch.status[row] == 2


@pytest.mark.parametrize(
    ("x", "y", "status"),
    [
        (C, np.full(6, 0.4), "flat"),
        (C, np.zeros(6), "flat"),
        (C, np.ones(6), "flat"),
        (C, Y[::-1], "flat"),
        ([1, 2], [0.1, 0.2], "too_few_points"),
        ([5, 5, 5, 5], [0.1, 0.2, 0.3, 0.4], "too_few_points"),
        ([], [], "too_few_points"),
    ],
)
def test_degenerate_data_give_a_status(x, y, status):
    result = fit("saturating_power_law", x, y)
    assert result.status == status
    known = [
        v
        for v in (
            *result.parameters.values(),
            result.asymptote,
            result.rss,
            result.aic,
            result.aicc,
            result.bic,
        )
        if v is not None
    ]
    assert np.isfinite(known).all()
    if status == "flat":
        assert result.asymptote == pytest.approx(np.mean(y))
        assert result.predict([3.0, 1e9]) == pytest.approx(np.mean(y))


def test_zero_weight_leaves_a_point_out():
    spoilt = np.where(np.arange(6) == 2, np.nan, Y)
    part = fit(
        "saturating_power_law",
        np.where(np.arange(6) == 2, -1.0, C),
        spoilt,
        (np.arange(6) != 2).astype(float),
    )
    whole = fit("saturating_power_law", np.delete(C, 2), np.delete(Y, 2))
    assert part.n == 5
    assert part.parameters == pytest.approx(whole.parameters, rel=1e-6)
    assert part.rss == pytest.approx(whole.rss, rel=1e-9)


def test_malformed_input_is_refused():
    with pytest.raises(
        IsocostError, match=r"no curve family is called .cubic.. Known curve families: beta"
    ):
        fit("cubic", C, Y)
    with pytest.raises(IsocostError, match="positive"):
        fit("saturating_power_law", C - 1, Y)
    with pytest.raises(IsocostError, match="finite"):
        fit("saturating_power_law", C, Y * np.nan)
    with pytest.raises(IsocostError, match="different lengths"):
        fit("saturating_power_law", C[:-1], Y)
    with pytest.raises(IsocostError, match="weights"):
        fit("saturating_power_law", C, Y, -np.ones(6))

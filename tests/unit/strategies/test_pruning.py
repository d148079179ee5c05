from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.stats import weibull_min

from isocost.errors import IsocostError
from isocost.strategies import WeibullMixture, fit_weibull_mixture, kept_paths, rpc_at_k
from isocost.strategies.estimators.pruning import _negative_log_likelihood

MIXTURE = WeibullMixture(0.6, 8.0, 0.62, 3.0, 0.22)


def published_sample():
    rng = np.random.default_rng(0)
    return np.concatenate([0.7 * rng.weibull(9, 40), 0.25 * rng.weibull(3, 24)])


def test_published_mixture():
    assert np.round(MIXTURE.means(), 6).tolist() == [0.58388, 0.196455]
    found = MIXTURE.high_component([0.2, 0.3, 0.4, 0.5, 0.6])
    assert np.allclose(found, [0.00132133, 0.0563069, 0.887679, 0.999844, 1.0], atol=5e-7)


def test_pruning_needs_both_conditions():
    x = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.73])
    assert x.mean() == pytest.approx(0.455)
    assert kept_paths(x, MIXTURE).tolist() == [False, False, True, True, True, True]


def test_published_fit():
    data = published_sample()
    assert np.allclose(data[:3], [0.67063, 0.701511, 0.452746], atol=5e-7)
    fitted = fit_weibull_mixture(data)
    assert np.allclose(fitted, [0.5935, 9.449, 0.7171, 3.189, 0.2506], atol=1e-2)
    assert _negative_log_likelihood(np.array(fitted), np.log(data))[0] == pytest.approx(
        -28.7124, abs=1e-2
    )


def test_density_is_scipys_and_gradient_is_its_derivative():
    data = published_sample()
    theta, logs = np.array([0.4, 2.0, 0.8, 1.5, 0.5]), np.log(data)
    density = 0.4 * weibull_min.pdf(data, 2.0, scale=0.8) + 0.6 * weibull_min.pdf(
        data, 1.5, scale=0.5
    )
    assert _negative_log_likelihood(theta, logs)[0] == pytest.approx(
        -np.log(density).sum(), rel=1e-12
    )
    error = check_grad(
        lambda t: _negative_log_likelihood(t, logs)[0],
        lambda t: _negative_log_likelihood(t, logs)[1],
        theta,
    )
    assert error < 1e-3


def test_few_or_equal_paths_are_not_pruned():
    assert kept_paths([0.1, 0.9, 0.2]).all()
    assert kept_paths([0.5] * 20).all()
    with pytest.raises(IsocostError, match="two different"):
        fit_weibull_mixture([0.5, 0.5])


def test_published_choice_and_ties():
    assert float(rpc_at_k([0, 0, 1, 1, 1, 2], [0.62, 0.58, 0.55, 0.20, 0.18, 0.60], 0, 6)) == 1.0
    assert float(rpc_at_k([0, 1], [0.5, 0.5], 0, 2)) == 0.5


def test_pruning_changes_the_answer_of_a_crowd_of_improbable_paths():
    high, low = np.linspace(0.6, 0.8, 20), np.linspace(0.05, 0.3, 100)
    paths = np.concatenate([high, low])
    classes = np.concatenate([np.zeros(20, dtype=int), np.ones(100, dtype=int)])
    assert low.sum() > high.sum()
    assert float(rpc_at_k(classes, paths, 0, 120)) == 1.0


def test_subsets_of_a_bank_repeat_and_budgets_beyond_it_are_undefined():
    rng = np.random.default_rng(1)
    classes, paths = rng.integers(0, 3, (2, 12)), rng.uniform(0.1, 0.9, (2, 12))
    first = rpc_at_k(classes, paths, 0, [4, 12, 13], draws=6)
    assert np.array_equal(first, rpc_at_k(classes, paths, 0, [4, 12, 13], draws=6), equal_nan=True)
    assert np.isnan(first[:, 2]).all()


def test_skipping_a_fit_that_cannot_matter_changes_nothing():
    """Against the plain way.

    Prune by the fit, then sum; many of these banks are settled without one.
    """
    rng = np.random.default_rng(5)
    for _ in range(15):
        n = int(rng.integers(8, 40))
        classes, paths = (
            rng.integers(-1, 3, n),
            np.exp(-np.abs(rng.normal(0.5, 0.4, n))) * rng.choice([1.0, 0.3], n),
        )
        voting = kept_paths(paths) & (classes >= 0)
        sums = np.bincount(classes[voting], weights=paths[voting], minlength=3)
        assert float(rpc_at_k(classes, paths, 0, n)) == float(sums.argmax() == 0)

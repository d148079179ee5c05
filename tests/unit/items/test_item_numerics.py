"""Item statistics, 2PL, flags, subsets, features and reproducibility.

Worked vectors and oracles.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from isocost.errors import IsocostError
from isocost.items import (
    FEATURES,
    ability,
    blind_p_value,
    difficulty,
    discriminative_subset,
    divergence_index,
    feature_expressions,
    fit_two_pl,
    guess_corrected,
    item_information,
    kr20,
    mean_spread,
    negative_discrimination_p,
    normalised_discrimination,
    point_biserial,
    rest_correlation,
    success_probability,
    top1_spread,
    within_problem_auc,
)

WORKED = np.array(
    [list(map(int, row)) for row in ("11110", "11100", "11001", "10100", "10000", "00001")]
)


def test_worked_item_statistics():
    assert difficulty(WORKED) == pytest.approx([0.833333, 0.5, 0.5, 0.166667, 0.333333], abs=5e-7)
    assert point_biserial(WORKED) == pytest.approx(
        [0.539360, 0.904534, 0.603023, 0.674200, -0.213201], abs=5e-7
    )
    assert rest_correlation(WORKED) == pytest.approx(
        [0.233550, 0.727607, 0.185695, 0.415227, -0.547723], abs=5e-7
    )
    assert kr20(WORKED) == pytest.approx(0.227273, abs=5e-7)


def test_item_statistics_match_numpy_and_know_the_undefined():
    rng = np.random.default_rng(0)
    y = rng.random((30, 6))
    rest = [np.corrcoef(y[:, j], np.delete(y, j, axis=1).sum(axis=1))[0, 1] for j in range(6)]
    assert rest_correlation(y) == pytest.approx(rest)
    y[:, 2] = 1.0
    assert (
        np.isnan(rest_correlation(y)[2])
        and np.isnan(kr20(np.ones((4, 3))))
        and np.isnan(kr20(y[:, :1]))
    )
    for bad in ([[0.5, np.nan]], [[2.0]], [1.0], np.zeros((0, 3))):
        with pytest.raises(IsocostError):
            difficulty(bad)


def test_worked_two_parameter_model():
    assert success_probability(0, 1.5, 0.5) == pytest.approx(0.320821, abs=5e-7)
    assert item_information(0, 1.5, 0.5) == pytest.approx(0.490264, abs=5e-7)
    assert item_information(0.5, 1.5, 0.5) == pytest.approx(0.5625)
    a, b = [1.5, 1, 0.8], [0.5, -1, 0]
    total = item_information(0, a, b).sum()
    assert (total, 1 / np.sqrt(total)) == pytest.approx((0.846876, 1.086651), abs=5e-7)
    assert ability([1, 1, 0], a, b) == pytest.approx(1.067397, abs=5e-7)
    assert ability([1, 1, 1], a, b) == np.inf and ability([0, 0, 0], a, b) == -np.inf
    assert 0 < ability([1, 1, 1], a, b, prior=True) < 3


@pytest.mark.slow
def test_fit_recovers_its_own_parameters():
    rng = np.random.default_rng(1)
    a, b, theta = rng.lognormal(0, 0.3, 25), rng.normal(0, 1, 25), rng.normal(0, 1, 1500)
    y = (rng.random((1500, 25)) < success_probability(theta[:, None], a, b)).astype(float)
    fit = fit_two_pl(y)
    assert fit.converged
    assert (
        np.corrcoef(fit.discrimination, a)[0, 1] > 0.9 and np.abs(fit.difficulty - b).mean() < 0.12
    )
    assert np.corrcoef(fit.ability, theta)[0, 1] > 0.85
    assert fit.discrimination.mean() == pytest.approx(a.mean(), rel=0.1)
    extreme = fit_two_pl(np.c_[y[:40], np.ones(40)])
    assert np.isfinite(extreme.difficulty).all() and extreme.difficulty[-1] < -1.5
    with pytest.raises(IsocostError, match="two subjects"):
        fit_two_pl([[1, 0]])


def test_normalised_discrimination_is_one_where_items_sit_at_the_ability():
    assert normalised_discrimination([0.7], [1.2, 2.0], [0.7, 0.7]) == pytest.approx(1)
    assert 0 < normalised_discrimination([3.0], [1.2, 2.0], [0.7, 0.7]) < 0.2


def test_blind_and_negative_items():
    assert blind_p_value(9, 20, 0.25) == pytest.approx(0.040925, abs=5e-7)
    assert blind_p_value([0, 20], 20, 0.25) == pytest.approx([1, 0.25**20])
    assert guess_corrected([0.25, 1.0, 0.625], 0.25) == pytest.approx([0, 1, 0.5])
    x, y = np.array([0.1, 0.4, 0.2, 0.9, 0.7]), np.array([5, 3, 4.5, 1, 2.5])
    r = stats.pearsonr(x, y, alternative="less")
    assert negative_discrimination_p([r.statistic, np.nan], 5)[0] == pytest.approx(r.pvalue)
    assert np.isnan(negative_discrimination_p([np.nan], 5)[0])
    for bad in (
        lambda: blind_p_value(3, 2, 0.1),
        lambda: guess_corrected(0.5, 1.0),
        lambda: negative_discrimination_p([0.1], 2),
    ):
        with pytest.raises(IsocostError):
            bad()


def test_subset_keeps_the_ranking_on_subjects_it_never_saw():
    rng = np.random.default_rng(2)
    a = np.r_[np.full(30, 2.5), np.full(90, 0.2)]
    b, theta = rng.normal(0, 1, 120), np.linspace(-2, 2, 60)
    y = success_probability(theta[:, None], a, b)
    noisy = (rng.random(y.shape) < y).astype(float)
    found = discriminative_subset(noisy[::2], noisy[1::2], np.ones(120), share=0.25)
    assert len(found.items) == 32 and found.speed_up == pytest.approx(
        120 / 32
    )  # 8 of 30 in each stratum
    assert np.mean(found.items < 30) > 0.6 and found.kendall_tau > 0.75
    random = rng.choice(120, 32, replace=False)
    tau = stats.kendalltau(noisy[1::2][:, random].mean(axis=1), noisy[1::2].mean(axis=1)).statistic
    assert found.kendall_tau > tau
    whole = discriminative_subset(noisy[::2], noisy[1::2], np.arange(1.0, 121), share=1.0)
    assert (whole.kendall_tau, whole.largest_difference, whole.speed_up) == pytest.approx((1, 0, 1))
    with pytest.raises(IsocostError, match="share the items"):
        discriminative_subset(noisy, noisy[:, 1:], np.ones(120))
    with pytest.raises(IsocostError, match="out of range"):
        discriminative_subset(noisy, noisy, np.ones(120), share=0)


def test_worked_divergence():
    a, b, c = [5, 7, 7, 2, 9], [5, 7, 7, 3, 9], [5, 7, 8]
    assert (
        divergence_index([a, b]) == 3
        and divergence_index([a, b, c]) == 2
        and divergence_index([a, a]) is None
    )
    assert divergence_index([a, a[:2]]) == 2 and divergence_index([a, []]) == 0
    with pytest.raises(IsocostError):
        divergence_index([a])


def test_worked_spreads():
    p = np.array([[0.9, 0.8, 0.70, 0.51], [0.9, 0.81, 0.68, 0.49], [0.9, 0.79, 0.72, 0.50]])
    assert top1_spread(p, 3) == pytest.approx(0.01) and top1_spread(
        p[:, 3:], None
    ) == pytest.approx(0.01)
    assert np.isnan(top1_spread(p, 0))
    assert mean_spread([[100, 50], [120, 50], [90, 50]]) == pytest.approx(7.637626, abs=5e-7)
    assert np.std([0.5, 0.5333, 0.4667], ddof=1) == pytest.approx(0.0333, abs=5e-5)
    with pytest.raises(IsocostError):
        mean_spread([[1, 2]])
    with pytest.raises(IsocostError):
        top1_spread([[0.5]], None)


def test_text_features_by_hand():
    text = "Wait, maybe 12 is wrong. Perhaps 13! Therefore the answer is 13."
    row = pl.DataFrame({"output_text": [text, None, ""]}).select(feature_expressions())
    assert tuple(row.columns) == tuple(FEATURES)
    first = row.row(0, named=True)
    assert (first["characters"], first["words"], first["sentences"]) == (len(text), 12, 3)
    assert first["digits_ratio"] == pytest.approx(6 / len(text))
    assert first["hedges_per_100_words"] == pytest.approx(200 / 12)
    assert first["thinking_per_100_words"] == pytest.approx(100 / 12)
    assert first["discourse_per_100_words"] == pytest.approx(100 / 12)
    assert (
        all(value is None for value in row.row(1))
        and row.row(2, named=True)["hedges_per_100_words"] is None
    )


def test_within_problem_auc_is_the_mann_whitney_share_and_ignores_difficulty():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, 30).astype(float), rng.random(30) < 0.5
    u = stats.mannwhitneyu(x[y], x[~y]).statistic / (y.sum() * (~y).sum())
    assert within_problem_auc(x, y, np.zeros(30)) == pytest.approx(u)
    # Longer on hard problems, no relation inside a problem: a pooled AUC would see one.
    problem = np.repeat([0, 1], 50)
    value = rng.normal(size=100) + 10 * problem
    right = np.r_[np.arange(50) % 5 != 0, np.arange(50) % 5 == 0]
    assert within_problem_auc(value, right, problem) == pytest.approx(0.5, abs=0.15)
    assert np.isnan(within_problem_auc([1.0, 2.0], [True, True], [0, 0])) and np.isnan(
        within_problem_auc([], [], [])
    )
    with pytest.raises(IsocostError, match="differ in length"):
        within_problem_auc([1.0], [True, False], [0])

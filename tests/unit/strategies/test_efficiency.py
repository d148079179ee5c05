from __future__ import annotations

import numpy as np
import pytest

from isocost.errors import IsocostError
from isocost.strategies import efficiency_score, expected_max, hodges_lehmann, pass_at_k
from isocost.strategies.estimators.order import rank_weights


def test_published_vectors():
    assert hodges_lehmann([1, 2, 4]) == 2.25
    assert np.allclose(
        efficiency_score([[2.5], [5.0], [0.5]], [1.0], 4.0), [0.5, 0.0, 1.166667], atol=5e-7
    )
    assert np.allclose(
        rank_weights(4, np.array([2]))[::-1, 0], [0, 1 / 6, 2 / 6, 3 / 6], atol=1e-15
    )
    assert np.allclose(
        expected_max([0, 0.2, 0.5, 0.9], [1, 2, 3, 4]), [0.4, 0.65, 0.8, 0.9], atol=1e-15
    )


def test_levels_behind_a_censored_one_and_wrong_outputs_score_nothing():
    scores = efficiency_score(
        [[1, 1, 1], [9, 1, 1], [1, 4, 1], [1, np.nan, 1]], [1, 1, 1], 4, hardness=[3, 3, 4]
    )
    assert scores.tolist() == [1.0, 0.0, 0.3, 0.0]
    assert float(efficiency_score([1, 1, 4], [1, 1, 1], 4, hardness=[3, 3, 4])) == pytest.approx(
        0.6
    )


def test_right_and_wrong_scored_one_and_nothing_is_pass_at_k():
    scores = efficiency_score([[1.0], [np.nan], [1.0], [4.0], [7.0]], [1.0], 4.0)
    assert np.allclose(expected_max(scores, [1, 2, 3]), pass_at_k(5, 2, [1, 2, 3]), atol=1e-12)


def test_nonsense_is_refused():
    with pytest.raises(IsocostError, match="limit"):
        efficiency_score([1.0], [5.0], 4.0)
    with pytest.raises(IsocostError, match="do not fit"):
        efficiency_score([1.0, 2.0], [1.0], 4.0)
    with pytest.raises(IsocostError, match="finite"):
        hodges_lehmann([])

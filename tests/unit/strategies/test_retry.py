from __future__ import annotations

import numpy as np
import pytest
from brute import orders
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.strategies import pass_at_k, retry_until_verified, uncapped_attempts


def test_published_vectors():
    assert float(retry_until_verified(10, 3, 5).attempts) == pytest.approx(2.625, abs=1e-14)
    assert float(retry_until_verified(10, 3, 10).attempts) == pytest.approx(2.75, abs=1e-14)
    assert float(uncapped_attempts(10, 3)) == 2.75
    assert float(uncapped_attempts(10, 0)) == np.inf


def test_approaches_independent_draws():
    result = retry_until_verified(10**6, 3 * 10**5, 5)
    assert float(result.attempts) == pytest.approx(2.7731, abs=1e-4)
    assert float(result.success) == pytest.approx(0.83193, abs=1e-4)
    # Attempts per success are 1/p whatever the cap.
    for cap in (1, 5, 20):
        each = retry_until_verified(10**6, 3 * 10**5, cap)
        assert float(each.attempts / each.success) == pytest.approx(3.333333, abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 10).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))
    )
)
def test_against_every_order(bank):
    n, c, k = bank
    everything = orders([1] * c + [0] * (n - c))
    attempts = np.mean([min(next((i + 1 for i, y in enumerate(o) if y), k), k) for o in everything])
    result = retry_until_verified(n, c, k)
    assert float(result.attempts) == pytest.approx(attempts, abs=1e-12)
    assert float(result.success) == pytest.approx(float(pass_at_k(n, c, k)), abs=1e-15)


def test_a_cap_beyond_the_bank_is_undefined():
    result = retry_until_verified([10, 4], 2, [4, 6])
    assert np.isnan(result.attempts[1, 1])
    assert not np.isnan(result.attempts[0]).any()

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.costs import (
    estimate_acceptance,
    fit_power_law,
    goodput,
    speculative_speedup,
    target_efficiency,
    tokens_per_step,
    verification_budget,
)
from isocost.costs.speculative import batched_step_seconds, best_draft_length
from isocost.costs.verification import PowerLaw, verification_flops
from isocost.errors import IsocostError


def test_verification_budget_worked_vectors():
    np.testing.assert_array_equal(
        verification_budget([8, 8, 4, 136], [16, 16, 32, 0], [1, 2, 0.5, 1]), [136, 264, 68, 136]
    )
    assert verification_flops(8, 16, 1, 500, 8e9) == pytest.approx(1.088e15)
    assert verification_budget(8, 16, 1, 0.5) == 8 * (1 + 8)


def test_power_law_worked_vectors():
    law = fit_power_law([64, 256, 1024, 4096], [4, 9, 20, 44])
    assert (law.slope, law.intercept) == (
        pytest.approx(0.576515, abs=5e-7),
        pytest.approx(-1.005627, abs=5e-7),
    )
    assert PowerLaw(0.57, 0).scale(4) == pytest.approx(2.203810, abs=5e-7) and PowerLaw(
        0.39, 0
    ).scale(4) == pytest.approx(1.717131, abs=5e-7)
    assert PowerLaw(0.57, 0).scale(10) == pytest.approx(3.715352, abs=5e-7) and PowerLaw(
        0.39, 0
    ).scale(10) == pytest.approx(2.454709, abs=5e-7)
    with pytest.raises(IsocostError):
        fit_power_law([4, 4], [1, 2])


def test_speculative_worked_vectors():
    assert tokens_per_step(0.8, 4) == pytest.approx(3.3616)
    assert speculative_speedup(0.8, 4, 0.05) == pytest.approx(2.801333, abs=5e-7)
    assert best_draft_length(0.8, 0.05) == 8 and best_draft_length(0.5, 0.05) == 3
    assert speculative_speedup(0.8, 8, 0.05) == pytest.approx(3.092080, abs=5e-7)
    measured = target_efficiency(0.8, 4, 0.020, 0.024, 0.0015, 0.0003)
    assert measured.target_efficiency == pytest.approx(0.833333, abs=5e-7)
    assert (measured.acceptance_fill, measured.speedup) == (
        pytest.approx(0.67232),
        pytest.approx(2.218878, abs=5e-7),
    )
    assert tokens_per_step([0.8, 0.6, 0.9], [4, 2, 5]).sum() == pytest.approx(10.00719)
    assert goodput([0.8, 0.6, 0.9], [4, 2, 5], 0.030) == pytest.approx(333.573, abs=5e-4)
    assert batched_step_seconds(128000, 256, (5e-8, 6e-5, 0.012)) == pytest.approx(0.03376)
    accepted = [0, 1, 4, 4, 2, 4, 3, 0, 4, 4]
    assert estimate_acceptance(accepted, 4) == pytest.approx(0.838710, abs=5e-7) and 1 + np.mean(
        accepted
    ) == pytest.approx(3.6)


@settings(max_examples=60, deadline=None)
@given(
    acceptance=st.one_of(st.floats(0, 1), st.just(1.0), st.just(1 - 1e-12)),
    drafted=st.integers(0, 40),
)
def test_tokens_per_step_is_the_geometric_sum(acceptance, drafted):
    assert tokens_per_step(acceptance, drafted) == pytest.approx(
        sum(acceptance**i for i in range(drafted + 1)), rel=1e-9
    )
    free = target_efficiency(acceptance, drafted, 0.02, 0.02, 0.0)
    assert free.speedup == pytest.approx(float(tokens_per_step(acceptance, drafted)))


def test_acceptance_estimate_against_simulation():
    generator = np.random.default_rng(0)
    accepted = np.minimum(generator.geometric(1 - 0.7, 200_000) - 1, 5)
    assert estimate_acceptance(accepted, 5) == pytest.approx(0.7, abs=0.003)
    assert (
        abs(accepted.sum() / (5 * accepted.size) - 0.7) > 0.1
    )  # the naive quotient is something else
    assert np.isnan(estimate_acceptance([0, 0], 0))


def test_bad_input():
    for call in (
        lambda: estimate_acceptance([5], 4),
        lambda: tokens_per_step(1.2, 3),
        lambda: goodput([0.5], [2], 0.0),
        lambda: target_efficiency(0.5, 2, 0.0, 1.0, 1.0),
    ):
        with pytest.raises(IsocostError):
            call()

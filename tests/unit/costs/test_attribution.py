import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.costs.attribution import (
    TOKEN_SHARE,
    decode_positions,
    energy_method,
    fit_energy_model,
    share_by_time,
    share_by_tokens,
    share_by_weight,
)
from isocost.errors import IsocostError


def test_worked_vector():
    """Step energies 10,12,15,12,10 J with active sets {1},{1,2},{1,2,3},{2,3},{3}."""
    until = np.cumsum([0, 10, 12, 15, 12, 10])
    by_time = share_by_time([0, 1, 2], [3, 4, 5], np.arange(6), until, 59.0)
    np.testing.assert_allclose(by_time, [21, 17, 21], rtol=1e-12)
    np.testing.assert_allclose(share_by_tokens(59.0, [3, 3, 3]), [59 / 3] * 3, rtol=1e-12)


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(
    requests=st.lists(
        st.tuples(st.floats(0, 50), st.floats(0.01, 40), st.integers(0, 500)),
        min_size=1,
        max_size=30,
    ),
    powers=st.lists(st.floats(0, 700), min_size=101, max_size=101),
    window=st.floats(1e-3, 1e7),
)
def test_shares_always_add_up_to_the_window(requests, powers, window):
    start = np.array([r[0] for r in requests])
    end = start + np.array([r[1] for r in requests])
    tokens = np.array([r[2] for r in requests]) + 1
    moments = np.linspace(-1, 100, 102)
    until = np.concatenate(([0.0], np.cumsum(np.array(powers) + 1)))
    by_time = share_by_time(start, end, moments, until, window)
    for shares in (by_time, share_by_tokens(window, tokens), share_by_weight(window, tokens / 7)):
        assert abs(shares.sum() - window) <= 1e-9 * window and (shares >= 0).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_time_share_equals_small_steps(seed):
    generator = np.random.default_rng(seed)
    start = generator.integers(0, 40, 8)
    end = start + generator.integers(1, 30, 8)
    steps = generator.uniform(1, 9, 80)
    expected = np.zeros(8)
    for step, joules in enumerate(steps):
        active = (start <= step) & (step < end)
        if active.any():
            expected[active] += joules / active.sum()
    expected *= 1000 / expected.sum()
    until = np.concatenate(([0.0], np.cumsum(steps)))
    np.testing.assert_allclose(
        share_by_time(start, end, np.arange(81), until, 1000.0), expected, rtol=1e-9
    )


def test_equal_requests_get_equal_energy_and_a_straggler_pays():
    moments, until = [0.0, 10.0], [0.0, 1000.0]
    np.testing.assert_allclose(share_by_time([0, 0], [10, 10], moments, until, 1000), [500, 500])
    np.testing.assert_allclose(share_by_time([0, 0], [2, 10], moments, until, 1000), [100, 900])


def test_nobody_to_charge():
    for call in (
        lambda: share_by_tokens(10.0, [0, 0]),
        lambda: share_by_tokens(10.0, []),
        lambda: share_by_weight(10.0, [-1, 2]),
        lambda: share_by_time([1.0], [1.0], [0, 2], [0, 5], 5.0),
        lambda: share_by_time([1.0], [3.0], [0, 2], [0, 5], 5.0),
        lambda: share_by_time([1.0], [0.5], [0, 2], [0, 5], 5.0),
        lambda: share_by_time([0.0], [1.0], [0, 2], [5, 0], 5.0),
    ):
        with pytest.raises(IsocostError):
            call()


def test_decode_positions_is_the_sum_over_steps():
    for prompt, output in ((7, 0), (7, 1), (7, 5), (0, 3)):
        assert decode_positions(prompt, output) == sum(prompt + i for i in range(1, output))


def test_energy_model_recovers_its_coefficients():
    generator = np.random.default_rng(1)
    prompt, output = generator.integers(1000, 90000, 30), generator.integers(500, 40000, 30)
    attended, seconds = generator.uniform(1e6, 1e8, 30), generator.uniform(5, 100, 30)
    energy = 0.02 * prompt + 0.3 * output + 2e-6 * attended + 90 * seconds
    model = fit_energy_model(prompt, output, attended, seconds, energy)
    assert model.joules_per_prompt_token == pytest.approx(0.02, rel=1e-6)
    assert model.joules_per_output_token == pytest.approx(0.3, rel=1e-6)
    assert model.joules_per_attended_position == pytest.approx(2e-6, rel=1e-6)
    assert (
        model.watts_static == pytest.approx(90, rel=1e-6)
        and model.median_relative_error < 1e-9
        and model.n_windows == 30
    )
    assert share_by_weight(500.0, model.weights([100, 0], [10, 10], [0, 0])) == pytest.approx(
        [500 * 5 / 8, 500 * 3 / 8]
    )
    with pytest.raises(IsocostError, match="3 windows"):
        fit_energy_model(prompt[:3], output[:3], attended[:3], seconds[:3], energy[:3])


def test_energy_model_never_goes_negative():
    generator = np.random.default_rng(2)
    prompt, output = generator.integers(1, 900, 20), generator.integers(1, 900, 20)
    model = fit_energy_model(
        prompt, output, prompt * output, np.ones(20), 5.0 * output / (1 + prompt / 2000)
    )
    assert (
        min(model.joules_per_prompt_token, model.joules_per_output_token, model.watts_static) >= 0
    )


def test_method_names():
    assert energy_method("nvml", "counter", TOKEN_SHARE) == "nvml_counter/output_token_share"

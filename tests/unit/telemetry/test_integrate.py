import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from isocost.errors import IsocostError
from isocost.telemetry import counter_energy, cumulative_energy, duty_cycle_error_w, integrate_power

T = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
P = [100, 100, 400, 400, 400, 100]


def test_worked_vectors():
    assert integrate_power(T, P, 0, 0.5) == pytest.approx(140, abs=1e-12)
    assert integrate_power([0, 0.2, 0.5], [100, 400, 100], 0, 0.5) == pytest.approx(125, abs=1e-12)
    assert integrate_power([0, 0.2, 0.5], [100, 400, 100], 0, 0.5, hold=True) == pytest.approx(
        140, abs=1e-12
    )


def test_edges_are_interpolated():
    assert integrate_power([0, 10], [0, 100], 2.5, 7.5) == pytest.approx(250)
    assert integrate_power([0, 10], [40, 100], 2.5, 12.5, hold=True) == pytest.approx(
        7.5 * 40 + 2.5 * 100
    )
    assert integrate_power([0, 1], [3, 3], 0.4, 0.4) == 0.0


@settings(max_examples=60, deadline=None)
@given(
    data=st.lists(st.tuples(st.floats(0.01, 5), st.floats(0, 700)), min_size=2, max_size=30),
    edges=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    cut=st.floats(0, 1),
    hold=st.booleans(),
)
def test_additive_over_cuts_and_equal_to_quadrature(data, edges, cut, hold):
    times = np.cumsum([d for d, _ in data])
    watts = np.array([w for _, w in data])
    low, high = sorted(times[0] + (times[-1] - times[0]) * e for e in edges)
    middle = low + (high - low) * cut
    whole = integrate_power(times, watts, low, high, hold)
    parts = integrate_power(times, watts, low, middle, hold) + integrate_power(
        times, watts, middle, high, hold
    )
    assert whole == pytest.approx(parts, rel=1e-9, abs=1e-6)

    def power(t):
        return (
            watts[np.searchsorted(times, t, side="right") - 1]
            if hold
            else np.interp(t, times, watts)
        )

    grid = np.unique(np.concatenate(([low, high], times[(times > low) & (times < high)])))
    expected = sum(quad(power, a, b - 1e-12 if hold else b)[0] for a, b in itertools.pairwise(grid))
    assert whole == pytest.approx(expected, rel=1e-6, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    watts=st.floats(1, 1000), seconds=st.floats(0.5, 1e4), n=st.integers(2, 200), hold=st.booleans()
)
def test_constant_power_is_exact(watts, seconds, n, hold):
    times = np.linspace(0, seconds, n)
    assert integrate_power(times, np.full(n, watts), 0, seconds, hold) == pytest.approx(
        watts * seconds, rel=1e-9
    )


def test_ramp_is_exact_and_a_step_stays_in_its_bound():
    times = np.arange(0, 10.01, 0.1)
    assert integrate_power(times, 100 + 30 * times, 0.05, 9.95) == pytest.approx(
        100 * 9.9 + 15 * (9.95**2 - 0.05**2), rel=1e-12
    )
    step = np.where(times < 4.037, 100.0, 600.0)
    true = 100 * 4.037 + 600 * (10 - 4.037)
    assert abs(integrate_power(times, step, 0, 10) - true) <= 0.1 / 2 * 500 + 1e-9


def test_duty_cycled_sensor_stays_in_its_bound():
    """100 ms period, 400 W for 25 ms then 75 W.

    A sensor that sees 25 ms of each 100 ms reads 400 or 75 W, the truth is 156.25 W.
    """
    seconds, bound = 8.0, duty_cycle_error_w(0.25, 75, 400)
    times = np.arange(0, seconds + 0.05, 0.1)
    errors = []
    for phase in np.arange(0, 0.1, 0.005):
        moments = phase + np.linspace(0, 0.025, 26)[:-1] + 0.0005
        seen = np.where(moments % 0.1 < 0.025, 400.0, 75.0).mean()
        energy = integrate_power(times, np.full(times.size, seen), 0, seconds)
        errors.append((energy - 156.25 * seconds) / seconds)
    assert max(np.abs(errors)) == pytest.approx(
        bound, rel=1e-9
    )  # the bound is reached, never passed
    assert min(errors) == pytest.approx(75 - 156.25)
    assert duty_cycle_error_w(1.0, 0, 500) == 0


def test_counter():
    assert counter_energy([0, 1, 2], [100, 150, 350], 0.5, 1.5) == pytest.approx(125)
    with pytest.raises(IsocostError, match="decreases"):
        counter_energy([0, 1, 2], [100, 150, 20], 0, 2)


def test_cumulative_energy_is_the_running_integral():
    moments = np.array([0.0, 0.05, 0.25, 0.5])
    np.testing.assert_allclose(
        cumulative_energy(T, P, moments), [integrate_power(T, P, 0, m) for m in moments], rtol=1e-12
    )
    assert cumulative_energy(T, P, []).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((T, P, -0.1, 0.5), "do not cover"),
        ((T, P, 0, 0.6), "do not cover"),
        ((T, P, 0.5, 0.1), "before it starts"),
        (([0, 2, 1], [1, 1, 1], 0, 1), "position 2"),
        (([0, 1, 1], [1, 1, 1], 0, 1), "does not come after"),
        (([0, 1], [1, np.nan], 0, 1), "not finite"),
        (([0, 1], [1], 0, 1), "equally long"),
        (([], [], 0, 1), "non-empty"),
    ],
)
def test_unknown_energy_is_an_error_not_a_number(arguments, match):
    with pytest.raises(IsocostError, match=match):
        integrate_power(*arguments)


def test_negative_power_is_refused_with_its_place():
    with pytest.raises(IsocostError, match="position 1: the power -1 W is negative"):
        integrate_power([0, 1, 2], [1, -1, 1], 0, 2)

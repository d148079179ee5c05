import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.costs import (
    fit_runtime_model,
    helm_idealized_runtime,
    idealized_energy_j,
    idealized_usd,
)
from isocost.costs.runtime import denoise, helm_prefill_seconds, runtime_from_helm_table
from isocost.errors import IsocostError

KEYS = [1, 16, 32, 64, 128, 192, 256, 320, 384, 2048]
DAVINCI = {
    "runtime_per_output_token": 0.081,
    "runtime_for_prompt_tokens": dict(
        zip(
            map(str, KEYS),
            [0.084, 0.087, 0.089, 0.091, 0.094, 0.103, 0.109, 0.134, 0.142, 0.6368],
            strict=True,
        )
    ),
}
JUMBO = {
    "runtime_per_output_token": 0.042,
    "runtime_for_prompt_tokens": {
        "1": 0.042,
        "256": 0.109,
        "512": 0.268,
        "1024": 0.463,
        "1536": 0.655,
    },
    "overhead": 0.257,
}


def test_helm_look_up_worked_vectors():
    assert helm_idealized_runtime(DAVINCI, 300, 50) == pytest.approx(4.094625, rel=1e-12)
    np.testing.assert_allclose(
        helm_idealized_runtime(DAVINCI, [1, 2, 16], 1), [0.084, 0.010875, 0.087], rtol=1e-12
    )
    np.testing.assert_allclose(
        helm_prefill_seconds(DAVINCI, [320, 300]), [0.134, 0.125625], rtol=1e-12
    )
    assert helm_prefill_seconds(DAVINCI, 321) == pytest.approx(0.118703, abs=5e-7)
    assert helm_prefill_seconds(DAVINCI, 3000) == pytest.approx(
        0.9328125, rel=1e-12
    )  # above the largest key: scaled up
    assert helm_idealized_runtime(JUMBO, 300, 50) == pytest.approx(2.472031, abs=5e-7)
    assert helm_idealized_runtime(DAVINCI, 300, 0) == pytest.approx(0.125625)


def test_idealized_cost():
    seconds = helm_idealized_runtime(DAVINCI, 300, 50)
    assert seconds * 8 == pytest.approx(32.757)
    assert idealized_usd(seconds, 8, 2.0) == pytest.approx(0.0181983, abs=5e-8)
    assert idealized_energy_j(2.0, 8, 400.0) == 6400


def test_our_curve_has_no_saw_tooth():
    lengths = np.arange(1, 2500)
    assert (np.diff(helm_prefill_seconds(DAVINCI, lengths)) < 0).sum() >= 8
    ours = runtime_from_helm_table(DAVINCI)
    assert (np.diff(ours.predict(lengths, 1)) >= -1e-12).all()
    np.testing.assert_allclose(
        ours.predict(KEYS, 1), list(DAVINCI["runtime_for_prompt_tokens"].values()), rtol=1e-12
    )
    assert ours.predict(300, 1) == pytest.approx(0.1261875, rel=1e-12)
    assert runtime_from_helm_table(JUMBO).predict(256, 1) == pytest.approx(0.109 + 0.257)


def test_fit_recovers_a_piecewise_linear_law_exactly():
    generator = np.random.default_rng(0)
    prompts = generator.choice([0, 100, 500, 2000, 8000], 60)
    outputs, batches = generator.integers(1, 300, 60), generator.choice([1, 4, 16], 60)
    outputs[:15] = 1
    batches[:15] = 1
    prompts[:5] = [0, 100, 500, 2000, 8000]

    def law(p, o, b):
        return 0.02 + 1e-5 * p * b + (o - 1) * (0.03 + 0.001 * (b - 1))

    model = fit_runtime_model(prompts, outputs, law(prompts, outputs, batches), batch=batches)
    assert model.median_relative_error < 1e-9 and model.method == "fitted" and model.n_rows == 60
    assert model.overhead_s == pytest.approx(0.02, rel=1e-6)
    unseen = np.array(
        [[300, 9000, 2000, 200_000], [10, 1, 400, 20], [2, 1, 16, 32]]
    )  # the last lies beyond all knots
    np.testing.assert_allclose(model.predict(*unseen), law(*unseen), rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_fit_is_monotone_and_linear_whatever_the_noise(seed):
    generator = np.random.default_rng(seed)
    p, o = generator.integers(0, 4000, 80), generator.integers(1, 200, 80)
    model = fit_runtime_model(p, o, generator.uniform(0.01, 5, 80))
    lengths = np.arange(0, 6000, 37)
    assert (np.diff(model.predict(lengths, 20)) >= -1e-9).all()
    steps = np.diff(model.predict(500, np.arange(1, 50)))
    np.testing.assert_allclose(steps, model.seconds_per_output_token[0], atol=1e-12)
    assert model.predict(500, 0) == model.predict(500, 1)


def test_denoised_fit_sees_through_contention():
    generator = np.random.default_rng(3)
    p = np.repeat([64, 256, 1024, 2048], 40)
    o = np.tile(np.repeat([1, 50], 20), 4)
    clean = 0.05 + 2e-5 * p + 0.02 * (o - 1)
    noisy = clean * (1 + generator.exponential(0.5, p.size))
    denoised = fit_runtime_model(p, o, noisy, denoise_quantile=0.0)
    assert denoised.method == "fitted_denoised" and denoised.n_rows == 8
    truth = 0.05 + 2e-5 * 512 + 0.02 * 49
    assert (
        abs(denoised.predict(512, 50) / truth - 1)
        < 0.08
        < abs(fit_runtime_model(p, o, noisy).predict(512, 50) / truth - 1)
    )


def test_denoise_groups():
    keys, low = denoise(
        np.array([[2, 1], [1, 1], [2, 1], [1, 1], [2, 1]]), np.array([5.0, 9, 1, 7, 3]), 0.5
    )
    assert keys.tolist() == [[1, 1], [2, 1]] and low.tolist() == [8, 3]


def test_many_rows_reduce_to_few():
    generator = np.random.default_rng(0)
    p, o = generator.integers(1, 4000, 50_000), generator.integers(1, 500, 50_000)
    model = fit_runtime_model(p, o, 0.1 + p * 1e-5 + o * 0.01)
    assert len(model.prompt_knots) <= 13 and model.median_relative_error < 1e-3


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([1], [1], [1.0]), "two rows"),
        (([1, 2], [1, 0], [1.0, 1.0]), "no output token"),
        (([1, 2], [1, 1], [1.0, 0.0]), "not positive"),
        (([1, 2], [1, 1, 1], [1.0, 1.0]), "one length"),
    ],
)
def test_bad_measurements_are_errors(arguments, match):
    with pytest.raises(IsocostError, match=match):
        fit_runtime_model(*arguments)
    with pytest.raises(IsocostError, match="runtime_for_prompt_tokens"):
        helm_idealized_runtime({"runtime_per_output_token": 0.1}, 1, 1)
    with pytest.raises(IsocostError, match="runtime_per_output_token"):
        helm_idealized_runtime({"runtime_for_prompt_tokens": {"1": 0.1}}, 1, 1)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.costs import (
    critical_batch,
    decode_flops,
    decode_step_seconds,
    energy_cap_j,
    load_book,
    mbu,
    mfu,
    prefill_flops,
    prefill_seconds,
    request_bytes,
    request_seconds,
)
from isocost.costs.roofline import (
    active_experts,
    decode_step_bytes,
    energy_lower_bound_j,
    kv_read_bytes,
    weight_bytes,
)
from isocost.errors import IsocostError

BOOK = load_book()
H200, CPU = BOOK.device("h200-sxm"), BOOK.device("cpu")
ROUND_8B = BOOK.model("llama-3-8b").model_copy(
    update={"parameters_total": 8_030_000_000, "parameters_active": 8_030_000_000}
)
PAPER = {"convention": "parameters"}


@pytest.mark.parametrize(
    ("batch", "memory_ms", "compute_ms", "tokens_per_s"),
    [
        (1, 3.401757, 0.017316, 293.97),
        (64, 6.924973, 1.108196, 9241.9),
        (256, 17.662391, 4.432782, 14494.1),
        (512, 31.978949, 8.865564, 16010.5),
    ],
)
def test_worked_decode_steps(batch, memory_ms, compute_ms, tokens_per_s):
    seconds = decode_step_seconds(ROUND_8B, H200, batch, 2048, **PAPER)
    assert seconds * 1e3 == pytest.approx(memory_ms, abs=5e-7)
    assert batch / seconds == pytest.approx(tokens_per_s, abs=0.05)  # printed to one decimal
    assert batch * decode_flops(ROUND_8B, 2048, **PAPER) / H200.peak(
        "bfloat16"
    ) * 1e3 == pytest.approx(compute_ms, abs=5e-7)
    slow = decode_step_seconds(ROUND_8B, H200, batch, 2048, overlap=False, **PAPER)
    assert slow * 1e3 == pytest.approx(memory_ms + compute_ms, abs=1e-6)


def test_worked_utilisation_and_bounds():
    traffic = decode_step_bytes(ROUND_8B, 1, 2048, **PAPER)
    assert mbu(traffic, 0.005, H200) == pytest.approx(0.680351, abs=5e-7)
    assert mfu(decode_flops(ROUND_8B, 2048, **PAPER), 0.005, H200) == pytest.approx(
        0.003463, abs=5e-7
    )
    assert mfu(prefill_flops(ROUND_8B, 2048, **PAPER), 0.060, H200) == pytest.approx(
        0.572527, abs=5e-7
    )
    assert prefill_seconds(ROUND_8B, H200, 2048, **PAPER) * 1e3 == pytest.approx(34.35, abs=5e-3)
    assert critical_batch(ROUND_8B, H200) == pytest.approx(206.15, abs=5e-3)
    steps = decode_step_seconds(ROUND_8B, H200, 1, np.arange(2048, 3048), **PAPER)
    assert steps.sum() == pytest.approx(3.415397, abs=5e-7)


def test_engine_convention_leaves_the_input_table_out():
    paper, engine = weight_bytes(ROUND_8B, 1, **PAPER), weight_bytes(ROUND_8B, 1)
    assert paper - engine == 2 * 128256 * 4096
    tied = BOOK.model("qwen3-0.6b")
    assert weight_bytes(tied, 1) == weight_bytes(tied, 1, **PAPER)


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 2000),
    context=st.integers(1, 9000),
    name=st.sampled_from(["llama-3-8b", "gpt-oss-20b", "mixtral-8x7b"]),
)
def test_step_time_grows_with_batch_and_time_per_sequence_falls(batch, context, name):
    model = BOOK.model(name)
    one, more = (float(decode_step_seconds(model, H200, b, context)) for b in (batch, batch + 1))
    assert more >= one * (1 - 1e-12) and more / (batch + 1) <= one / batch * (1 + 1e-12)
    assert decode_step_seconds(model, H200, batch, context + 1) >= one * (1 - 1e-12)


def test_experts_touched():
    np.testing.assert_allclose(
        active_experts(64, 8, [1, 4, 16, 64]), [8, 26.484375, 56.443706, 63.987564], atol=5e-7
    )
    mixtral = BOOK.model("mixtral-8x7b")
    one = weight_bytes(mixtral, 1, **PAPER)
    assert one == pytest.approx(
        2 * mixtral.parameters_active
    )  # one token visits its chosen experts only
    assert weight_bytes(mixtral, 10_000, **PAPER) == pytest.approx(2 * mixtral.parameters_total)


def test_windows_bound_the_cache_read():
    gpt = BOOK.model("gpt-oss-20b")
    assert kv_read_bytes(gpt, 100) == gpt.kv_bytes_per_token * 100
    assert kv_read_bytes(gpt, 1000) == gpt.kv_bytes_per_token / 24 * (12 * 1000 + 12 * 128)


@settings(max_examples=30, deadline=None)
@given(prompt=st.integers(1, 900), output=st.integers(1, 200), batch=st.integers(1, 64))
def test_request_time_is_prefill_and_its_steps(prompt, output, batch):
    model = BOOK.model("gpt-oss-20b")
    steps = (
        decode_step_seconds(model, H200, batch, prompt + np.arange(1, output)).sum()
        if output > 1
        else 0.0
    )
    assert request_seconds(model, H200, prompt, output, batch=batch) == pytest.approx(
        prefill_seconds(model, H200, prompt) + steps, rel=1e-9
    )


def test_requests_are_vectorised():
    prompts, outputs = np.array([10, 500, 1]), np.array([1, 90, 7])
    together = request_seconds(ROUND_8B, H200, prompts, outputs)
    np.testing.assert_allclose(
        together,
        [
            float(request_seconds(ROUND_8B, H200, p, o))
            for p, o in zip(prompts, outputs, strict=True)
        ],
    )


def test_request_bytes():
    kappa, weights = 131072, float(weight_bytes(ROUND_8B, 1))
    assert request_bytes(ROUND_8B, 10, 1) == pytest.approx(weights + kappa * 10)
    expected = (
        weights + 2 * weights + kappa * (11 + 12) + kappa * 12
    )  # prefill, two steps, read at 11 and 12, 12 positions written
    assert request_bytes(ROUND_8B, 10, 3) == pytest.approx(expected)
    assert request_bytes(ROUND_8B, 10, 3, batch=2) == pytest.approx(expected - weights)


def test_energy_bounds():
    assert energy_cap_j(H200, 10.0, devices=2) == 14000
    bound = energy_lower_bound_j(
        1e12, 1e9, 2.0, joules_per_flop=1e-12, joules_per_byte=5e-9, watts_static=70
    )
    assert bound == pytest.approx(1 + 5 + 140)
    with pytest.raises(IsocostError, match="power limit"):
        energy_cap_j(CPU, 1.0)


def test_unknown_peaks_are_errors_not_zero():
    with pytest.raises(IsocostError, match="device card cpu"):
        decode_step_seconds(ROUND_8B, CPU, 1, 10)
    with pytest.raises(IsocostError, match="at least one"):
        decode_step_seconds(ROUND_8B, H200, 0, 10)
    with pytest.raises(IsocostError, match="positive time"):
        mfu(1.0, 0.0, H200)
    with pytest.raises(IsocostError, match="fp4"):
        mfu(1.0, 1.0, H200, number_format="fp4")

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.costs import kinetics_eflops, kinetics_terms, load_book
from isocost.errors import IsocostError

BOOK = load_book()
Q8 = BOOK.model("qwen3-8b").model_copy(
    update={"parameters_total": 8_190_000_000, "parameters_active": 8_190_000_000}
)
Q06 = BOOK.model("qwen3-0.6b").model_copy(
    update={"parameters_total": 752_000_000, "parameters_active": 752_000_000}
)


@pytest.mark.parametrize(
    ("model", "trials", "linear", "attention", "memory", "total"),
    [
        (Q8, 1, 163.8, 30.670848, 4313.088, 4507.558848),
        (Q8, 8, 1310.4, 245.366784, 33343.488, 34899.254784),
        (Q06, 8, 120.32, 95.420416, 25933.824, 26149.564416),
    ],
)
def test_worked_vectors(model, trials, linear, attention, memory, total):
    terms = kinetics_terms(model, 200, 10000, trials, 562.5)
    assert terms.linear / 1e12 == pytest.approx(linear, rel=1e-9)
    assert terms.attention / 1e12 == pytest.approx(attention, rel=1e-9)
    assert terms.memory / 1e12 == pytest.approx(memory, rel=1e-9)
    assert kinetics_eflops(model, 200, 10000, trials, 562.5) / 1e12 == pytest.approx(
        total, rel=1e-9
    )


def test_prompt_sharing():
    assert kinetics_terms(
        Q8, 200, 10000, 8, 562.5, is_prompt_shared=False
    ).memory / 1e12 == pytest.approx(34504.704)
    assert kinetics_terms(Q8, 8000, 10000, 8, 562.5).memory / 1e12 == pytest.approx(39813.12)
    assert kinetics_terms(
        Q8, 8000, 10000, 8, 562.5, is_prompt_shared=False
    ).memory / 1e12 == pytest.approx(86261.76)


@settings(max_examples=50, deadline=None)
@given(
    prompt=st.integers(0, 5000),
    output=st.integers(0, 5000),
    trials=st.integers(1, 64),
    intensity=st.floats(0, 1000),
)
def test_invariants(prompt, output, trials, intensity):
    many = kinetics_eflops(Q8, 0, output, trials, intensity)
    assert many == pytest.approx(trials * kinetics_eflops(Q8, 0, output, 1, intensity), rel=1e-12)
    terms = kinetics_terms(Q8, prompt, output, trials, 0.0)
    assert terms.total == terms.linear + terms.attention  # intensity 0 leaves the FLOPs law
    shared = kinetics_eflops(Q8, prompt, output, trials, intensity)
    assert shared <= kinetics_terms(
        Q8, prompt, output, trials, intensity, is_prompt_shared=False
    ).total * (1 + 1e-12)


def test_mean_length_understates_the_cost():
    lengths = np.array([100, 20000])
    assert kinetics_eflops(Q8, 200, lengths, 1, 562.5).mean() > 1.5 * kinetics_eflops(
        Q8, 200, lengths.mean(), 1, 562.5
    )


def test_extensions_carry_their_own_terms():
    extended = kinetics_terms(Q8, 100, 50, 4, 200.0, decode_batch=16, with_prefill=True)
    assert extended.prefill == pytest.approx(2 * 8.19e9 * 100 + 4 * 73728 * 100**2)
    assert extended.weights == pytest.approx(200 * 2 * 8.19e9 * 4 * 50 / 16)
    unshared = kinetics_terms(Q8, 100, 50, 4, 200.0, with_prefill=True, is_prompt_shared=False)
    assert unshared.prefill == pytest.approx(4 * extended.prefill)
    plain = kinetics_terms(Q8, 100, 50, 4, 200.0)
    assert plain.prefill == 0 and plain.weights == 0
    with pytest.raises(IsocostError, match="decode_batch"):
        kinetics_terms(Q8, 1, 1, 1, 1.0, decode_batch=0)


def test_no_trial_costs_nothing():
    assert kinetics_terms(Q8, 100, 50, 0, 200.0, with_prefill=True, decode_batch=4).total == 0
    assert kinetics_eflops(Q8, 100, 50, [0, 1], 200.0).tolist() == [
        0.0,
        float(kinetics_eflops(Q8, 100, 50, 1, 200.0)),
    ]

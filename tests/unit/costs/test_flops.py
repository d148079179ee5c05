import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.costs import decode_flops, forward_flops, load_book, prefill_flops
from isocost.costs.flops import megatron_flops
from isocost.errors import IsocostError

BOOK = load_book()
ROUND_8B = BOOK.model("llama-3-8b").model_copy(
    update={"parameters_total": 8_030_000_000, "parameters_active": 8_030_000_000}
)
COUNTS = st.integers(0, 3000)


def test_worked_vectors_under_the_papers_convention():
    assert prefill_flops(ROUND_8B, 2048, convention="parameters") == pytest.approx(
        3.39909285e13, rel=1e-9
    )
    assert decode_flops(ROUND_8B, 2048, convention="parameters") == pytest.approx(
        1.7133741824e10, rel=1e-12
    )


def brute_force(model, prompt, output, cached):
    """One position at a time, one layer at a time."""
    total = 0
    for position in range(cached + 1, prompt + max(output - 1, 0) + 1):
        total += 2 * model.parameters_body
        for layer in range(model.layers):
            seen = min(position, model.window_tokens) if layer < model.layers_windowed else position
            total += 4 * model.query_heads * model.head_size * seen
    return total + 2 * model.hidden_size * model.vocabulary * output


@pytest.mark.parametrize("name", ["smollm2-135m-instruct", "gpt-oss-20b"])
@pytest.mark.parametrize(
    ("prompt", "output", "cached"),
    [(0, 0, 0), (5, 0, 0), (7, 1, 0), (150, 40, 0), (150, 40, 128), (130, 1, 130)],
)
def test_equals_the_sum_over_positions_and_layers(name, prompt, output, cached):
    model = BOOK.model(name)
    assert forward_flops(model, prompt, output, cached_tokens=cached) == pytest.approx(
        brute_force(model, prompt, output, cached), rel=1e-12
    )


@settings(max_examples=50, deadline=None)
@given(prompt=st.integers(1, 3000), output=st.integers(1, 400))
def test_a_request_is_its_prefill_and_its_decode_steps(prompt, output):
    model = BOOK.model("gpt-oss-20b")
    steps = decode_flops(model, prompt + np.arange(1, output)).sum() if output > 1 else 0.0
    assert forward_flops(model, prompt, output) == pytest.approx(
        prefill_flops(model, prompt) + steps, rel=1e-12
    )


@settings(max_examples=50, deadline=None)
@given(prompt=COUNTS, output=COUNTS, more=st.integers(1, 50))
def test_monotone_in_both_lengths_and_cheaper_with_a_cache(prompt, output, more):
    model = BOOK.model("mixtral-8x7b")
    base = forward_flops(model, prompt, output)
    assert forward_flops(model, prompt + more, output) > base
    assert forward_flops(model, prompt, output + more) > base
    assert forward_flops(model, prompt + more, output, cached_tokens=more) < forward_flops(
        model, prompt + more, output
    )


def test_vectorised_and_broadcast():
    model = BOOK.model("qwen3-0.6b")
    prompts, outputs = np.array([[10], [200]]), np.array([1, 5, 9])
    grid = forward_flops(model, prompts, outputs)
    assert grid.shape == (2, 3) and grid[1, 2] == forward_flops(model, 200, 9)


def test_only_chosen_experts_count():
    sparse = BOOK.model("mixtral-8x7b")
    dense = sparse.model_copy(update={"parameters_active": sparse.parameters_total})
    ratio = forward_flops(sparse, 100, 10) / forward_flops(dense, 100, 10)
    assert 0.25 < ratio < 0.29


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((-1, 3), "prompt_tokens"),
        ((1, np.nan), "output_tokens"),
        ((1.5, 3), "not whole"),
        (("many", 3), "not an array of numbers"),
    ],
)
def test_bad_counts_are_errors(arguments, match):
    with pytest.raises(IsocostError, match=match):
        forward_flops(ROUND_8B, *arguments)


def test_bad_cache_and_convention():
    with pytest.raises(IsocostError, match="more cached"):
        forward_flops(ROUND_8B, 3, 1, cached_tokens=4)
    with pytest.raises(IsocostError, match="convention"):
        forward_flops(ROUND_8B, 3, 1, convention="training")


def test_megatron_formula_worked_vectors():
    assert megatron_flops(300, 12288, 96, 50304, logits_divisor=16) == pytest.approx(
        1.05070539571e14, rel=1e-11
    )
    assert megatron_flops(300, 12288, 96, 50304) == pytest.approx(1.05163259904e14, rel=1e-11)

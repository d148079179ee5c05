"""Token counts: whatever stands beside or among the others, the same four numbers come out."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from isocost.importers.row import Row
from isocost.importers.usage import put_usage

SIZE = st.integers(1, 10_000)


def read(usage: dict, **more: int) -> dict:
    row = Row("sample", "f", None, "f")
    put_usage(row, usage, **more)
    return row.values | {"reasons": row.reasons}


@given(SIZE, SIZE, SIZE, SIZE, SIZE, st.booleans(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_the_total_says_what_stands_beside(
    fresh: int, cached: int, wrote: int, said: int, thought: int, cache: bool, think: bool
) -> None:
    prompt, output = fresh + cached + wrote, said + thought
    usage = {
        "input_tokens": fresh if cache else prompt,
        "output_tokens": said if think else output,
        "reasoning_tokens": thought,
        "input_tokens_cache_read": cached,
        "input_tokens_cache_write": wrote,
        "total_tokens": prompt + output,
    }
    assume(cached + wrote != thought)  # then the total tells not which of the two stands beside
    found = read(usage)
    assert (found["prompt_tokens"], found["output_tokens"]) == (prompt, output)
    assert (found["reasoning_tokens"], found["cached_tokens"]) == (thought, cached)


@given(st.fixed_dictionaries({}, optional={name: st.integers(-1, 50) for name in (
    "input_tokens", "output_tokens", "reasoning_tokens", "input_tokens_cache_read", "input_tokens_cache_write", "total_tokens"
)}))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_no_part_is_more_than_its_whole(usage: dict) -> None:
    found = read(usage)
    if found.get("output_tokens") is not None:
        assert found.get("reasoning_tokens", 0) <= found["output_tokens"]
    if found.get("prompt_tokens") is not None:
        assert found.get("cached_tokens", 0) <= found["prompt_tokens"]


@given(SIZE, SIZE, st.integers(2, 9))
def test_counts_of_several_completions_are_no_single_ones(
    prompt: int, output: int, completions: int
) -> None:
    found = read({"input_tokens": prompt, "output_tokens": output}, completions=completions)
    assert "prompt_tokens" not in found and "output_tokens" not in found
    assert found["reasons"] == [
        f"{name}_tokens:usage_covers_{completions}_samples" for name in ("prompt", "output")
    ]

"""What falls to each question of a shared call adds up to the call."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from isocost.tables.core.sharing import questions_of, shares
from isocost.tasks.model import make_problem

COUNTS = ("prompt_tokens", "cached_tokens", "output_tokens")


@given(
    many=st.integers(1, 9),
    counts=st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60)),
    is_counted=st.booleans(),
)
@example(many=5, counts=(2, 1, 0), is_counted=True)
def test_the_parts_of_a_call_are_whole_and_add_up_to_it(many, counts, is_counted):
    cached, uncached, output = counts
    problems = [
        make_problem("t", f"q{n}", "1", "numeric", fields={"context": "c"}) for n in range(many)
    ]
    other = make_problem("t", "alone", "1", "numeric", fields={"context": "d"})
    questions = questions_of({"pt": [*problems, other]})
    call = {
        "point_id": "pt", "sample_id": "s", "shared_id": "s", "problem_id": "context",
        "prompt_tokens": cached + uncached, "cached_tokens": cached if is_counted else None,
        "output_tokens": output, "flops": 12.0, "decode_s": 3.0,
    }  # fmt: skip
    rows = [call | {"of_sample": f"s{i}", "of_problem": p.problem_id}
            for i, p in enumerate(problems)]  # fmt: skip
    own = rows[0] | {"sample_id": "s0"}
    schema = {name: pl.Int64 for name in COUNTS}
    found = shares(pl.DataFrame([*rows, own], schema_overrides=schema), questions)
    parts, whole = found.head(many), found.row(many, named=True)
    assert parts["sample_id"].to_list() == [f"s{i}" for i in range(many)]
    assert parts["problem_id"].to_list() == [p.problem_id for p in problems]
    assert parts["n_context_questions"].to_list() == [many] * many
    assert parts["output_tokens"].sum() == output
    assert parts["prompt_tokens"].sum() == cached + uncached
    assert parts["output_tokens"].max() - parts["output_tokens"].min() <= 1
    if is_counted:
        assert parts["cached_tokens"].sum() == cached
        assert (parts["cached_tokens"] <= parts["prompt_tokens"]).all()
    else:
        assert parts["cached_tokens"].null_count() == many
    assert parts["flops"].sum() == pytest.approx(12.0)
    assert parts["decode_s"].to_list() == [0.0] * many
    # A call of its own is borne in full.
    assert [whole[name] for name in (*COUNTS, "flops", "decode_s")] == [
        call[name] for name in (*COUNTS, "flops", "decode_s")
    ]


def test_problems_without_a_context_share_nothing():
    assert questions_of({"pt": [make_problem("t", "q", "1", "numeric")]}).is_empty()

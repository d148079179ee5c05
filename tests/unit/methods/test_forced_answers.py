"""One trace, asked for its answer at many places."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from play import asked, made, play

from isocost.errors import IsocostError

FORCING = "\n\nFinal Answer:"


def trace(length, finish="stop", stop_text=None):
    """A model whose trace has tokens 1 to `length`, and which answers with what it was shown."""

    def model(call):
        if call.role == "answer":
            return f" {len(call.prefix)}"
        tokens = tuple(range(1, length + 1))
        return {"text": "t", "token_ids": tokens, "finish_reason": finish, "stop_text": stop_text}

    return model


def test_the_probes_go_on_after_the_first_tokens_in_one_wave():
    method = made("forced_answers", budgets=[2, 4, 6, 8], answer_tokens=3)
    found = play(method, trace(6))
    assert [len(wave) for wave in found.waves] == [1, 2]
    assert [(c.prefix, c.continuation, c.max_tokens, c.parent) for c in found.waves[1]] == [
        ((1, 2), FORCING, 3, 0),
        ((1, 2, 3, 4), FORCING, 3, 0),
    ]
    assert [(a.text, a.call, a.budget, a.calls, a.cuts) for a in found.answers] == [
        (f"{FORCING} 2", 1, 2, [0, 1], {0: 2}),
        (f"{FORCING} 4", 2, 4, [0, 2], {0: 4}),
        ("t", 0, 6, [0], None),  # the whole trace is its own answer, and fits into 6
    ]


@pytest.mark.parametrize(
    ("finish", "mark", "stop_text", "prefix", "continuation"),
    [
        ("length", "", None, (1, 2, 3), FORCING),
        ("length", "</think>", None, (1, 2, 3), f"</think>{FORCING}"),
        ("stop", "</think>", "</think>", (), "t</think>"),
        ("stop", "</think>", None, (1, 2, 3), "</think>"),
    ],
)
def test_a_trace_without_an_answer_is_probed_at_its_end(
    finish, mark, stop_text, prefix, continuation
):
    method = made("forced_answers", budgets=[2], end_of_thinking=mark)
    found = play(method, trace(3, finish, stop_text))
    assert [len(wave) for wave in found.waves] == [1, 1, 1]
    assert found.calls[0].stop == ((mark,) if mark else ())
    assert found.calls[1].continuation == f"{mark}{FORCING}"
    last = found.calls[-1]
    assert (last.prefix, last.continuation) == (prefix, continuation)
    answer = found.answers[-1]
    assert (answer.budget, answer.calls, answer.cuts) == (100, [0, 2], None)
    assert answer.text == continuation.removeprefix("t") + f" {len(prefix)}"


@given(
    length=st.integers(0, 20),
    budgets=st.sets(st.integers(1, 25), min_size=1, max_size=8).map(sorted),
    finish=st.sampled_from(("stop", "length")),
)
def test_an_answer_depends_on_no_other_budget(length, budgets, finish):
    whole = play(made("forced_answers", budgets=budgets), trace(length, finish))
    grid = [*budgets, 100]
    fits = min(b for b in grid if b >= length)
    assert [a.budget for a in whole.answers] == [b for b in grid if b <= fits]
    for budget in budgets:
        alone = play(made("forced_answers", budgets=[budget]), trace(length, finish))
        one = alone.answers[0]
        same = next(a for a in whole.answers if a.budget == min(budget, fits))
        assert (one.text, one.budget, one.cuts) == (same.text, budget, same.cuts)
        assert [alone.calls[i] for i in one.calls] == [whole.calls[i] for i in same.calls]


def test_without_budgets_quarters_of_the_points_are_probed():
    found = play(made("forced_answers"), trace(100, "length"), asked(max_tokens=100))
    assert [a.budget for a in found.answers] == [25, 50, 75, 100]
    found = play(made("forced_answers"), trace(2, "length"), asked(max_tokens=2))
    assert [a.budget for a in found.answers] == [1, 2]


def test_budgets_increase():
    for wrong in ([2, 2], [3, 2], [0, 1], ["two"]):
        with pytest.raises(IsocostError) as error:
            made("forced_answers", budgets=wrong)
        assert error.value.where.startswith("method.budgets")

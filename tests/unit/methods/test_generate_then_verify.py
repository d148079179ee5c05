"""A solution, and verdicts that leave it alone."""

from __future__ import annotations

import pytest
from play import asked, made, play

from isocost.errors import IsocostError
from isocost.sweep import sweep_from_text


def test_one_solution_and_so_many_verdicts_at_the_same_time():
    method = made("generate_then_verify", verifications=3, instruction="Right?", temperature=0.2)
    found = play(method, lambda call: "No" if call.role == "verify" else "42")
    assert [[call.role for call in wave] for wave in found.waves] == [["solve"], ["verify"] * 3]
    assert {call.parent for call in found.waves[1]} == {0}
    assert {call.temperature for call in found.waves[1]} == {0.2}
    [message] = found.calls[1].messages
    assert message["content"] == f"Problem:\n{asked().question}\n\nSolution:\n42\n\nRight?"
    [answer] = found.answers
    assert (answer.text, answer.call, answer.budget, answer.calls) == ("42", 0, None, None)
    assert method.required() == ()


def test_a_first_token_verdict_chooses_between_yes_and_no_once():
    method = made("generate_then_verify", verdict="first_token")
    found = play(method, lambda call: "42")
    assert found.calls[1].choices == ("Yes", "No") and found.calls[0].choices == ()
    assert method.required() == ("scores_choices",)
    with pytest.raises(IsocostError, match="always the same"):
        made("generate_then_verify", verdict="first_token", verifications=2)


SWEEP = """
sweep: s
models: {name: a, path: pa, dtype: float32}
engine: {engine: openai, options: {base_url: "http://a/v1"}}
tasks: {name: t, source: inline, dataset: d, n_problems: 1, verifier: exact}
prompts: {name: direct, template: "{question}"}
samples_per_problem: 4
grid: {temperature: 0.5, max_tokens: 16, method: {name: generate_then_verify, verdict: VERDICT}}
"""


def test_only_the_verdict_of_a_first_token_needs_an_engine_with_probabilities():
    assert sweep_from_text(SWEEP.replace("VERDICT", "text")).grid.method[0].name
    with pytest.raises(IsocostError, match="needs an engine that reports the probability") as error:
        sweep_from_text(SWEEP.replace("VERDICT", "first_token"))
    assert "grid.method" in error.value.where

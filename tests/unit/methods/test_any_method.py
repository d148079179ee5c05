"""What holds for every method, whatever the model says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from play import made, play

from isocost.methods import METHODS, judged

SAID = (
    "",
    " ",
    "Yes",
    "No.",
    "It is correct.",
    "Wait, not sure. Hmm.",
    "1. Add the numbers.\n2) Double the sum.\n3. Say it.",
    "1: 50\n2: 30\n3: 20",
    "7: 0\n1 - 999",
    "The answer is 42",
    "The answer is \\boxed{7}. </think> 7",
)
WORLDS = st.lists(
    st.tuples(st.sampled_from(SAID), st.sampled_from(("stop", "length", "marked"))),
    min_size=1,
    max_size=12,
)
PARAMETERS = (
    *((name, {}) for name, kind in sorted(METHODS.all().items()) if not kind.is_outside),
    ("budget_forcing", {"end_of_thinking": "</think>", "extensions": 3}),
    ("forced_answers", {"end_of_thinking": "</think>", "budgets": [1, 2, 5]}),
    ("generate_then_verify", {"verdict": "first_token"}),
    ("solve_detect_verify", {"detector": "always"}),
    ("solve_detect_verify", {"detector": "log_probability"}),
    ("parallel_distill_refine", {"drafts": 1}),
    ("beam_search", {"subtrees": True, "scorer": "self_evaluation", "depth": 5}),
    ("best_first", {"scorer": "self_evaluation", "aggregate": "min", "expansions": 5}),
    ("rebase", {"scorer": "self_evaluation", "aggregate": "prod", "depth": 5}),
    ("particle_filtering", {"choose": "weighted_vote", "aggregate": "min", "depth": 5}),
)


def model_of(world, **changes):
    """Plays the replies of a world, over and over."""
    count = iter(range(10**6))

    def model(call):
        text, finish = world[next(count) % len(world)]
        fields = {"text": text, "finish_reason": "stop" if finish == "marked" else finish}
        if finish == "marked" and call.stop:
            fields["stop_text"] = call.stop[0]
        if call.choices:
            fields["choice_logprobs"] = tuple(-1.0 - i for i, _ in enumerate(call.choices))
        return fields | changes

    return model


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS)
@settings(max_examples=30)
@given(world=WORLDS)
def test_the_same_replies_lead_to_the_same_calls_and_a_sound_end(name, parameters, world):
    method = made(name, **parameters)
    found, again = (play(method, model_of(world)) for _ in range(2))
    assert again == found
    assert len(found.calls) <= method.most_calls
    first = 0
    for wave in found.waves:
        assert wave
        for call in wave:
            assert judged(call) == call
            assert call.parent is None or call.parent < first
        first += len(wave)
    assert found.answers, "there is always an answer"
    for answer in found.answers:
        used = sorted(range(len(found.calls)) if answer.calls is None else answer.calls)
        assert judged(answer) == answer and used[-1] < len(found.calls)
        assert answer.call in used
        tokens = {i: len(found.replies[i].token_ids) for i in used}
        for index, kept in (answer.cuts or {}).items():
            assert 0 < kept < tokens[index]
    budgets = [answer.budget for answer in found.answers]
    if method.unit:
        assert None not in budgets and budgets == sorted(budgets), "budgets never fall"
    else:
        assert budgets == [None]


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS)
def test_tokens_and_probabilities_that_are_unknown_stop_only_what_needs_them(name, parameters):
    method = made(name, **parameters)
    unknown = {"token_ids": None, "output_tokens": None, "logprob_sum": None}
    model = model_of([("Wait. It is 4.", "stop"), ("No", "stop")], **unknown)
    if "continues_tokens" in method.required():
        with pytest.raises(ValueError, match=r"reports no tokens of call 0|of call 0 are unknown"):
            play(method, model)
    else:
        assert play(method, model).answers

"""Methods with a second model: which model is asked what, call by call."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from play import asked, made, play
from trees import TreeModel, random_tree

from isocost.errors import IsocostError
from isocost.stopping import escalating_threshold, is_kept
from isocost.strategies.estimators.cascades import cascade


def reply(text, mean=-0.1, **fields):
    tokens = len(text.split())
    return {"text": text, "logprob_sum": mean * tokens, "output_tokens": tokens} | fields


def asks(found):
    return [(call.role, call.partner) for call in found.calls]


def test_a_sure_answer_is_kept_and_no_partner_is_asked():
    found = play(made("cascade", thresholds=[-0.5]), lambda call: reply("it is 42", -0.5))
    assert asks(found) == [("solve", None)]
    [answer] = found.answers
    assert (answer.text, answer.budget, answer.calls) == ("it is 42", 1, None)


def test_an_unsure_answer_is_passed_on_and_the_last_one_is_always_kept():
    scores = {None: -0.6, "large": -0.3, "huge": -9.0}

    def model(call):
        return reply(f"by {call.partner}", scores[call.partner])

    method = made("cascade", models=["large", "huge"], thresholds=[-0.5, -0.2])
    found = play(method, model)
    assert asks(found) == [("solve", None), ("escalate", "large"), ("escalate", "huge")]
    assert all(call.messages == asked().messages for call in found.calls)
    assert [(a.text, a.call, a.budget) for a in found.answers] == [
        ("by None", 0, 1),
        ("by large", 1, 2),
        ("by huge", 2, 3),
    ]
    assert method.partners() == {"large": (), "huge": ()}


@pytest.mark.parametrize("fields", [{"logprob_sum": None}, {"output_tokens": 0}])
def test_an_answer_without_a_score_is_never_kept(fields):
    found = play(made("cascade", thresholds=[-1e300]), lambda call: reply("x y", **fields))
    assert asks(found) == [("solve", None), ("escalate", "large")]


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        ({"models": ["a", "b"]}, "one threshold per partner: 2 in `models`, 1 in"),
        ({"models": ["a", "a"], "thresholds": [-1, -2]}, "a partner is named twice"),
        ({"models": ["Large"]}, "an alias is 1 to 40 lower-case letters"),
        ({"models": [], "thresholds": []}, "at least 1 item"),
        ({"thresholds": [0.5]}, "less than or equal to 0"),
    ],
)
def test_a_cascade_that_cannot_be_is_refused(parameters, what):
    with pytest.raises(IsocostError, match=what):
        made("cascade", **parameters)


@given(
    scores=st.lists(st.sampled_from([-2.0, -1.0, -0.5, -0.25, None]), min_size=1, max_size=6),
    threshold=st.sampled_from([-2.0, -1.0, -0.75, -0.5, -0.25, 0.0]),
    values=st.lists(st.sampled_from([0.0, 1.0]), min_size=6, max_size=6),
)
def test_live_and_replayed_cascades_keep_the_same_answers(scores, threshold, values):
    """Every sample of a bank, run live: the mean is what the replay works out."""
    mine = values[: len(scores)]
    method = made("cascade", thresholds=[threshold])
    right, reached = [], []
    for score, value in zip(scores, mine, strict=True):

        def model(call, score=score, value=value):
            if call.partner:
                return reply("1.0", -1)
            return reply(str(value), 0.0) | {"logprob_sum": score, "output_tokens": 1}

        found = play(method, model)
        right.append(float(found.answers[-1].text))
        reached.append(len(found.calls) == 2)
    held = [-np.inf if score is None else score for score in scores]
    replayed = cascade(
        [[mine], [[1.0]]], [[held]], [np.ones((1, len(held))), np.ones((1, 1))], [threshold]
    )
    assert replayed.accuracy.item() == pytest.approx(np.mean(right))
    assert replayed.reach[0, 1] == pytest.approx(np.mean(reached))
    assert [not is_kept(score, threshold) for score in scores] == reached


@given(
    scores=st.lists(st.floats(-5, 0), min_size=2, max_size=50, unique=True),
    share=st.floats(0.01, 0.99),
)
def test_about_the_share_is_below_the_threshold(scores, share):
    threshold = escalating_threshold(np.array(scores), share)
    below = sum(not is_kept(score, threshold) for score in scores)
    assert abs(below - share * (len(scores) - 1)) < 1 + 1e-9


def test_the_ends_escalate_nothing_and_everything():
    scores = np.array([-1.0, -2.0])
    assert escalating_threshold(scores, 0.0) == -np.inf
    assert escalating_threshold(scores, 1.0) == np.inf


class Solver:
    """Plays both models of speculative reasoning from lists of steps and utilities."""

    def __init__(self, small, large, utilities):
        self.small, self.large, self.utilities = iter(small), iter(large), iter(utilities)

    def __call__(self, call):
        if call.choices:
            utility = next(self.utilities)
            probabilities = [-5.0] * 10 if utility is None else [None] * 10
            if utility is not None:
                probabilities[utility] = -0.1
                probabilities[0] = -3.0 if utility else -0.1
            return {"text": "?", "choice_logprobs": tuple(probabilities)}
        text = next(self.large if call.partner else self.small)
        goes_on = text.endswith("|")
        return reply(text.rstrip("|")) | {"stop_text": "\n\n" if goes_on else None}


def test_good_steps_are_kept_and_poor_ones_rewritten():
    solver = Solver(["one two|", "bad|", "the end is 4"], ["better three|"], [9, 6, 7])
    found = play(made("speculative_reasoning"), solver, asked(max_tokens=20))
    assert asks(found) == [
        ("step", None),
        ("score", "large"),
        ("step", None),
        ("score", "large"),
        ("rewrite", "large"),
        ("step", None),
        ("score", "large"),
    ]
    calls = found.calls
    assert [call.continuation for call in calls] == [
        "",
        "Score: ",
        "one two\n\n",
        "Score: ",
        "one two\n\n",
        "one two\n\nbetter three\n\n",
        "Score: ",
    ]
    assert [call.parent for call in calls] == [None, 0, 0, 2, 0, 4, 5]
    # The step that was not kept does not count towards the budget.
    assert [call.max_tokens for call in calls] == [20, None, 18, None, 18, 16, None]
    judged = calls[3].messages
    assert judged[-2] == {"role": "assistant", "content": "one two\n\nbad\n\n"}
    assert judged[:-2] == asked().messages and "0" in judged[-1]["content"]
    assert {call.stop for call in calls if not call.choices} == {("\n\n",)}
    assert {call.choices for call in calls if call.choices} == {tuple("0123456789")}
    assert [(a.text, a.call, a.budget, a.is_whole) for a in found.answers] == [
        ("one two\n\n", 0, 1, False),
        ("one two\n\nbetter three\n\n", 4, 2, False),
        ("one two\n\nbetter three\n\nthe end is 4", 5, 3, True),
    ]


def test_a_last_step_that_is_poor_is_rewritten_and_may_go_on():
    solver = Solver(["it is 5", "is 4"], ["wait|"], [2, 8])
    found = play(made("speculative_reasoning"), solver)
    assert found.answers[-1].text == "wait\n\nis 4"
    assert asks(found)[:3] == [("step", None), ("score", "large"), ("rewrite", "large")]


@pytest.mark.parametrize(
    ("utility", "threshold", "kept"), [(7, 7, True), (6, 7, False), (None, 0, True), (0, 0, True)]
)
def test_the_threshold_itself_is_kept_and_among_equals_the_lower_utility_counts(
    utility, threshold, kept
):
    solver = Solver(["a"], ["b"], [utility])
    found = play(made("speculative_reasoning", threshold=threshold), solver)
    assert found.answers[-1].text == ("a" if kept else "b")


def test_equal_digits_count_as_the_lowest():
    found = play(made("speculative_reasoning", threshold=1), Solver(["a"], ["b"], [None]))
    assert found.answers[-1].text == "b"


def test_the_first_steps_are_the_partners_and_the_budget_ends_the_solution():
    solver = Solver(["three|"], ["one two|"], [9])
    found = play(made("speculative_reasoning", first_steps=1), solver, asked(max_tokens=3))
    assert asks(found) == [("rewrite", "large"), ("step", None), ("score", "large")]
    last = found.answers[-1]
    assert (last.text, last.is_whole, last.budget) == ("one two\n\nthree\n\n", False, 2)


def test_a_limit_of_steps_leaves_the_last_beginning_as_the_answer():
    solver = Solver(["a|", "b|"], [], [9, 9])
    found = play(made("speculative_reasoning", steps=2), solver)
    assert [answer.text for answer in found.answers] == ["a\n\n", "a\n\nb\n\n"]


def test_a_truncated_step_ends_the_solution_truncated():
    def model(call):
        if call.choices:
            return {"text": "9", "choice_logprobs": (None,) * 9 + (-0.1,)}
        return reply("a b c") | {"finish_reason": "length"}

    found = play(made("speculative_reasoning"), model, asked(max_tokens=3))
    assert [(a.text, a.is_whole) for a in found.answers] == [("a b c", False)]


def test_what_is_needed_of_both_engines():
    method = made("speculative_reasoning", model="big")
    assert method.required() == ("continues_tokens",)
    assert method.partners() == {"big": ("continues_tokens", "scores_choices")}
    with pytest.raises(ValueError, match="probabilities of the choices of call 1 are unknown"):
        play(method, lambda call: reply("a") | {"stop_text": None})


def rewarded(rewards):
    """Steps of a random tree, scored by another model: a reward for each step of a solution."""
    model = TreeModel(random_tree(3, depth=3, branches=3, early=0.0))

    def play_both(call):
        if call.partner is None:
            return model(call)
        return {"text": "", "step_scores": tuple(rewards(call.steps))}

    return play_both


@pytest.mark.parametrize("name", ["beam_search", "rebase", "particle_filtering"])
def test_a_process_reward_model_scores_each_step_after_the_ones_before_it(name):
    given = {"beam_search": {"width": 2, "expansions": 2}, "rebase": {}, "particle_filtering": {}}
    scorer = {"name": "process_reward", "model": "prm"}
    method = made(name, scorer=scorer, depth=3, **given[name])
    assert method.partners() == {"prm": ("scores_steps",)}
    assert method.required() == ("continues_tokens",)
    found = play(method, rewarded(lambda steps: [0.5] * len(steps)))
    made_steps = {reply.index: reply for reply in found.replies}
    scored = [call for call in found.calls if call.role == "score"]
    assert len(scored) == sum(call.role == "step" for call in found.calls) > 0
    for call in scored:
        assert call.partner == "prm" and call.messages == (
            {"role": "user", "content": asked().question},
        )
        assert call.steps[-1] == made_steps[call.parent].text
        assert all(step == step.strip() for step in call.steps)
    assert {len(call.steps) for call in scored} == {1, 2, 3}


def test_the_best_path_is_that_of_the_reward_model_and_its_last_score_counts():
    """The likelihood of the steps says nothing; the reward is the number of a step's word."""
    found = play(
        made("beam_search", width=1, expansions=3, depth=3, scorer="process_reward"),
        rewarded(lambda steps: [float(step[1:]) / 1000 for step in steps]),
    )
    chosen = found.answers[-1].text.split("\n\n")
    for depth, step in enumerate(chosen):
        others = [
            call.steps[depth]
            for call in found.calls
            if call.partner and len(call.steps) == depth + 1
            and list(call.steps[:depth]) == chosen[:depth]
        ]  # fmt: skip
        assert step == max(others, key=lambda word: int(word[1:]))


def test_an_engine_that_reports_no_step_scores_fails_the_sample():
    model = rewarded(lambda steps: [])
    with pytest.raises(ValueError, match="step scores of call 16 are unknown"):
        play(made("beam_search", scorer="process_reward"), model)


def test_a_search_without_a_reward_model_calls_no_partner():
    assert made("beam_search").partners() == {}
    assert made("beam_search", scorer="self_evaluation").partners() == {}

"""Rounds of drafts that share nothing but a bounded workspace."""

from __future__ import annotations

from dataclasses import replace

from play import asked, made, play


def model(call):
    """A draft says what it was given; a workspace says how much."""
    return f"{call.role} of {len(call.messages[-1]['content'])}"


def test_a_round_sees_the_question_and_the_workspace_of_the_round_before_only():
    method = made(
        "parallel_distill_refine",
        rounds=3,
        drafts=2,
        workspace_tokens=7,
        distill="Sum up.",
        refine="Notes:",
    )
    texts = iter(["d1", "d2", "w1", "d3", "d4", "w2", "final"])
    found = play(method, lambda call: next(texts))
    question = asked().question
    assert [len(wave) for wave in found.waves] == [2, 1, 2, 1, 1]
    assert [call.role for call in found.calls] == [
        *("draft", "draft", "distill", "draft", "draft", "distill", "draft")
    ]
    assert [call.messages[-1]["content"] for call in found.calls] == [
        question,
        question,
        f"{question}\n\nDraft 1:\nd1\n\nDraft 2:\nd2\n\nSum up.",
        f"{question}\n\nNotes:\n\nw1",
        f"{question}\n\nNotes:\n\nw1",
        f"{question}\n\nDraft 1:\nd3\n\nDraft 2:\nd4\n\nSum up.",
        f"{question}\n\nNotes:\n\nw2",
    ]
    assert [call.max_tokens for call in found.calls] == [None, None, 7, None, None, 7, None]
    assert [(a.text, a.budget) for a in found.answers] == [("d1", 1), ("d3", 2), ("final", 3)]
    assert [a.calls for a in found.answers] == [[0], [0, 1, 2, 3], None]


def test_the_answer_of_a_round_is_that_of_a_method_with_so_many_rounds():
    whole = play(made("parallel_distill_refine", rounds=4, drafts=3), model)
    for rounds in range(1, 5):
        part = play(made("parallel_distill_refine", rounds=rounds, drafts=3), model)
        one, other = part.answers[-1], whole.answers[rounds - 1]
        used = list(range(len(whole.calls))) if other.calls is None else other.calls
        assert [whole.calls[i] for i in used] == part.calls
        assert used == list(range(len(part.calls)))
        assert replace(one, calls=None) == replace(other, calls=None)
        assert part.answers[:-1] == whole.answers[: rounds - 1]


def test_a_system_message_stays_and_the_workspace_is_in_the_users():
    system = {"role": "system", "content": "Be brief."}
    question = asked(messages=(system, {"role": "user", "content": "Q"}))
    found = play(made("parallel_distill_refine"), model, question)
    assert all(call.messages[0] == system and len(call.messages) == 2 for call in found.calls)
    assert question.messages[1]["content"] == "Q"  # not changed in place

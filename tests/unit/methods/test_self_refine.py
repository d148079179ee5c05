"""Answer, feedback, refinement: what each sees, when it ends, and what every round cost."""

from __future__ import annotations

from play import asked, made, play


def talk(*texts):
    said = iter(texts)
    return lambda call: next(said)


def contents(call):
    return [message["content"] for message in call.messages]


def test_feedback_sees_the_latest_answer_and_a_refinement_sees_everything():
    method = made("self_refine", rounds=3, feedback="Check.", instruction="Improve.")
    found = play(method, talk("a1", "f1", "a2", "f2", "a3"))
    question = asked().question
    assert [call.role for call in found.calls] == [
        "solve",
        "feedback",
        "refine",
        "feedback",
        "refine",
    ]
    assert contents(found.calls[1]) == [question, "a1", "Check."]
    assert contents(found.calls[2]) == [question, "a1", "Check.", "f1", "Improve."]
    assert contents(found.calls[3]) == [question, "a2", "Check."]
    assert contents(found.calls[4]) == [
        *(question, "a1", "Check.", "f1", "Improve."),
        *("a2", "Check.", "f2", "Improve."),
    ]
    assert [m["role"] for m in found.calls[4].messages] == ["user", *["assistant", "user"] * 4]
    assert [call.parent for call in found.calls] == [None, 0, 1, 2, 3]
    assert [(a.text, a.budget, a.call) for a in found.answers] == [
        ("a1", 1, 0),
        ("a2", 2, 2),
        ("a3", 3, 4),
    ]


def test_it_ends_when_the_feedback_is_content_and_that_feedback_is_paid_for():
    found = play(made("self_refine", rounds=9), talk("a1", "wrong", "a2", "Now It is Correct!"))
    assert len(found.calls) == 4
    assert [(a.text, a.budget, a.call) for a in found.answers] == [
        ("a1", 1, 0),
        ("a2", 2, 2),
        ("a2", 3, 2),
    ]
    assert play(made("self_refine"), talk("a1", "it is not correct", *"abcdefg")).calls[2:]


def test_more_rounds_begin_as_fewer_do():
    for world in (["a", "f", "b", "g", "c", "h", "d"], ["a", "f", "b", "it is correct"]):
        whole = play(made("self_refine", rounds=4), talk(*world))
        for rounds in range(1, 5):
            part = play(made("self_refine", rounds=rounds), talk(*world))
            assert part.calls == whole.calls[: len(part.calls)]
            assert part.answers == whole.answers[:rounds]

"""Thinking that is cut, extended, and made to answer."""

from __future__ import annotations

import pytest
from play import asked, made, play

THINK = "</think>"


def thought(text, *tokens, finish="stop", marked=False):
    return {
        "text": text,
        "token_ids": tokens,
        "output_tokens": len(tokens),
        "finish_reason": finish,
        "stop_text": THINK if marked else None,
    }


def talk(*replies):
    said = iter(replies)
    return lambda call: next(said)


def turns(found):
    return [(call.role, call.prefix, call.continuation, call.max_tokens) for call in found.calls]


def test_thinking_is_cut_at_its_budget_and_made_to_answer():
    method = made("budget_forcing", thinking_tokens=3, answer_tokens=5)
    found = play(method, talk(thought("one two three", 1, 2, 3, finish="length"), " 42"))
    assert turns(found) == [
        ("think", (), "", 3),
        ("answer", (1, 2, 3), "\n\nFinal Answer:", 5),
    ]
    [answer] = found.answers
    assert (answer.text, answer.call, answer.budget) == ("\n\nFinal Answer: 42", 1, 0)
    assert answer.calls == [0, 1]


def test_a_turn_that_ends_early_is_extended_until_its_budget_or_extensions_are_spent():
    method = made("budget_forcing", thinking_tokens=9, extensions=2)
    found = play(
        method, talk(thought("It is 41.", 1, 2, 0), thought(" No: 42.", 3, 0), thought(" Yes.", 0))
    )
    assert turns(found) == [
        ("think", (), "", 9),
        ("think", (1, 2, 0), "Wait", 6),  # the engine leaves out the token that ended the turn
        ("think", (1, 2, 0), "Wait No: 42.Wait", 4),
    ]
    assert [(a.text, a.budget, a.call, a.calls) for a in found.answers] == [
        ("It is 41.", 0, 0, [0]),
        ("It is 41.Wait No: 42.", 1, 1, [0, 1]),
        ("It is 41.Wait No: 42.Wait Yes.", 2, 2, [0, 1, 2]),
    ]
    assert [call.parent for call in found.calls] == [None, 0, 1]


def test_marked_thinking_goes_on_without_its_mark_while_its_answer_is_given():
    method = made("budget_forcing", thinking_tokens=9, extensions=1, end_of_thinking=THINK)
    found = play(
        method,
        talk(
            thought("hm", 1, 7, 7, marked=True), "41", thought(" so", 2, 3, finish="length"), "42"
        ),
    )
    assert [[call.role for call in wave] for wave in found.waves] == [
        ["think"],
        ["answer", "think"],
        ["answer"],
    ]
    assert turns(found) == [
        ("think", (), "", 9),
        ("answer", (), "hm</think>", None),
        ("think", (), "hmWait", 6),
        ("answer", (), "hmWait so</think>\n\nFinal Answer:", None),
    ]
    assert [call.stop for call in found.calls] == [(THINK,), (), (THINK,), ()]
    assert [(a.text, a.budget, a.calls) for a in found.answers] == [
        ("</think>41", 0, [0, 1]),
        ("</think>\n\nFinal Answer:42", 1, [0, 2, 3]),
    ]


@pytest.mark.parametrize("mark", ["", THINK])
@pytest.mark.parametrize("cut_after", [1, 2, 3, 9])
def test_more_extensions_begin_as_fewer_do(mark, cut_after):
    def model(call):
        """Each stretch has one token; the stretch `cut_after` is cut."""
        if call.role == "answer":
            return f"answer to {call.continuation}"
        number = call.continuation.count("Wait") + 1
        return thought(
            f"thought {number}",
            number,
            finish="length" if number == cut_after else "stop",
            marked=bool(mark) and number != cut_after,
        )

    whole = play(made("budget_forcing", extensions=4, end_of_thinking=mark), model)
    for extensions in range(5):
        part = play(made("budget_forcing", extensions=extensions, end_of_thinking=mark), model)
        if extensions >= len(whole.answers):  # it was cut before: nothing more can be spent
            assert part.answers == whole.answers
            continue
        one, other = part.answers[-1], whole.answers[extensions]
        assert (one.text, one.budget) == (other.text, other.budget)
        assert [part.calls[i] for i in one.calls] == [whole.calls[i] for i in other.calls]
        assert part.answers[:-1] == whole.answers[:extensions]


def test_the_thinking_budget_is_the_points_and_an_empty_thought_can_be_extended():
    found = play(made("budget_forcing"), talk(thought(""), thought("42", 5)), asked(max_tokens=8))
    assert turns(found) == [("think", (), "", 8), ("think", (), "Wait", 8)]
    assert found.answers[-1].text == "Wait42"


def test_a_spent_budget_is_not_extended():
    found = play(made("budget_forcing", thinking_tokens=2), talk(thought("It is 4.", 1, 2)))
    assert len(found.calls) == 1 and found.answers[-1].text == "It is 4."

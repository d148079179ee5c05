"""Each round sees the answers before it, and every round's answer is kept."""

from __future__ import annotations

import pytest
from play import asked, made, play

from isocost.errors import IsocostError
from isocost.methods import METHODS, method_of


def test_a_bank_of_more_rounds_begins_with_that_of_fewer():
    def model(call):
        return f"answer {len(call.messages)}"

    whole = play(made("sequential_revision", rounds=5), model)
    assert [a.budget for a in whole.answers] == [1, 2, 3, 4, 5]
    for rounds in range(1, 5):
        part = play(made("sequential_revision", rounds=rounds), model)
        assert part.calls == whole.calls[:rounds]
        assert part.answers == whole.answers[:rounds]


def test_a_round_sees_the_answers_before_it_up_to_the_history():
    texts = iter("abcdef")
    found = play(
        made("sequential_revision", rounds=5, history=2, instruction="Again."),
        lambda call: next(texts),
    )
    last = found.calls[-1]
    assert [m["content"] for m in last.messages] == [
        asked().question,
        "c",
        "Again.",
        "d",
        "Again.",
    ]
    assert [m["role"] for m in last.messages[1:]] == ["assistant", "user"] * 2
    assert [c.parent for c in found.calls] == [None, 0, 1, 2, 3]
    assert [c.role for c in found.calls] == ["solve", *["revise"] * 4]
    assert all(len(wave) == 1 for wave in found.waves)


def test_parameters_are_checked_and_have_defaults():
    assert made("sequential_revision").model_dump()["rounds"] == 4
    for wrong, key in (
        ({"rounds": 0}, "rounds"),
        ({"rounds": 2.5}, "rounds"),
        ({"rounds": "two"}, "rounds"),
        ({"instruction": ""}, "instruction"),
        ({"round": 2}, "round"),
    ):
        with pytest.raises(IsocostError) as error:
            method_of("sequential_revision", wrong, where="grid.method.0")
        assert error.value.where == f"grid.method.0.{key}"
    with pytest.raises(IsocostError, match="no method is called") as error:
        method_of("sequential_revison", {})
    assert "sequential_revision" in error.value.remedy


@pytest.mark.parametrize("name", sorted(METHODS.names()))
def test_every_method_says_where_it_comes_from(name):
    method = METHODS.get(name)
    assert method.source and method.most_calls >= 1 and method.__doc__
    given = {"command": "client"} if method.is_outside else {}
    made = method_of(name, given)
    assert made == method_of(name, made.model_dump(mode="json"))
